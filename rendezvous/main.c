/* SPDX-License-Identifier: MIT */
/*
 * main.c - punch-rendezvous, the public server that introduces nodes to each other
 *
 * In this order: options, configuration, keys, listen, drop, sandbox, loop.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <event2/event.h>

#include "common/accept.h"
#include "common/drop.h"
#include "common/file.h"
#include "common/key.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/notify.h"
#include "conf/conf.h"
#include "rendezvous/allow.h"
#include "rendezvous/allowed.h"
#include "rendezvous/sandbox.h"
#include "rendezvous/server.h"

struct options {
	const char *file;
	int verbose;
	bool check;
};

static const char usage[] =
	"usage: punch-rendezvous [-v] [-c FILE] [--check]\n"
	"\n"
	"Introduces punch nodes to each other.  Without a file it listens on port 4430, probes\n"
	"on 4431 and 4432, runs a relay on 4433, and keeps its key in the state folder.\n"
	"\n"
	"  -c, --conf FILE  configuration, see punch-rendezvous(8)\n"
	"      --check      read the configuration, say what is wrong, exit\n"
	"  -v, --verbose    log what happens; twice: everything\n"
	"      --help, --version\n";

/* Return: -1 to go on, or the program's exit status */
static int options_parse(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "conf", required_argument, NULL, 'c' }, { "check", no_argument, NULL, 'k' },
		{ "verbose", no_argument, NULL, 'v' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:v", longs, NULL)) != -1) {
		switch (option) {
		case 'c':
			options->file = optarg;
			break;
		case 'k':
			options->check = true;
			break;
		case 'v':
			options->verbose++;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			puts("punch-rendezvous " PUNCH_VERSION);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "punch-rendezvous: argument %s: not expected here; see --help\n", argv[optind]);
	return 2;
}

static int start_log(int verbose)
{
	const char *level = getenv("PUNCH_LOG");

	if (verbose)
		level = verbose > 1 ? "debug" : "info";
	if (!log_init("punch-rendezvous", level, getenv("PUNCH_LOG_FILE")))
		return 0;
	log_error("PUNCH_LOG=%s: want error, warn, info or debug", level);
	return -EINVAL;
}

static int configure(struct conf_rendezvous *conf, const char *file)
{
	struct conf_error error;
	struct allow *allow = NULL;
	char why[512];
	int err;

	err = conf_rendezvous_load(conf, file, &error);
	if (err) {
		log_error("%s", error.text);
		return err;
	}
	err = allow_load(&allow, conf->allow, why, sizeof(why));
	if (err)
		log_error("%s", why);
	allow_free(allow);
	return err;
}

/*
 * A file without "key" keeps it beside itself, what had no file before kept it in the state
 * folder: nodes that have pinned that one would refuse this server, and nobody would know why
 */
static void tell_new_key(const char *path)
{
	char other[LIMIT_PATH];

	if (conf_state_path(other, "rendezvous.key", secure_getenv) == 0 && strcmp(other, path) != 0 &&
	    access(other, F_OK) == 0)
		log_warn("made a new key, %s: nodes that know this server by that of %s will refuse it; to keep that "
			 "one, write key = %s", path, other, other);
	else
		printf("made a new key: %s\n", path);
}

/* Where a service that systemd confines may write */
static void tell_folder(const char *path)
{
	const char *folder = secure_getenv("STATE_DIRECTORY");

	if (folder && strncmp(path, folder, strlen(folder)) != 0)
		log_error("this service may write to %s alone: set key = %s/rendezvous.key and relay-secret = "
			  "%s/relay.secret", folder, folder, folder);
}

/* Return: 0 or -errno, told */
static int load_key(struct key *key, const char *path)
{
	char why[512];
	int err = key_load(key, path, why, sizeof(why));

	if (err == -ENOENT) {
		file_make_folders(path);
		err = key_generate(key);
		if (err)
			snprintf(why, sizeof(why), "cannot make a key: %s", strerror(-err));
		else
			err = key_save(key, path, why, sizeof(why));
		if (!err)
			tell_new_key(path);
	}
	if (err) {
		log_error("%s", why);
		tell_folder(path);
	}
	return err;
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	(void)what;
	if (number == SIGHUP) {
		allowed_reload();
		return;
	}
	log_info("leaving by signal %d", (int)number);
	event_base_loopbreak(arg);
}

/* What libevent has to say comes as our own lines, and not as often as it likes */
static void on_event_log(int severity, const char *text)
{
	static struct log_limit limit;

	if (severity >= EVENT_LOG_WARN && log_limited(&limit))
		log_warn("libevent: %s", text);
}

static int watch_signals(struct event_base *base, struct event *signals[3])
{
	static const int numbers[3] = { SIGTERM, SIGINT, SIGHUP };

	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 3; i++) {
		signals[i] = evsignal_new(base, numbers[i], on_signal, base);
		if (!signals[i] || evsignal_add(signals[i], NULL))
			return -ENOMEM;
	}
	return 0;
}

static void print_endpoints(const char *what, const struct endpoint *eps, unsigned int count)
{
	char text[ENDPOINT_TEXT_SIZE];

	printf("%s", what);
	for (unsigned int i = 0; i < count; i++)
		if (eps[i].family)
			printf(" %s", endpoint_format(&eps[i], text));
	printf("\n");
}

static void announce(const struct conf_rendezvous *conf, const struct key *key)
{
	char text[KEY_TEXT_SIZE];

	printf("punch-rendezvous %s\n", PUNCH_VERSION);
	print_endpoints("probes:", conf->probe, conf->probe_count);
	printf("relay: %s\nstore: %s\n", conf->relay, conf->store);
	printf("public key: %s\n", key_text(key->public, text));
	printf("for punch.conf, section [node]:\n");
	printf("\trendezvous     = THIS-HOST%s", conf->listen[0].port == PORT_RENDEZVOUS ? "" : ":");
	if (conf->listen[0].port != PORT_RENDEZVOUS)
		printf("%u", conf->listen[0].port);
	printf("\n\trendezvous-key = %s\n", text);
	/* Last: who waits for this line finds the others above it */
	print_endpoints("listening:", conf->listen, conf->listen_count);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct conf_rendezvous conf;
	struct options options = { 0 };
	struct event *signals[3] = { NULL };
	struct event_base *base;
	struct key key = { .private = NULL };
	int status, err;

	/* Until watch_signals(): what there is to read again is read after that anyway */
	signal(SIGHUP, SIG_IGN);
	status = options_parse(&options, argc, argv);
	if (status >= 0)
		return status;
	if (start_log(options.verbose) || configure(&conf, options.file))
		return 1;
	if (options.check)
		return 0;
	if (drop_dumps())
		log_warn("cannot do without core dumps: %s", strerror(errno));
	if (load_key(&key, conf.key))
		return 1;
	event_set_log_callback(on_event_log);
	base = event_base_new();
	if (!base || watch_signals(base, signals)) {
		log_error("cannot start: no event loop");
		return 1;
	}
	accept_limit();
	err = server_open(base, &conf, &key);
	if (!err) {
		err = notify_ready();
		if (err)
			log_warn("cannot tell the service manager (NOTIFY_SOCKET): %s", strerror(-err));
		err = drop_privileges();
		if (err)
			log_warn("cannot drop privileges: %s", strerror(-err));
		err = rendezvous_sandbox(&conf);
		if (!err)
			err = allowed_check();
	}
	if (!err) {
		announce(&conf, &key);
		err = event_base_dispatch(base) < 0 ? -EIO : 0;
	}
	server_close();
	for (int i = 0; i < 3; i++)
		event_free(signals[i]);
	event_base_free(base);
	key_wipe(&key);
	return err ? 1 : 0;
}
