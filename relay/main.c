/* SPDX-License-Identifier: MIT */
/*
 * main.c - punch-relay, the public server that joins two sockets when punching cannot
 *
 * In this order: options, configuration, secret, listen, drop, sandbox, loop.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/accept.h"
#include "common/drop.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/ticket.h"
#include "conf/conf.h"
#include "relay/carrier.h"
#include "relay/door.h"
#include "relay/keys.h"
#include "relay/limits.h"
#include "relay/loop.h"
#include "relay/metrics.h"
#include "relay/pump.h"
#include "relay/room.h"
#include "relay/sandbox.h"
#include "relay/visitor.h"

#define BUFFER_KIB_MAX	65536	/* 64 MiB: 1 Gbit/s over half a second */
#define BUDGET_MIB_MAX	1048576	/* 1 TiB */
#define MBIT		125000	/* bytes */

struct options {
	const char *file;
	const char *secret;
	struct endpoint listen[CONF_LIST];
	unsigned int listen_count;
	struct endpoint metrics;
	int buffer_kib;		/* of all sockets; -1: as they need it, within the budget; 0: the kernel's choice */
	int budget_mib;
	int verbose;
	bool check;
};

static const char usage[] =
	"usage: punch-relay [-v] [-c FILE] [--check] [--listen ADDRESS[:PORT]]... [--secret FILE]\n"
	"                   [--metrics ADDRESS:PORT] [--budget MIB] [--buffer KIB]\n"
	"\n"
	"Joins two punch nodes that cannot reach each other directly.  Without a file it\n"
	"listens on port 4433 and reads its secret from the state folder.\n"
	"\n"
	"  -c, --conf FILE       configuration, see punch-relay(8)\n"
	"      --check           read the configuration, say what is wrong, exit\n"
	"      --listen ADDRESS  instead of the file's; may be repeated\n"
	"      --secret FILE     instead of the file's\n"
	"      --metrics ADDRESS:PORT  instead of the file's\n"
	"      --budget MIB      memory for the buffers of fast connections, default 256\n"
	"      --buffer KIB      the same socket buffers for all; 0 leaves them to the kernel\n"
	"  -v, --verbose         log what happens; twice: everything\n"
	"      --help, --version\n";

static int bad_usage(const char *what, const char *text, const char *right)
{
	fprintf(stderr, "punch-relay: %s %s: %s\n", what, text, right);
	return 2;
}

static int parse_endpoint(struct endpoint *ep, const char *option, uint16_t port)
{
	if (endpoint_parse(ep, optarg, port) || !ep->port)
		return bad_usage(option, optarg, "want ADDRESS:PORT, as 0.0.0.0:4433 or [::]:4433");
	return -1;
}

static int parse_number(int *number, const char *option, long most, const char *right)
{
	char *end;
	long value = strtol(optarg, &end, 10);

	if (end == optarg || *end || value < 0 || value > most)
		return bad_usage(option, optarg, right);
	*number = (int)value;
	return -1;
}

static int option_take(struct options *options, int option)
{
	switch (option) {
	case 'c':
		options->file = optarg;
		return -1;
	case 'k':
		options->check = true;
		return -1;
	case 'l':
		if (options->listen_count == CONF_LIST)
			return bad_usage("--listen", optarg, "that is one too many");
		return parse_endpoint(&options->listen[options->listen_count++], "--listen",
				      PORT_RELAY);
	case 's':
		options->secret = optarg;
		return -1;
	case 'm':
		return parse_endpoint(&options->metrics, "--metrics", 0);
	case 'b':
		return parse_number(&options->buffer_kib, "--buffer", BUFFER_KIB_MAX, "want 0 to 65536 (KiB)");
	case 'g':
		return parse_number(&options->budget_mib, "--budget", BUDGET_MIB_MAX, "want 0 to 1048576 (MiB)");
	case 'v':
		options->verbose++;
		return -1;
	case 'h':
		fputs(usage, stdout);
		return 0;
	case 'V':
		puts("punch-relay " PUNCH_VERSION);
		return 0;
	default:
		fputs(usage, stderr);
		return 2;
	}
}

/* Return: -1 to go on, or the program's exit status */
static int options_parse(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "conf", required_argument, NULL, 'c' }, { "check", no_argument, NULL, 'k' },
		{ "listen", required_argument, NULL, 'l' }, { "secret", required_argument, NULL, 's' },
		{ "metrics", required_argument, NULL, 'm' }, { "buffer", required_argument, NULL, 'b' },
		{ "budget", required_argument, NULL, 'g' },
		{ "verbose", no_argument, NULL, 'v' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 },
	};
	int option, status = -1;

	options->buffer_kib = -1;
	options->budget_mib = RELAY_ROOM_MIB;
	while (status < 0 && (option = getopt_long(argc, argv, "c:v", longs, NULL)) != -1)
		status = option_take(options, option);
	if (status < 0 && optind < argc)
		return bad_usage("argument", argv[optind], "not expected here; see --help");
	return status;
}

static int start_log(int verbose)
{
	const char *level = getenv("PUNCH_LOG");

	if (verbose)
		level = verbose > 1 ? "debug" : "info";
	if (!log_init("punch-relay", level, getenv("PUNCH_LOG_FILE")))
		return 0;
	log_error("PUNCH_LOG=%s: want error, warn, info or debug", level);
	return -EINVAL;
}

/* File first, options over it. Return: 0 or -errno, told */
static int configure(struct conf_relay *conf, const struct options *options)
{
	struct conf_error error;
	int err;

	err = conf_relay_load(conf, options->file, &error);
	if (err && (options->file || !options->secret)) {
		log_error("%s", error.text);
		return err;
	}
	if (options->listen_count) {
		memcpy(conf->listen, options->listen, sizeof(conf->listen));
		conf->listen_count = options->listen_count;
	}
	if (options->secret && strlen(options->secret) >= sizeof(conf->secret)) {
		log_error("--secret: the path has more than %zu bytes", sizeof(conf->secret) - 1);
		return -ENAMETOOLONG;
	}
	if (options->secret)
		strcpy(conf->secret, options->secret);
	if (options->metrics.family)
		conf->metrics = options->metrics;
	return 0;
}

/* Pairs at one time, as the operator wants it or as there is memory for */
static unsigned int most_pairs(const struct conf_relay *conf)
{
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t most = memory / RELAY_PAIRS_MEMORY / RELAY_PAIR_LEAST;

	if (conf->pairs)
		return conf->pairs;
	return most < INT_MAX ? (unsigned int)most : INT_MAX;
}

/* Return: 0 or -errno, told */
static int load_secret(const struct conf_relay *conf, unsigned int descriptors)
{
	uint8_t secret[RELAY_SECRET_SIZE];
	char why[512];
	int err;

	err = ticket_secret_load(secret, conf->secret, 0, why, sizeof(why));
	if (err)
		log_error("%s%s", why, err == -ENOENT ?
			  " (copy the file relay-secret of your rendezvous here)" : "");
	else
		err = visitors_open(secret, descriptors, most_pairs(conf));
	if (!err)
		err = keys_open(RELAY_KEYS, conf->pairs_per_key, (uint64_t)conf->mbit_per_key * MBIT);
	explicit_bzero(secret, sizeof(secret));
	return err;
}

/*
 * Hosts without IPv6 are common: [::] beside another address is a wish, not a demand.
 * Return: 0 or -errno, told
 */
static int open_doors(struct conf_relay *conf, int buffer_kib)
{
	unsigned int open = 0;
	char why[512];
	int err;

	for (unsigned int i = 0; i < conf->listen_count; i++) {
		struct endpoint *ep = &conf->listen[i];

		err = door_open(ep, buffer_kib * 1024, visitor_new, why, sizeof(why));
		if ((err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL) && ep->family == AF_INET6 &&
		    endpoint_is_any(ep) && conf->listen_count > 1) {
			log_info("%s", why);
			ep->family = 0;
			continue;
		}
		if (err)
			goto failed;
		open++;
	}
	if (!open) {
		snprintf(why, sizeof(why), "no address to listen on is left");
		err = -EADDRNOTAVAIL;
		goto failed;
	}
	err = conf->metrics.family ?
	      door_open(&conf->metrics, 0, metrics_visit, why, sizeof(why)) : 0;
	if (!err)
		return 0;
failed:
	log_error("%s", why);
	return err;
}

static bool stopping;

static void signal_ready(struct watch *watch, uint32_t events, uint64_t now)
{
	struct signalfd_siginfo info;

	(void)events;
	(void)now;
	if (read(watch->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		log_info("leaving by signal %u", info.ssi_signo);
		stopping = true;
	}
}

static int watch_signals(struct watch *watch)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	watch->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	watch->ready = signal_ready;
	return watch->fd < 0 ? -errno : loop_add(watch, EPOLLIN);
}

static int loop_run(void)
{
	uint64_t now, next;
	int err = 0;

	while (!stopping && !err) {
		now = clock_now();
		next = doors_run(now);
		next = clock_before(next, visitors_run(now));
		next = clock_before(next, metrics_run(now));
		next = clock_before(next, pump_run(now));
		err = loop_wait(next);
	}
	return err;
}

static void announce(const struct conf_relay *conf)
{
	char text[ENDPOINT_TEXT_SIZE];

	printf("punch-relay %s: listening on", PUNCH_VERSION);
	for (unsigned int i = 0; i < conf->listen_count; i++) {
		if (conf->listen[i].family)
			printf(" %s", endpoint_format(&conf->listen[i], text));
	}
	printf("\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	static struct conf_relay conf;
	struct watch signals = { .fd = -1 };
	unsigned int descriptors;
	int status, err;

	status = options_parse(&options, argc, argv);
	if (status >= 0)
		return status;
	if (start_log(options.verbose) || configure(&conf, &options))
		return 1;
	if (options.check)
		return 0;
	if (drop_dumps())
		log_warn("cannot do without core dumps: %s", strerror(errno));
	descriptors = accept_limit();
	if (load_secret(&conf, descriptors))
		return 1;
	err = loop_open();
	if (!err)
		err = watch_signals(&signals);
	if (err) {
		log_error("cannot start: %s", strerror(-err));
		return 1;
	}
	room_open(options.buffer_kib < 0 ? (size_t)options.budget_mib << 20 : SIZE_MAX);
	if (open_doors(&conf, options.buffer_kib < 0 ? 0 : options.buffer_kib))
		return 1;
	err = notify_ready();
	if (err)
		log_warn("cannot tell the service manager (NOTIFY_SOCKET): %s", strerror(-err));
	err = drop_privileges();
	if (err)
		log_warn("cannot drop privileges: %s", strerror(-err));
	/* Two descriptors a pipe: at most a quarter of all, the rest is for sockets */
	carrier_limit(descriptors / 8);
	pump_open(most_pairs(&conf), visitor_released);
	err = relay_sandbox();
	if (!err) {
		announce(&conf);
		err = loop_run();
		if (err)
			log_error("epoll: %s", strerror(-err));
	}
	pump_close(clock_now());
	visitors_close(clock_now());
	keys_close();
	doors_close();
	loop_end(&signals);
	loop_close();
	return err ? 1 : 0;
}
