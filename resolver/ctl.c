/* SPDX-License-Identifier: MIT */
/*
 * ctl.c - punchctl: keys, and questions to the resolver that runs
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "common/log.h"
#include "resolver/ctl.h"

struct command {
	const char *name;
	const char *args;
	const char *what;
	int (*main)(int argc, char **argv);
};

static const struct command commands[] = {
	{ "keygen", "[FILE]", "make a private key, print its public key", ctl_keygen },
	{ "pubkey", "[FILE]", "print the public key of a private key", ctl_pubkey },
	{ "secret", "", "print a new secret word for quick mode", ctl_secret },
	{ "status", "[--json]", "node, rendezvous, services, peers, connections", ctl_status },
	{ "doctor", "[--json]", "what this network lets through", ctl_doctor },
	{ "dial", "[--fdpass] PEER PORT", "join a peer's port to stdin and stdout, or pass the socket", ctl_dial },
	{ "serve", "--inetd PORT -- COMMAND [ARG...]", "run COMMAND for each peer that connects to PORT", ctl_serve },
	{ "ping", "[--json] PEER[:PORT]", "punch to a peer, show each step with its time", ctl_ping },
	{ "stop", "[--all]", "ask the resolver to leave, or all of this user", ctl_stop },
};
#define COMMANDS (sizeof(commands) / sizeof(*commands))

static const struct command *command_find(const char *name)
{
	size_t i;

	for (i = 0; i < COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void command_print(FILE *out, const struct command *command)
{
	fprintf(out, "usage: punchctl %s %s\n", command->name, command->args);
}

int ctl_usage(const char *name, const char *format, ...)
{
	va_list ap;

	if (format) {
		fprintf(stderr, "punchctl %s: ", name);
		va_start(ap, format);
		vfprintf(stderr, format, ap);
		va_end(ap);
		fputc('\n', stderr);
	}
	command_print(stderr, command_find(name));
	return CTL_USAGE;
}

static void print_all(FILE *out)
{
	size_t i;

	fputs("usage: punchctl COMMAND [ARG...]\n\n", out);
	for (i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-7s%-35s%s\n", commands[i].name, commands[i].args, commands[i].what);
	fputs("\nThe configuration is that of punch: PUNCH_SECRET (with PUNCH_AS, PUNCH_RENDEZVOUS), else\n"
	      "$PUNCH_CONF, $XDG_CONFIG_HOME/punch/punch.conf or /etc/punch/punch.conf.\n"
	      "Exit status: 0, 1 failure, 64 usage, 78 configuration.  See punchctl(1).\n", out);
}

/* What a whole buffer could not be written for shows only here */
static int finish(int status)
{
	if (fflush(stdout) || ferror(stdout)) {
		perror("punchctl: stdout");
		return CTL_FAILED;
	}
	return status;
}

static int is_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h");
}

int main(int argc, char **argv)
{
	const struct command *command;

	if (log_init("punchctl", secure_getenv("PUNCH_LOG"), secure_getenv("PUNCH_LOG_FILE")))
		log_warn("PUNCH_LOG = \"%s\": should be error, warn, info or debug; using warn",
			 secure_getenv("PUNCH_LOG"));
	if (argc < 2) {
		print_all(stderr);
		return CTL_USAGE;
	}
	if (is_help(argv[1]) || !strcmp(argv[1], "help")) {
		print_all(stdout);
		return finish(CTL_OK);
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("punchctl " PUNCH_VERSION);
		return finish(CTL_OK);
	}
	command = command_find(argv[1]);
	if (!command) {
		fprintf(stderr, "punchctl: no command \"%s\"\n", argv[1]);
		print_all(stderr);
		return CTL_USAGE;
	}
	if (argc > 2 && is_help(argv[2])) {
		command_print(stdout, command);
		printf("%s\n", command->what);
		return finish(CTL_OK);
	}
	return finish(command->main(argc - 1, argv + 1));
}
