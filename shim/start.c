/* SPDX-License-Identifier: MIT */
/*
 * start.c - bring the resolver to life from inside any program
 *
 * Theory of operation
 *
 * The program must not notice.  So no fork(): pthread_atfork handlers would
 * run, and a large program's page tables would be copied.  Instead, twice, a clone() that shares the
 * memory (CLONE_VM) and stops its parent until it is done (CLONE_VFORK):
 *
 *	program's thread --- helper --- punch-resolver --background
 *
 * The helper has exit signal 0: it raises no SIGCHLD and is invisible to a
 * wait() of the program, which lacks __WCLONE.  The resolver cannot be that process
 * itself, for execve() sets the exit signal back to SIGCHLD.  The helper has descriptors
 * and signal handlers of its own, so both may close and reset as they like;
 * in memory they write to nothing but their stacks, struct start, and errno.
 *
 * punch-resolver --background daemonises: the process we started ends with 0
 * once a resolver listens (this one, or another that was faster), otherwise with another status
 * after a line on stderr.  A pidfd, in the helper, bounds the wait.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "common/log.h"
#include "shim/env.h"
#include "shim/raw.h"
#include "shim/start.h"

#define STACK_SIZE	65536	/* bytes; the child's frames need about a tenth */
#define START_LIMIT_S	10	/* a start takes 20 ms; a disk that wakes up takes seconds */
#define FD_MOST		65536	/* without close_range(): no higher descriptor is looked for */
#define SIGNALS		64	/* the kernel's _NSIG */

/*
 * Functions that run on the helper's stack, which ends without unwinding: the
 * address sanitizer would take its leavings for objects of the next one.
 */
#define UNSANITIZED __attribute__((no_sanitize_address))

/* The kernel's struct sigaction, all zero: SIG_DFL */
struct kernel_sigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

/**
 * struct start - shared by all sides of the clones
 * @keep_stderr:	descriptor 2 is a place for messages
 * @result:		exit status of the process started, or -errno of what failed before
 * @error:		of execve()
 */
struct start {
	const char *path;
	char *const *environment;
	bool keep_stderr;
	char *stack;		/* the helper's, then as many bytes for the second */
	volatile int result;
	volatile int error;
};

/* Defaults for all; they stay blocked */
UNSANITIZED static void reset_handlers(void)
{
	const struct kernel_sigaction by_default = { 0 };
	int n;

	for (n = 1; n <= SIGNALS; n++)
		syscall(SYS_rt_sigaction, n, &by_default, NULL, RAW_SIGSET_SIZE);
}

/*
 * A server with seteuid() in force: a process whose two users differ counts as
 * set-uid and would ignore its environment.
 */
UNSANITIZED static void become_effective(void)
{
	long uid = syscall(SYS_geteuid), gid = syscall(SYS_getegid);

	syscall(SYS_setresgid, gid, gid, gid);
	syscall(SYS_setresuid, uid, uid, uid);
}

UNSANITIZED static void arrange_descriptors(bool keep_stderr)
{
	int null = raw_open("/dev/null", O_RDWR), last = keep_stderr ? 1 : 2, fd;

	for (fd = 0; fd <= last; fd++) {
		if (null >= 0 && null != fd)
			raw_dup3(null, fd, 0);
		else if (null < 0)
			raw_close(fd);
	}
	if (syscall(SYS_close_range, 3, ~0u, 0) < 0) {
		for (fd = 3; fd < FD_MOST; fd++)
			raw_close(fd);
	}
}

UNSANITIZED static int become_resolver(void *argument)
{
	static char name[] = "punch-resolver", background[] = "--background";
	char *const arguments[] = { name, background, NULL };
	struct start *start = argument;
	uint64_t nothing = 0;

	become_effective();
	syscall(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &nothing, NULL, RAW_SIGSET_SIZE);
	start->error = (int)-raw_result(syscall(SYS_execve, start->path, arguments, start->environment));
	syscall(SYS_exit_group, 127);
	return 127;
}

/* Return: exit status of @pid, or -errno */
UNSANITIZED static int await(int pid, int pidfd)
{
	const struct timespec limit = { .tv_sec = START_LIMIT_S };
	struct pollfd pollfd = { .fd = pidfd, .events = POLLIN };
	int status = 0;
	long rc;

	rc = raw_result(syscall(SYS_ppoll, &pollfd, 1, &limit, NULL, RAW_SIGSET_SIZE));
	if (rc == 0)
		return -ETIMEDOUT;	/* left to itself: init will reap it */
	rc = raw_result(syscall(SYS_wait4, pid, &status, 0, NULL));
	if (rc < 0)
		return (int)rc;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

UNSANITIZED static int help(void *argument)
{
	struct start *start = argument;
	int pid, pidfd = -1;

	reset_handlers();	/* an ignored SIGCHLD would make the status disappear */
	arrange_descriptors(start->keep_stderr);
	pid = clone(become_resolver, start->stack + 2 * STACK_SIZE, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
		    start, &pidfd);
	start->result = pid < 0 ? -errno : await(pid, pidfd);
	syscall(SYS_exit_group, 0);
	return 0;
}

/* Fills start->result */
static void run(struct start *start)
{
	int pid;

	start->stack = mmap(NULL, 2 * STACK_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (start->stack == MAP_FAILED) {
		start->result = -ENOMEM;
		return;
	}
	pid = clone(help, start->stack + STACK_SIZE, CLONE_VM | CLONE_VFORK, start);
	if (pid < 0)
		start->result = -errno;
	else
		syscall(SYS_wait4, pid, NULL, __WCLONE, NULL);
	munmap(start->stack, 2 * STACK_SIZE);
}

int start_resolver(void)
{
	struct start start = {
		.path = env_resolver(),
		.environment = env_array(),
		.keep_stderr = log_stderr_usable(),
	};

	if (!start.path[0]) {
		log_error("cannot start punch-resolver: the folder of libpunch.so is unknown");
		return -ENOENT;
	}
	run(&start);
	if (start.error) {
		log_error("cannot start %s: %s", start.path, strerror(start.error));
		return -start.error;
	}
	if (start.result < 0) {
		log_error("cannot start %s: %s", start.path, strerror(-start.result));
		return start.result;
	}
	if (start.result > 0) {		/* it has said why */
		log_debug("%s ended with status %d", start.path, start.result);
		return -ECHILD;
	}
	return 0;
}
