/* SPDX-License-Identifier: MIT */
/*
 * libc.c - the one place that calls dlsym()
 *
 * The constructor finds at once what may be called where a look-up could hurt: in a
 * signal handler, or in a child forked while another thread held the loader's lock.
 * Those are the functions that POSIX calls async-signal-safe.  Functions that look up names are not
 * (they load libraries themselves), so they are found at their first call, which
 * spares most programs the time.  No look-up here makes a system call.  A call
 * that arrives before the constructor ran, from another library's, looks its function up itself.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#include "shim/libc.h"

enum function {
	FUNCTION_CONNECT,
	FUNCTION_LISTEN,
	FUNCTION_ACCEPT,
	FUNCTION_ACCEPT4,
	FUNCTION_GETPEERNAME,
	FUNCTION_GETSOCKOPT,
	FUNCTION_SETSOCKOPT,
	FUNCTION_SEND,
	FUNCTION_SENDTO,
	FUNCTION_SENDMSG,
	FUNCTION_SENDMMSG,
	FUNCTION_CLOSE,
	FUNCTION_SHUTDOWN,
	FUNCTION_SETUID,
	FUNCTION_SETEUID,
	FUNCTION_SETREUID,
	FUNCTION_SETRESUID,
	FUNCTION_GETADDRINFO,		/* from here on: at the first call */
	FUNCTION_GETADDRINFO_A,
	FUNCTION_GETNAMEINFO,
	FUNCTION_GETHOSTBYNAME,
	FUNCTION_GETHOSTBYNAME2,
	FUNCTION_GETHOSTBYADDR,
	FUNCTION_GETHOSTBYNAME_R,
	FUNCTION_GETHOSTBYNAME2_R,
	FUNCTION_GETHOSTBYADDR_R,
	FUNCTION_COUNT
};

static const char *const names[] = {
	"connect", "listen", "accept", "accept4", "getpeername", "getsockopt", "setsockopt", "send",
	"sendto", "sendmsg", "sendmmsg", "close", "shutdown", "setuid", "seteuid", "setreuid", "setresuid",
	"getaddrinfo", "getaddrinfo_a", "getnameinfo", "gethostbyname", "gethostbyname2", "gethostbyaddr",
	"gethostbyname_r", "gethostbyname2_r", "gethostbyaddr_r",
};

_Static_assert(sizeof(names) / sizeof(names[0]) == FUNCTION_COUNT, "one name for each function");

/*
 * In .data, whose page the loader has written to already: found[] in .bss would be one more page to be
 * made at each program's start
 */
static _Atomic(void *) found[FUNCTION_COUNT] __attribute__((section(".data")));

static void *find(enum function f)
{
	void *function = atomic_load_explicit(&found[f], memory_order_relaxed);

	if (!function) {
		function = dlsym(RTLD_NEXT, names[f]);
		atomic_store_explicit(&found[f], function, memory_order_relaxed);
	}
	return function;
}

void libc_init(void)
{
	unsigned int f;

	for (f = 0; f < FUNCTION_GETADDRINFO; f++)
		find((enum function)f);
}

int libc_is_glibc(void)
{
	static _Atomic(int) known;	/* 1: it is, 2: it is not */
	int kind = atomic_load_explicit(&known, memory_order_relaxed);

	if (!kind) {
		kind = dlsym(RTLD_NEXT, "gnu_get_libc_version") ? 1 : 2;
		atomic_store_explicit(&known, kind, memory_order_relaxed);
	}
	return kind == 1;
}

/* "real" as a function of the right type; ISO C has no cast from void * to function pointer, POSIX does */
#define REAL(f, type, ...)						\
	union {								\
		void *address;						\
		type (*call)(__VA_ARGS__);				\
	} real = { .address = find(f) };				\
									\
	if (!real.address)						\
		errno = ENOSYS

int libc_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	REAL(FUNCTION_CONNECT, int, int, const struct sockaddr *, socklen_t);
	return real.address ? real.call(fd, address, size) : -1;
}

int libc_listen(int fd, int backlog)
{
	REAL(FUNCTION_LISTEN, int, int, int);
	return real.address ? real.call(fd, backlog) : -1;
}

int libc_accept(int fd, struct sockaddr *address, socklen_t *size)
{
	REAL(FUNCTION_ACCEPT, int, int, struct sockaddr *, socklen_t *);
	return real.address ? real.call(fd, address, size) : -1;
}

int libc_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
	REAL(FUNCTION_ACCEPT4, int, int, struct sockaddr *, socklen_t *, int);
	return real.address ? real.call(fd, address, size, flags) : -1;
}

int libc_getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
	REAL(FUNCTION_GETPEERNAME, int, int, struct sockaddr *, socklen_t *);
	return real.address ? real.call(fd, address, size) : -1;
}

int libc_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	REAL(FUNCTION_GETSOCKOPT, int, int, int, int, void *, socklen_t *);
	return real.address ? real.call(fd, level, name, value, size) : -1;
}

int libc_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	REAL(FUNCTION_SETSOCKOPT, int, int, int, int, const void *, socklen_t);
	return real.address ? real.call(fd, level, name, value, size) : -1;
}

ssize_t libc_send(int fd, const void *data, size_t count, int flags)
{
	REAL(FUNCTION_SEND, ssize_t, int, const void *, size_t, int);
	return real.address ? real.call(fd, data, count, flags) : -1;
}

ssize_t libc_sendto(int fd, const void *data, size_t count, int flags, const struct sockaddr *address,
		    socklen_t size)
{
	REAL(FUNCTION_SENDTO, ssize_t, int, const void *, size_t, int, const struct sockaddr *, socklen_t);
	return real.address ? real.call(fd, data, count, flags, address, size) : -1;
}

ssize_t libc_sendmsg(int fd, const struct msghdr *message, int flags)
{
	REAL(FUNCTION_SENDMSG, ssize_t, int, const struct msghdr *, int);
	return real.address ? real.call(fd, message, flags) : -1;
}

int libc_sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags)
{
	REAL(FUNCTION_SENDMMSG, int, int, struct mmsghdr *, unsigned int, int);
	return real.address ? real.call(fd, messages, count, flags) : -1;
}

int libc_close(int fd)
{
	REAL(FUNCTION_CLOSE, int, int);
	return real.address ? real.call(fd) : -1;
}

int libc_shutdown(int fd, int how)
{
	REAL(FUNCTION_SHUTDOWN, int, int, int);
	return real.address ? real.call(fd, how) : -1;
}

int libc_setuid(uid_t uid)
{
	REAL(FUNCTION_SETUID, int, uid_t);
	return real.address ? real.call(uid) : -1;
}

int libc_seteuid(uid_t uid)
{
	REAL(FUNCTION_SETEUID, int, uid_t);
	return real.address ? real.call(uid) : -1;
}

int libc_setreuid(uid_t real_uid, uid_t uid)
{
	REAL(FUNCTION_SETREUID, int, uid_t, uid_t);
	return real.address ? real.call(real_uid, uid) : -1;
}

int libc_setresuid(uid_t real_uid, uid_t uid, uid_t saved_uid)
{
	REAL(FUNCTION_SETRESUID, int, uid_t, uid_t, uid_t);
	return real.address ? real.call(real_uid, uid, saved_uid) : -1;
}

int libc_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		     struct addrinfo **result)
{
	REAL(FUNCTION_GETADDRINFO, int, const char *, const char *, const struct addrinfo *, struct addrinfo **);
	return real.address ? real.call(name, service, hints, result) : EAI_SYSTEM;
}

int libc_getaddrinfo_a(int mode, struct gaicb *list[], int count, struct sigevent *event)
{
	REAL(FUNCTION_GETADDRINFO_A, int, int, struct gaicb **, int, struct sigevent *);
	return real.address ? real.call(mode, list, count, event) : EAI_SYSTEM;
}

int libc_getnameinfo(const struct sockaddr *address, socklen_t size, char *host, socklen_t host_size,
		     char *service, socklen_t service_size, int flags)
{
	REAL(FUNCTION_GETNAMEINFO, int, const struct sockaddr *, socklen_t, char *, socklen_t, char *, socklen_t, int);
	return real.address ? real.call(address, size, host, host_size, service, service_size, flags) : EAI_SYSTEM;
}

struct hostent *libc_gethostbyname(const char *name)
{
	REAL(FUNCTION_GETHOSTBYNAME, struct hostent *, const char *);
	return real.address ? real.call(name) : NULL;
}

struct hostent *libc_gethostbyname2(const char *name, int family)
{
	REAL(FUNCTION_GETHOSTBYNAME2, struct hostent *, const char *, int);
	return real.address ? real.call(name, family) : NULL;
}

struct hostent *libc_gethostbyaddr(const void *address, socklen_t size, int family)
{
	REAL(FUNCTION_GETHOSTBYADDR, struct hostent *, const void *, socklen_t, int);
	return real.address ? real.call(address, size, family) : NULL;
}

/* The three _r forms: nothing found, and why */
static int lacking(struct hostent **result, int *problem)
{
	*result = NULL;
	*problem = NO_RECOVERY;
	return ENOSYS;
}

int libc_gethostbyname_r(const char *name, struct hostent *entry, char *buffer, size_t size,
			 struct hostent **result, int *problem)
{
	REAL(FUNCTION_GETHOSTBYNAME_R, int, const char *, struct hostent *, char *, size_t, struct hostent **, int *);
	return real.address ? real.call(name, entry, buffer, size, result, problem) : lacking(result, problem);
}

int libc_gethostbyname2_r(const char *name, int family, struct hostent *entry, char *buffer, size_t size,
			  struct hostent **result, int *problem)
{
	REAL(FUNCTION_GETHOSTBYNAME2_R, int, const char *, int, struct hostent *, char *, size_t,
	     struct hostent **, int *);
	return real.address ? real.call(name, family, entry, buffer, size, result, problem) :
	       lacking(result, problem);
}

int libc_gethostbyaddr_r(const void *address, socklen_t address_size, int family, struct hostent *entry,
			 char *buffer, size_t size, struct hostent **result, int *problem)
{
	REAL(FUNCTION_GETHOSTBYADDR_R, int, const void *, socklen_t, int, struct hostent *, char *, size_t,
	     struct hostent **, int *);
	return real.address ? real.call(address, address_size, family, entry, buffer, size, result, problem) :
	       lacking(result, problem);
}
