/* SPDX-License-Identifier: MIT */
/*
 * confine.c - what systemd does to a service by RestrictAddressFamilies=, SystemCallFilter= and NoNewPrivileges=
 *
 *	confine [-f FAMILY,...] [-s FILE] COMMAND [ARG...]
 *
 * -f: socket() of another family gives EAFNOSUPPORT; -s: a system call whose name is not a line of FILE kills the process.
 * As systemd 252 does it (src/shared/seccomp-util.c), with libseccomp, too; names that the kernel or libseccomp do not know are
 * passed over, as there.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct {
	const char *name;
	int number;
} families[] = {
	{ "AF_UNIX", AF_UNIX }, { "AF_INET", AF_INET }, { "AF_INET6", AF_INET6 }, { "AF_NETLINK", AF_NETLINK },
	{ "AF_PACKET", AF_PACKET },
};

static _Noreturn void fail(const char *what, int error)
{
	fprintf(stderr, "confine: %s: %s\n", what, strerror(error));
	exit(125);
}

static void load(scmp_filter_ctx filter)
{
	int rc = seccomp_load(filter);

	if (rc < 0)
		fail("cannot load a filter", -rc);
	seccomp_release(filter);
}

static void restrict_families(char *allowed)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	unsigned long bits = 0;

	if (!filter)
		fail("filter", ENOMEM);
	for (char *word = strtok(allowed, ","); word; word = strtok(NULL, ",")) {
		size_t i = 0;

		while (i < sizeof(families) / sizeof(*families) && strcmp(families[i].name, word) != 0)
			i++;
		if (i == sizeof(families) / sizeof(*families))
			fail(word, EINVAL);
		bits |= 1ul << families[i].number;
	}
	for (unsigned int family = 0; family < AF_MAX; family++)
		if (!(bits & 1ul << family))
			seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
					 SCMP_A0(SCMP_CMP_EQ, family));
	load(filter);
}

static void restrict_calls(const char *path)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	FILE *file = fopen(path, "re");
	unsigned int count = 0;
	char line[128];

	if (!filter || !file)
		fail(path, errno);
	while (fgets(line, sizeof(line), file)) {
		int number;

		line[strcspn(line, "\n")] = '\0';
		number = seccomp_syscall_resolve_name(line);
		if (number != __NR_SCMP_ERROR && seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0) == 0)
			count++;
	}
	fclose(file);
	if (count < 100)
		fail("fewer than 100 system calls are allowed", EINVAL);
	load(filter);
}

int main(int argc, char **argv)
{
	char *allowed = NULL;
	const char *calls = NULL;
	int c;

	while ((c = getopt(argc, argv, "+f:s:")) != -1) {
		if (c == 'f')
			allowed = optarg;
		else if (c == 's')
			calls = optarg;
		else
			return 125;
	}
	if (optind == argc)
		return 125;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fail("no_new_privs", errno);
	if (allowed)
		restrict_families(allowed);
	if (calls)
		restrict_calls(calls);
	execvp(argv[optind], argv + optind);
	fail(argv[optind], errno);
}
