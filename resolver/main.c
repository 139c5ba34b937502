/* SPDX-License-Identifier: MIT */
/*
 * main.c - punch-resolver: turns a peer's name and port into a connected socket
 *
 * Always in this order: options, descriptors, configuration and key checked, name taken,
 * to the background, work.  Whoever starts us waits for the exit status, and
 * stderr is still theirs until the name is taken: that is where problems are told.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "common/limits.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/secret.h"
#include "resolver/keeper.h"
#include "resolver/load.h"
#include "resolver/mapper.h"
#include "resolver/porter.h"
#include "resolver/process.h"
#include "resolver/pump.h"
#include "resolver/sandbox.h"
#include "resolver/worker.h"

/* Carries the token over the exec of a keeper; other users cannot read our environment */
#define TOKEN_VARIABLE "PUNCH_RESOLVER_TOKEN"

enum role {
	ROLE_FOREGROUND,
	ROLE_BACKGROUND,
	ROLE_KEEPER,		/* --keeper: executed by a worker whose keeper died */
	ROLE_AGAIN,		/* --listener: executed by itself in the foreground */
	ROLE_PUMP,		/* --pump: executed by a worker, to encrypt */
	ROLE_PORTER,		/* --porter: executed by a worker, for another user's requests */
	ROLE_MAPPER,		/* --mapper: executed by a worker, see mapper.c */
};

struct options {
	enum role role;
	const char *level;
	const char *mapper;	/* argument */
};

static const char help[] =
"Usage: punch-resolver [--background] [-v]\n"
"\n"
"Connects programs under punch to their peers.  Programs start it by themselves when\n"
"they need it; it leaves after ten minutes without anything to do, or by \"punchctl stop\".\n"
"\n"
"  -b, --background  listen for requests, then go on as a daemon: one process that works\n"
"                    (punch-resolver) and one that starts it again when it dies (punch-keeper)\n"
"  -v, --verbose     more messages: once info, twice debug\n"
"      --help        this text\n"
"      --version     the version\n"
"\n"
"Environment:\n"
"  PUNCH_CONF        configuration file; else $XDG_CONFIG_HOME/punch/punch.conf\n"
"                    (~/.config/punch/punch.conf), else /etc/punch/punch.conf\n"
"  PUNCH_SECRET      quick mode without a file: a word that both sides know, with\n"
"  PUNCH_RENDEZVOUS  HOST[:PORT] of the rendezvous and\n"
"  PUNCH_AS          the own name, for others to call\n"
"  PUNCH_LOG         error, warn (default), info or debug\n"
"  PUNCH_LOG_FILE    where messages go instead of stderr.  In the background stderr is\n"
"                    closed once requests are taken: set this to see more\n"
"  PUNCH_IDLE        seconds without anything to do before it leaves (600)\n"
"\n"
"Exit status: 0 done, or with --background: a resolver listens, this one or another;\n"
"64 wrong usage, 71 the system refused something, 75 another resolver does not answer\n"
"(without --background: or runs), 78 the configuration or the key is wrong.\n";

static _Noreturn void usage(void)
{
	fputs("punch-resolver: try punch-resolver --help\n", stderr);
	exit(EX_USAGE);
}

static void parse(int argc, char **argv, struct options *options)
{
	enum { HELP = 256, VERSION, KEEPER, LISTENER, PUMP, PORTER, MAPPER };
	static const struct option names[] = {
		{ "background", no_argument, NULL, 'b' },	{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, HELP },		{ "version", no_argument, NULL, VERSION },
		{ "keeper", no_argument, NULL, KEEPER },	{ "listener", no_argument, NULL, LISTENER },
		{ "pump", no_argument, NULL, PUMP },		{ "porter", no_argument, NULL, PORTER },
		{ "mapper", required_argument, NULL, MAPPER },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "bv", names, NULL)) != -1) {
		if (c == 'b') {
			options->role = ROLE_BACKGROUND;
		} else if (c == 'v') {
			options->level = options->level && strcmp(options->level, "info") == 0 ? "debug" : "info";
		} else if (c == KEEPER) {
			options->role = ROLE_KEEPER;
		} else if (c == LISTENER) {
			options->role = ROLE_AGAIN;
		} else if (c == PUMP) {
			options->role = ROLE_PUMP;
		} else if (c == PORTER) {
			options->role = ROLE_PORTER;
		} else if (c == MAPPER) {
			options->role = ROLE_MAPPER;
			options->mapper = optarg;
		} else if (c == HELP) {
			fputs(help, stdout);
			exit(0);
		} else if (c == VERSION) {
			puts("punch-resolver " PUNCH_VERSION);
			exit(0);
		} else {
			usage();
		}
	}
	if (optind < argc) {
		fprintf(stderr, "punch-resolver: %s: no arguments are wanted\n", argv[optind]);
		usage();
	}
}

/* Paths in the environment must outlive chdir() and exec */
static int fix_variable(const char *name)
{
	const char *value = secure_getenv(name);
	char folder[LIMIT_PATH], path[2 * LIMIT_PATH];

	if (!value || !*value || *value == '/')
		return 0;
	if (!getcwd(folder, sizeof(folder)))
		return -errno;
	snprintf(path, sizeof(path), "%s/%s", folder, value);
	return setenv(name, path, 1) < 0 ? -errno : 0;
}

static int set_level(const char *level)
{
	const char *word = level ? level : secure_getenv("PUNCH_LOG");

	if (level)
		setenv("PUNCH_LOG", level, 1);
	if (log_init("punch-resolver", word, secure_getenv("PUNCH_LOG_FILE")) < 0)
		log_warn("PUNCH_LOG=%s: wanted is error, warn, info or debug; warn is used", word);
	return 0;
}

/* A fresh one for a fresh resolver; all its later processes go on with it, for its clients remember it */
static void get_token(enum role role, uint8_t token[LOCAL_TOKEN])
{
	const char *text = secure_getenv(TOKEN_VARIABLE);
	char hex[2 * LOCAL_TOKEN + 1];
	size_t size = 0;

	if ((role != ROLE_KEEPER && role != ROLE_AGAIN) || !text ||
	    OPENSSL_hexstr2buf_ex(token, LOCAL_TOKEN, &size, text, '\0') != 1 || size != LOCAL_TOKEN)
		secret_random(token, LOCAL_TOKEN);
	if (OPENSSL_buf2hexstr_ex(hex, sizeof(hex), &size, token, LOCAL_TOKEN, '\0') == 1)
		setenv(TOKEN_VARIABLE, hex, 1);
}

/* Return: listening socket; exits when there is nothing to do or no way to do it */
static int take_name(enum role role, const struct local_config *config)
{
	char why[LOAD_WHY];
	int listener;

	if (role == ROLE_KEEPER || role == ROLE_AGAIN)
		return KEEPER_LISTENER_FD;
	listener = keeper_bind(config, why, sizeof(why));
	if (listener >= 0)
		return listener;
	if (listener == -EALREADY && role == ROLE_BACKGROUND)
		exit(0);
	if (listener == -EALREADY)
		snprintf(why, sizeof(why), "a resolver of this configuration runs already; \"punchctl stop\" ends it");
	log_error("%s", why);
	exit(listener == -ETIMEDOUT || listener == -EALREADY || listener == -EADDRINUSE ? EX_TEMPFAIL : EX_OSERR);
}

static void to_background(void)
{
	pid_t pid = fork();

	if (pid < 0) {
		log_error("cannot start a process: %s", strerror(errno));
		exit(EX_OSERR);
	}
	if (pid > 0)
		_exit(0);	/* the socket listens: whoever started us can connect now */
	process_detach();
}

static void run_again(int listener)
{
	static char name[] = "punch-resolver", option[] = "--listener";
	char *const argv[] = { name, option, NULL };

	log_info("starting again with the new configuration");
	if (listener != KEEPER_LISTENER_FD && dup2(listener, KEEPER_LISTENER_FD) < 0)
		log_error("cannot start again: %s", strerror(errno));
	else
		log_error("cannot start again: %s", strerror(-process_again(argv)));
}

int main(int argc, char **argv)
{
	struct options options = { .role = ROLE_FOREGROUND };
	enum life_end end = LIFE_END_STOP;
	uint8_t token[LOCAL_TOKEN];
	struct local_config config;
	int listener, link = -1, status, err;
	char why[LOAD_WHY];

	parse(argc, argv, &options);
	process_title_init(argc, argv);
	if (options.role == ROLE_MAPPER) {
		process_clean(MAPPER_LINK_FD + 1);
		set_level(NULL);
		return mapper_main(options.mapper);
	}
	if (options.role == ROLE_PORTER) {
		process_clean(PORTER_LINK_FD + 1);
		set_level(NULL);
		porter_run();
	}
	if (fix_variable("PUNCH_CONF") < 0 || fix_variable("PUNCH_LOG_FILE") < 0) {
		fprintf(stderr, "punch-resolver: cannot make paths absolute: %s\n", strerror(errno));
		return EX_OSERR;
	}
	process_clean(options.role == ROLE_KEEPER ? KEEPER_LINK_FD + 1 :
		      options.role == ROLE_AGAIN ? KEEPER_LISTENER_FD + 1 :
		      options.role == ROLE_PUMP ? PUMP_LINK_FD + 1 : STDERR_FILENO + 1);
	set_level(options.level);
	if (options.role == ROLE_AGAIN)
		process_inherit();
	if (options.role == ROLE_BACKGROUND)	/* stderr is that of a program, which waits for us */
		log_never_wait();
	if (options.role == ROLE_PUMP)
		return pump_run(PUMP_LINK_FD);
	if (load_config(&config, why, sizeof(why)) < 0 ||
	    (options.role != ROLE_KEEPER && load_check(&config, why, sizeof(why)) < 0)) {
		log_error("%s", why);
		return EX_CONFIG;
	}
	if (!config.secret[0])
		setenv("PUNCH_CONF", config.path, 1);
	get_token(options.role, token);
	listener = take_name(options.role, &config);
	if (options.role != ROLE_KEEPER && options.role != ROLE_AGAIN)	/* those have it from who executed them */
		sandbox_resolver();
	if (options.role == ROLE_FOREGROUND) {
		/* The socket listens. In other roles NOTIFY_SOCKET is that of the program which needs us */
		err = notify_ready();
		if (err)
			log_warn("cannot tell the service manager (NOTIFY_SOCKET): %s", strerror(-err));
	}
	if (options.role == ROLE_BACKGROUND)
		to_background();
	if (options.role == ROLE_BACKGROUND || options.role == ROLE_KEEPER)
		link = keeper_run(listener, options.role == ROLE_KEEPER ? KEEPER_LINK_FD : -1);
	status = worker_run(&listener, link, &config, token, &end);
	if (status == 0 && end == LIFE_END_RESTART && link < 0)
		run_again(listener);
	return status;
}
