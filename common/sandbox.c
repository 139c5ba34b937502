/* SPDX-License-Identifier: MIT */
/*
 * sandbox.c - Landlock and seccomp
 *
 * Landlock first: its own system calls are not on the list of the second.  glibc 2.36 has no wrappers for them.
 * A ruleset "handles" rights: what is handled is forbidden but for the rules.  What the running kernel's version of
 * Landlock does not know is left out (its documentation calls that best effort); headers of the
 * machine that builds may be older than the kernel that runs, so newer rights have their numbers here.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/sockios.h>
#include <seccomp.h>

#include "common/log.h"
#include "common/sandbox.h"

/* <linux/landlock.h> of kernel 6.12; Debian 12 has 6.1 */
#define FS_REFER	(1ull << 13)	/* version 2 */
#define FS_TRUNCATE	(1ull << 14)	/* 3 */
#define FS_IOCTL_DEV	(1ull << 15)	/* 5 */
#define NET_BIND_TCP	(1ull << 0)	/* 4 */
#define NET_CONNECT_TCP	(1ull << 1)	/* 4 */
#define SCOPE_ABSTRACT_UNIX (1ull << 0)	/* 6 */
#define SCOPE_SIGNAL	(1ull << 1)	/* 6 */
#define RULE_NET_PORT	2		/* enum landlock_rule_type, version 4 */

#define VERSION_WHOLE	6	/* all that is used here */

#define FS_READ		(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)
#define FS_FILE		(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | \
			 FS_TRUNCATE | FS_IOCTL_DEV)	/* the rights that a single file can have */
#define FS_FIRST	((1ull << 13) - 1)	/* all of version 1 */

struct ruleset {
	uint64_t fs, net, scoped;
};

struct net_rule {
	uint64_t allowed, port;
};

/* ------------------------------------------------------------ Landlock */

static void handle(struct ruleset *set, const struct sandbox *sandbox, int version)
{
	memset(set, 0, sizeof(*set));
	set->fs = FS_FIRST | (version >= 2 ? FS_REFER : 0) | (version >= 3 ? FS_TRUNCATE : 0) |
		  (version >= 5 ? FS_IOCTL_DEV : 0);
	if (version >= 4)
		set->net = (sandbox->bind ? NET_BIND_TCP : 0) | (sandbox->connect ? NET_CONNECT_TCP : 0);
	if (version >= 6 && sandbox->alone)
		set->scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
}

/* Return: 0, -ENOENT (no such file: no rule is needed), -errno */
static int allow_path(int set, const char *path, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = { .parent_fd = open(path, O_PATH | O_CLOEXEC) };
	struct stat st;
	int err = 0;

	if (rule.parent_fd < 0)
		return -errno;
	rule.allowed_access = rights;
	if (fstat(rule.parent_fd, &st) || !S_ISDIR(st.st_mode))
		rule.allowed_access &= FS_FILE;
	if (syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
		err = -errno;
	close(rule.parent_fd);
	return err;
}

/*
 * A log is rotated: moved away and made anew.  So the right is the folder's; but for a terminal,
 * /dev/null or a FIFO it is that file's alone.
 */
static int allow_write(int set, const char *path, uint64_t rights)
{
	char folder[4096];
	struct stat st;
	char *slash;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return allow_path(set, path, rights);
	if ((size_t)snprintf(folder, sizeof(folder), "%s", path) >= sizeof(folder))
		return -ENAMETOOLONG;
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	return allow_path(set, slash ? folder : ".", rights);
}

static int allow_paths(int set, const char *const *paths, uint64_t rights,
		       int (*allow)(int set, const char *path, uint64_t rights), char *why, size_t size)
{
	int err;

	for (; paths && *paths; paths++) {
		err = allow(set, *paths, rights);
		/* what this process cannot reach now, it cannot reach later */
		if (err && err != -ENOENT && err != -ENOTDIR && err != -EACCES) {
			snprintf(why, size, "Landlock: %s: %s", *paths, strerror(-err));
			return err;
		}
	}
	return 0;
}

static int allow_ports(int set, const uint16_t *ports, uint64_t right)
{
	struct net_rule rule = { .allowed = right };

	for (; ports && *ports; ports++) {
		rule.port = *ports;
		if (syscall(SYS_landlock_add_rule, set, RULE_NET_PORT, &rule, 0))
			return -errno;
	}
	return 0;
}

static int allow_all(int set, const struct ruleset *handled, const struct sandbox *sandbox, char *why, size_t size)
{
	int err = allow_paths(set, sandbox->read, FS_READ, allow_path, why, size);

	if (!err)
		err = allow_paths(set, sandbox->execute, FS_READ | LANDLOCK_ACCESS_FS_EXECUTE, allow_path, why, size);
	if (!err)
		err = allow_paths(set, sandbox->write, FS_WRITE, allow_write, why, size);
	if (err)
		return err;
	if (handled->net & NET_BIND_TCP)
		err = allow_ports(set, sandbox->bind, NET_BIND_TCP);
	if (!err && (handled->net & NET_CONNECT_TCP))
		err = allow_ports(set, sandbox->connect, NET_CONNECT_TCP);
	if (err)
		snprintf(why, size, "Landlock: a port: %s", strerror(-err));
	return err;
}

static int enter_landlock(const struct sandbox *sandbox, char *why, size_t size)
{
	int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION), set, err;
	struct ruleset handled;

	if (version < 0) {	/* ENOSYS: not built in; EOPNOTSUPP: turned off at boot */
		snprintf(why, size, "this kernel has no Landlock");
		return 0;
	}
	if (version < VERSION_WHOLE)
		snprintf(why, size, "this kernel has version %d of Landlock, %d has more", version, VERSION_WHOLE);
	handle(&handled, sandbox, version);
	/* an older kernel takes a larger structure whose unknown end is zero */
	set = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);
	if (set < 0) {
		err = -errno;
		snprintf(why, size, "Landlock: %s", strerror(-err));
		return err;
	}
	err = allow_all(set, &handled, sandbox, why, size);
	if (!err && syscall(SYS_landlock_restrict_self, set, 0)) {
		err = -errno;
		snprintf(why, size, "Landlock: %s", strerror(-err));
	}
	close(set);
	return err;
}

/* ------------------------------------------------------------ seccomp */

/* What every server does: memory, time, its event loop, sockets that it has, a log, an orderly end */
static const char *const calls_of_all[] = {
	"read", "write", "readv", "writev", "close", "fcntl", "fstat", "newfstatat", "statx", "lseek", "dup",
	"epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl", "poll", "ppoll", "timerfd_settime",
	"accept", "accept4", "recvfrom", "recvmsg", "sendto", "sendmsg", "shutdown", "getsockname", "getpeername",
	"getsockopt", "setsockopt",
	"brk", "munmap", "mremap", "madvise", "futex", "membarrier",
	"clock_gettime", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "getrandom", "sysinfo",
	"prlimit64", "getrlimit",
	"getpid", "gettid", "getuid", "geteuid", "getgid", "getegid", "uname", "sched_yield", "sched_getaffinity",
	"rt_sigaction", "rt_sigprocmask", "rt_sigpending", "rt_sigtimedwait", "rt_sigreturn", "sigaltstack",
	"restart_syscall", "tgkill",
	"exit", "exit_group", NULL,
};

/* ioctl() has a thousand meanings; these are ours: bytes waiting in or out, and stdio's question for a terminal */
static const unsigned int ioctls[] = { FIONREAD, SIOCOUTQ, FIONBIO, TCGETS };

static int allow_calls(scmp_filter_ctx filter, const char *const *calls)
{
	int number, err = 0;

	for (; calls && *calls && !err; calls++) {
		number = seccomp_syscall_resolve_name(*calls);
		if (number >= 0)
			err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
	}
	return err;
}

/* Memory, which is not to become code where nothing is loaded any more; sockets that lead to the Internet alone */
static int allow_some(scmp_filter_ctx filter, const struct sandbox *sandbox)
{
	static const int memory[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) }, families[] = { AF_INET, AF_INET6 };
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < sizeof(memory) / sizeof(memory[0]); i++)
		err = sandbox->no_code ? seccomp_rule_add(filter, SCMP_ACT_ALLOW, memory[i], 1,
							  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) :
		      seccomp_rule_add(filter, SCMP_ACT_ALLOW, memory[i], 0);
	for (i = 0; !err && sandbox->internet && i < sizeof(families) / sizeof(families[0]); i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				       SCMP_A0_32(SCMP_CMP_EQ, (unsigned int)families[i], 0));
	for (i = 0; !err && i < sizeof(ioctls) / sizeof(ioctls[0]); i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1_32(SCMP_CMP_EQ, ioctls[i], 0));
	return err;
}

/* From here on the filter is in force. Return: 0 or -errno; releases @filter */
static int load(scmp_filter_ctx filter, int err, char *why, size_t size)
{
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	if (err == -ENOSYS || err == -EINVAL) {		/* CONFIG_SECCOMP_FILTER=n */
		snprintf(why, size, "this kernel has no seccomp filters");
		return 0;
	}
	if (err)
		snprintf(why, size, "seccomp: %s", strerror(-err));
	return err;
}

static int enter_seccomp(const struct sandbox *sandbox, char *why, size_t size)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err = filter ? 0 : -ENOMEM;

	if (!err)
		err = allow_calls(filter, calls_of_all);
	if (!err)
		err = allow_calls(filter, sandbox->calls);
	if (!err)
		err = allow_some(filter, sandbox);
	return load(filter, err, why, size);
}

int sandbox_enter(const struct sandbox *sandbox, char *why, size_t size)
{
	int landlock, seccomp;

	*why = '\0';
	landlock = enter_landlock(sandbox, why, size);
	seccomp = enter_seccomp(sandbox, why, size);	/* one is better than none, for who goes on all the same */
	return landlock ? landlock : seccomp;
}

/* ------------------------------------------------------------ the other way round: all but a list */

/* clone()'s flags are its first argument, except on s390, where the stack is */
#ifdef __s390__
#define CLONE_FLAGS	1
#else
#define CLONE_FLAGS	0
#endif

static int refuse_namespaces(scmp_filter_ctx filter)
{
	static const unsigned int kinds[] = {
		CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP,
	};
	unsigned int i;
	/* A filter cannot see what clone3() points to; without it C libraries use clone() */
	int err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	for (i = 0; !err && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				       SCMP_CMP64(CLONE_FLAGS, SCMP_CMP_MASKED_EQ, kinds[i], kinds[i]));
	return err;
}

/* Memory that is written is not run. Loaders of programs do not need it */
static int refuse_code(scmp_filter_ctx filter)
{
	const unsigned int both = PROT_WRITE | PROT_EXEC;
	int err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mmap), 1,
				   SCMP_A2(SCMP_CMP_MASKED_EQ, both, both));

	return err ? err : seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mprotect), 1,
					    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
}

int sandbox_refuse(const char *const *calls, char *why, size_t size)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int err = filter ? 0 : -ENOMEM, number;

	*why = '\0';
	for (; !err && *calls; calls++) {
		number = seccomp_syscall_resolve_name(*calls);
		if (number >= 0)
			err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
	}
	if (!err)
		err = refuse_namespaces(filter);
	if (!err)
		err = refuse_code(filter);
	return load(filter, err, why, size);
}
