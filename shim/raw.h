/* SPDX-License-Identifier: MIT */
/*
 * raw.h - system calls that pass by libc's names, and the guard around our work
 *
 * The shim's own I/O must never enter its own hooks, nor another preload's, so
 * everything here goes straight to the kernel.  All return >= 0 or -errno;
 * errno itself is left in disorder, which struct guard repairs.
 */
#ifndef PUNCH_SHIM_RAW_H
#define PUNCH_SHIM_RAW_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RAW_SIGSET_SIZE	8	/* bytes of the kernel's sigset_t, whatever libc's has */

/**
 * struct guard - one piece of our work inside a program's call
 * @errno_kept:	the program's errno
 * @signals:	the thread's signal mask
 *
 * All signals are held back meanwhile.  So a handler can neither leave by
 * siglongjmp() with one of our descriptors open and a table half written,
 * nor call a hook in the middle of a swap.  What waits inside waits for the resolver alone, but for 2 s in
 * drain.c: for an answer ASK_TIMEOUT_MS, for its start 10 s (start.c), and for another thread that asks about
 * the same socket (pending.c) 20 s, all of which take a millisecond as a rule.  Lines of the log are never waited for
 * (log_never_wait()). The long waits (connect, accept) are the kernel's own, outside of any guard.
 */
struct guard {
	int errno_kept;
	uint64_t signals;
};

/** raw_result() - @rc: of syscall(). Return: the same, or -errno */
static inline long raw_result(long rc)
{
	return rc < 0 ? -errno : rc;
}

/** guard_enter() - begin. @guard: filled in, for guard_leave() */
static inline void guard_enter(struct guard *guard)
{
	uint64_t all = ~0ull;

	guard->errno_kept = errno;
	syscall(SYS_rt_sigprocmask, 0 /* SIG_BLOCK */, &all, &guard->signals, RAW_SIGSET_SIZE);
}

/** guard_leave() - the end: the signal mask and errno are what the program had */
static inline void guard_leave(const struct guard *guard)
{
	syscall(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &guard->signals, NULL, RAW_SIGSET_SIZE);
	errno = guard->errno_kept;
}

static inline int raw_close(int fd)
{
	return (int)raw_result(syscall(SYS_close, fd));
}

static inline int raw_socket(int domain, int type, int protocol)
{
	return (int)raw_result(syscall(SYS_socket, domain, type, protocol));
}

static inline int raw_connect(int fd, const void *address, socklen_t size)
{
	return (int)raw_result(syscall(SYS_connect, fd, address, size));
}

static inline int raw_bind(int fd, const void *address, socklen_t size)
{
	return (int)raw_result(syscall(SYS_bind, fd, address, size));
}

static inline int raw_listen(int fd, int backlog)
{
	return (int)raw_result(syscall(SYS_listen, fd, backlog));
}

static inline int raw_getsockname(int fd, void *address, socklen_t *size)
{
	return (int)raw_result(syscall(SYS_getsockname, fd, address, size));
}

static inline int raw_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	return (int)raw_result(syscall(SYS_getsockopt, fd, level, name, value, size));
}

static inline int raw_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	return (int)raw_result(syscall(SYS_setsockopt, fd, level, name, value, size));
}

/** raw_sockopt_int() - an option that is an int. Return: its value (never negative for those used here) or -errno */
static inline int raw_sockopt_int(int fd, int level, int name)
{
	int value = 0;
	socklen_t size = sizeof(value);
	int rc = raw_getsockopt(fd, level, name, &value, &size);

	return rc < 0 ? rc : value;
}

static inline int raw_fcntl(int fd, int command, long argument)
{
	return (int)raw_result(syscall(SYS_fcntl, fd, command, argument));
}

/** raw_fstat() - as fstat(), whose name fakeroot and the thread sanitizer have their own ideas of */
static inline int raw_fstat(int fd, struct stat *st)
{
	return (int)raw_result(syscall(SYS_fstat, fd, st));
}

static inline int raw_dup3(int from, int to, int flags)
{
	return (int)raw_result(syscall(SYS_dup3, from, to, flags));
}

/** raw_replace() - @fresh behind the number @fd as well, which stays close-on-exec or not. Return: @fd or -errno */
static inline int raw_replace(int fd, int fresh)
{
	int flags = raw_fcntl(fd, F_GETFD, 0);

	if (flags < 0)
		return flags;
	return raw_dup3(fresh, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0);
}

static inline int raw_open(const char *path, int flags)
{
	return (int)raw_result(syscall(SYS_openat, AT_FDCWD, path, flags, 0));
}

static inline long raw_read(int fd, void *data, size_t size)
{
	return raw_result(syscall(SYS_read, fd, data, size));
}

/**
 * raw_cookie() - SO_COOKIE: names the kernel socket; the same across dup, fork, exec. Return: 0 when @fd is no socket
 */
static inline uint64_t raw_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	return raw_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) < 0 ? 0 : cookie;
}

/** raw_is_tls() - does the kernel make the records of @fd (TCP_ULP "tls")? False of anything else, a socket or not */
static inline bool raw_is_tls(int fd)
{
	char name[16] = { 0 };		/* TCP_ULP_NAME_MAX of the kernel */
	socklen_t size = sizeof(name);

	return raw_getsockopt(fd, IPPROTO_TCP, 31 /* TCP_ULP */, name, &size) == 0 && size >= 4 &&
	       name[0] == 't' && name[1] == 'l' && name[2] == 's' && name[3] == '\0';
}

/**
 * raw_plausible() - may a program have memory at @pointer?
 *
 * The first page and the kernel's half are nobody's.  What points there must reach the
 * kernel, which says EFAULT or whatever it looks at before: a look here would kill the program.  (A page that was
 * unmapped is not seen; to look safely would cost each call a system call.)  The upper
 * half is asked about on x86-64 alone: elsewhere the highest bits may be a tag.
 */
static inline bool raw_plausible(const void *pointer)
{
	uintptr_t page = (uintptr_t)pointer >> 12;

#ifdef __x86_64__
	if ((intptr_t)pointer < 0)
		return false;
#endif
	return page != 0 && page != UINTPTR_MAX >> 12;
}

static inline uid_t raw_euid(void)
{
	return (uid_t)syscall(SYS_geteuid);
}

#endif
