/* SPDX-License-Identifier: MIT */
/*
 * punch.c - run a program that can reach named peers, and be reached by them
 *
 * Checks the configuration, looks at the program, sets the environment,
 * becomes the program.  What works is done by libpunch.so.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/strength.h"
#include "conf/conf_env.h"
#include "shim/punch_any.h"
#include "shim/punch_program.h"

#define EXIT_CANNOT_RUN	126	/* as shells have it */
#define EXIT_NOT_FOUND	127

struct options {
	const char *conf;
	const char *secret;
	const char *as;
	const char *rendezvous;
	bool any;
	bool weak_secret;
	bool loopback;
	char **command;
};

static const char help[] =
"Usage: punch [OPTION...] [--] COMMAND [ARG...]\n"
"\n"
"Run COMMAND so that its TCP connections to named peers, and those of peers to\n"
"the ports it serves, go through NATs.\n"
"\n"
"  -c, --conf FILE                configuration; else $PUNCH_CONF, ~/.config/punch/punch.conf,\n"
"                                 /etc/punch/punch.conf\n"
"  -s, --secret WORD              quick mode without a file: both sides give the same WORD;\n"
"                                 better in $PUNCH_SECRET, where \"ps\" does not show it\n"
"      --weak-secret              take a WORD that could be guessed ($PUNCH_WEAK_SECRET=yes)\n"
"  -a, --as NAME                  quick mode: be reached as NAME.punch\n"
"      --loopback                 quick mode: publish listeners on 127.0.0.1 and ::1 too\n"
"                                 ($PUNCH_LOOPBACK=yes); else only those that the network reaches\n"
"  -r, --rendezvous HOST[:PORT]   quick mode: where the two sides meet; none@ADDRESS: no server,\n"
"                                 the other side is at this public address\n"
"  -A, --any                      serve every kind of program: static ones, Go, and what they start\n"
"      --help                     this text\n"
"      --version                  the version\n"
"\n"
"  punch ssh bob\n"
"  punch --secret WORD --as bob --rendezvous rdv.example.org /usr/sbin/sshd -D\n"
"  punch --secret WORD --rendezvous rdv.example.org ssh bob.punch\n"
"  punch --any ./go-program -url http://bob/\n"
"\n"
"Exit status: of COMMAND; 127 not found, 126 cannot be run; 64 wrong usage;\n"
"78 wrong configuration.\n";

static _Noreturn void usage(const char *problem)
{
	if (problem)
		fprintf(stderr, "punch: %s\n", problem);
	fputs("punch: usage: punch [--conf FILE] [--secret WORD] [--weak-secret] [--as NAME] [--loopback] "
	      "[--rendezvous HOST[:PORT]] [--any] [--] COMMAND [ARG...]; see punch --help\n", stderr);
	exit(EX_USAGE);
}

/* A word of the command line that others must not read in ps any longer */
static const char *take_secret(char *word)
{
	char *copy = strdup(word);

	if (!copy) {
		fputs("punch: out of memory\n", stderr);
		exit(EX_OSERR);
	}
	memset(word, '*', strlen(word));
	return copy;
}

static void parse(int argc, char **argv, struct options *options)
{
	enum { HELP = 256, VERSION, WEAK_SECRET, LOOPBACK };
	static const struct option names[] = {
		{ "conf", required_argument, NULL, 'c' },
		{ "secret", required_argument, NULL, 's' },
		{ "weak-secret", no_argument, NULL, WEAK_SECRET },
		{ "loopback", no_argument, NULL, LOOPBACK },
		{ "as", required_argument, NULL, 'a' },
		{ "rendezvous", required_argument, NULL, 'r' },
		{ "any", no_argument, NULL, 'A' },
		{ "help", no_argument, NULL, HELP },
		{ "version", no_argument, NULL, VERSION },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+c:s:a:r:A", names, NULL)) != -1) {
		switch (c) {
		case 'c':
			options->conf = optarg;
			break;
		case 's':
			options->secret = take_secret(optarg);
			break;
		case 'a':
			options->as = optarg;
			break;
		case 'r':
			options->rendezvous = optarg;
			break;
		case 'A':
			options->any = true;
			break;
		case WEAK_SECRET:
			options->weak_secret = true;
			break;
		case LOOPBACK:
			options->loopback = true;
			break;
		case HELP:
			fputs(help, stdout);
			exit(0);
		case VERSION:
			puts("punch " PUNCH_VERSION);
			exit(0);
		default:
			usage(NULL);
		}
	}
	options->command = argv + optind;
	if (optind == argc)
		usage("no command to run");
}

static void set(const char *name, const char *value)
{
	if (setenv(name, value, 1) < 0) {
		fprintf(stderr, "punch: cannot set %s: %s\n", name, strerror(errno));
		exit(EX_OSERR);
	}
}

static _Noreturn void refuse(const char *message)
{
	fprintf(stderr, "punch: %s\n", message);
	exit(EX_CONFIG);
}

/* An option is worth more than the variable of that name */
static void set_quick(const struct options *options)
{
	if (options->secret)
		set("PUNCH_SECRET", options->secret);
	if (options->weak_secret)
		set("PUNCH_WEAK_SECRET", "yes");
	if (options->loopback)
		set("PUNCH_LOOPBACK", "yes");
	if (options->as)
		set("PUNCH_AS", options->as);
	if (options->rendezvous)
		set("PUNCH_RENDEZVOUS", options->rendezvous);
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

static void check_quick(const struct options *options)
{
	struct local_config config;
	char why[512];
	int rc;

	if (options->conf)
		usage("--conf and --secret exclude each other: quick mode reads no file");
	if (!*variable("PUNCH_SECRET"))
		refuse("--secret is empty; it should be a word that both sides know");
	if (!*variable("PUNCH_RENDEZVOUS"))
		refuse("quick mode needs --rendezvous HOST[:PORT] (or PUNCH_RENDEZVOUS), "
		       "the server where both sides meet");
	rc = conf_env_quick(&config, getenv, why, sizeof(why));
	if (rc == 0)
		rc = conf_env_check_quick(&config, why, sizeof(why));
	explicit_bzero(&config, sizeof(config));
	if (rc < 0 || strength_check(variable("PUNCH_SECRET"), why, sizeof(why)) < 0)
		refuse(why);
}

static void check_file(void)
{
	struct conf_error error;
	struct conf_node conf;
	char path[LIMIT_PATH];
	int rc;

	if (conf_node_path(path, getenv) < 0)
		refuse("no configuration: write ~/.config/punch/punch.conf (see punch.conf(5)), "
		       "or use --secret WORD --rendezvous HOST");
	rc = conf_node_load(&conf, path, &error);
	conf_node_free(&conf);
	if (rc < 0)
		refuse(error.text);
	set("PUNCH_CONF", path);
}

/* A word that was exported an hour ago: who has written a file since wonders why nothing in it holds */
static void tell_hidden_file(void)
{
	char path[LIMIT_PATH];

	if (conf_node_path(path, getenv) == 0)
		fprintf(stderr, "punch: " CONF_ENV_HIDES "\n", path);
}

static void configure(const struct options *options)
{
	if (!options->secret && !*variable("PUNCH_SECRET") &&
	    (options->as || options->rendezvous || options->weak_secret || options->loopback))
		usage("--as, --loopback, --rendezvous and --weak-secret belong to quick mode: give --secret WORD too, "
		      "or PUNCH_SECRET");
	if (options->conf && !options->secret)
		unsetenv("PUNCH_SECRET");	/* the nearer wish counts */
	set_quick(options);
	if (options->secret || *variable("PUNCH_SECRET")) {
		if (!options->secret)
			tell_hidden_file();
		check_quick(options);
		return;
	}
	unsetenv("PUNCH_SECRET");
	if (options->conf)
		set("PUNCH_CONF", options->conf);
	check_file();
}

/* The folder of this program, with a slash at its end. Return: room behind it in @path */
static char *own_folder(char path[LIMIT_PATH], size_t room)
{
	ssize_t size = readlink("/proc/self/exe", path, LIMIT_PATH - room);
	char *slash;

	if (size < 0) {
		fprintf(stderr, "punch: cannot find out where punch lies: /proc/self/exe: %s\n", strerror(errno));
		exit(EX_OSERR);
	}
	path[size] = '\0';
	slash = strrchr(path, '/') + 1;
	*slash = '\0';
	return slash;
}

/* libpunch.so beside this program, or in PREFIX/lib/punch for one in PREFIX/bin */
static void find_library(char path[LIMIT_PATH])
{
	static const char name[] = "libpunch.so", installed[] = "../lib/punch/libpunch.so";
	char *end = own_folder(path, sizeof(installed));

	strcpy(end, name);
	if (access(path, R_OK) == 0)
		return;
	strcpy(end, installed);
	if (access(path, R_OK) == 0)
		return;
	*end = '\0';
	fprintf(stderr, "punch: libpunch.so is neither in %s nor in %s../lib/punch/\n", path, path);
	exit(EX_UNAVAILABLE);
}

/* Before other preloaded libraries: what they hook is then called by us */
static void preload(const char *library)
{
	const char *others = getenv("LD_PRELOAD");
	char *value;

	if (strchr(library, ' ') || strchr(library, ':')) {
		fprintf(stderr, "punch: \"%s\": the loader takes no path with a blank or a colon\n", library);
		exit(EX_UNAVAILABLE);
	}
	if (!others || !*others || strcmp(others, library) == 0) {
		set("LD_PRELOAD", library);
		return;
	}
	if (asprintf(&value, "%s:%s", library, others) < 0)
		exit(EX_OSERR);
	set("LD_PRELOAD", value);
	free(value);
}

static void warn(const struct program *program, bool any)
{
	static const char *const why[] = {
		[PROGRAM_DYNAMIC] = NULL,
		[PROGRAM_STATIC] = "is statically linked",
		[PROGRAM_GO] = "is a Go program, which does without the C library's socket calls",
		[PROGRAM_SETUID] = "is set-uid, set-gid or has capabilities, so the loader ignores LD_PRELOAD",
		[PROGRAM_FOREIGN] = "is built for another kind of machine than libpunch.so",
		[PROGRAM_UNKNOWN] = NULL,
	};
	bool served = program->kind == PROGRAM_STATIC || program->kind == PROGRAM_GO;

	_Static_assert(sizeof(why) / sizeof(why[0]) == PROGRAM_KIND_COUNT, "each kind has its words");
	if (!why[program->kind] || (served && any))
		return;
	fprintf(stderr, "punch: warning: %s %s: peers' names are unknown to it, connections to peers fail, and its "
		"ports are not published; use %s instead\n", program->path, why[program->kind],
		served ? "\"punch --any\", which serves it," : "\"punchctl dial\" and \"punchctl serve\"");
}

static void begin_any(char *const *command)
{
	char folder[LIMIT_PATH];
	int status;

	own_folder(folder, sizeof("punch-resolver"));
	status = any_begin(folder, command);
	if (status)
		exit(status);
	/* the library leaves sockets alone then */
	set("PUNCH_ANY", "1");
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	struct program program;
	char library[LIMIT_PATH], path[LIMIT_PATH];

	parse(argc, argv, &options);
	configure(&options);
	find_library(library);
	if (!program_find(options.command[0], path)) {
		fprintf(stderr, "punch: %s: command not found\n", options.command[0]);
		return EXIT_NOT_FOUND;
	}
	program_examine(path, &program);
	warn(&program, options.any);
	preload(library);
	if (options.any)
		begin_any(options.command);
	execv(path, options.command);
	if (errno == ENOEXEC && program.kind == PROGRAM_UNKNOWN)
		execvp(path, options.command);	/* a script without "#!": as shells do, by /bin/sh */
	fprintf(stderr, "punch: %s: %s\n", options.command[0], strerror(errno));
	return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}
