/* SPDX-License-Identifier: MIT */
/*
 * ctl.h - the subcommands of punchctl, one file per family
 *
 * Each takes its own name as argv[0], as main() does, and returns punchctl's exit status.
 */
#ifndef PUNCH_CTL_H
#define PUNCH_CTL_H

enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 64,		/* EX_USAGE of sysexits.h */
	CTL_CONFIG = 78,	/* EX_CONFIG */
};

int ctl_keygen(int argc, char **argv);	/* ctl_keys.c */
int ctl_pubkey(int argc, char **argv);
int ctl_secret(int argc, char **argv);
int ctl_status(int argc, char **argv);	/* ctl_show.c */
int ctl_doctor(int argc, char **argv);
int ctl_ping(int argc, char **argv);
int ctl_stop(int argc, char **argv);
int ctl_dial(int argc, char **argv);	/* ctl_dial.c */
int ctl_serve(int argc, char **argv);	/* ctl_serve.c */

/**
 * ctl_usage() - "usage: punchctl NAME ..." of one subcommand on stderr, after a line that says
 * what is wrong (may be NULL). Return: CTL_USAGE
 */
int ctl_usage(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
