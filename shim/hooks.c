/* SPDX-License-Identifier: MIT */
/*
 * hooks.c - the names that a program finds here instead of in libc
 *
 * Each is an edge of a few lines: -1 and a valid errno of that call on
 * failure, errno untouched on success.  The C functions have names of their own and take libc's as
 * symbols, because libc's headers declare some of these with types of
 * its own invention.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "shim/config.h"
#include "shim/dial.h"
#include "shim/drain.h"
#include "shim/drop.h"
#include "shim/env.h"
#include "shim/hostent.h"
#include "shim/libc.h"
#include "shim/lookup.h"
#include "shim/pending.h"
#include "shim/raw.h"
#include "shim/remote.h"
#include "shim/send.h"
#include "shim/serve.h"

#define EXPORT(name) __asm__(name) __attribute__((visibility("default")))

int hook_connect(int fd, const struct sockaddr *address, socklen_t size) EXPORT("connect");
int hook_getsockopt(int fd, int level, int name, void *value, socklen_t *size) EXPORT("getsockopt");
int hook_setsockopt(int fd, int level, int name, const void *value, socklen_t size) EXPORT("setsockopt");
int hook_getpeername(int fd, struct sockaddr *address, socklen_t *size) EXPORT("getpeername");
ssize_t hook_send(int fd, const void *data, size_t count, int flags) EXPORT("send");
ssize_t hook_sendto(int fd, const void *data, size_t count, int flags, const struct sockaddr *address,
		    socklen_t size) EXPORT("sendto");
ssize_t hook_sendmsg(int fd, const struct msghdr *message, int flags) EXPORT("sendmsg");
int hook_listen(int fd, int backlog) EXPORT("listen");
int hook_accept(int fd, struct sockaddr *address, socklen_t *size) EXPORT("accept");
int hook_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags) EXPORT("accept4");
int hook_sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags) EXPORT("sendmmsg");
int hook_close(int fd) EXPORT("close");
int hook_shutdown(int fd, int how) EXPORT("shutdown");
int hook_setuid(uid_t uid) EXPORT("setuid");
int hook_seteuid(uid_t uid) EXPORT("seteuid");
int hook_setreuid(uid_t real, uid_t uid) EXPORT("setreuid");
int hook_setresuid(uid_t real, uid_t uid, uid_t saved) EXPORT("setresuid");
int hook_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		     struct addrinfo **result) EXPORT("getaddrinfo");
int hook_getaddrinfo_a(int mode, struct gaicb *list[], int count, struct sigevent *event) EXPORT("getaddrinfo_a");
int hook_getnameinfo(const struct sockaddr *address, socklen_t size, char *host, socklen_t host_size,
		     char *service, socklen_t service_size, int flags) EXPORT("getnameinfo");
struct hostent *hook_gethostbyname(const char *name) EXPORT("gethostbyname");
struct hostent *hook_gethostbyname2(const char *name, int family) EXPORT("gethostbyname2");
struct hostent *hook_gethostbyaddr(const void *address, socklen_t size, int family) EXPORT("gethostbyaddr");
int hook_gethostbyname_r(const char *name, struct hostent *entry, char *buffer, size_t size,
			 struct hostent **result, int *problem) EXPORT("gethostbyname_r");
int hook_gethostbyname2_r(const char *name, int family, struct hostent *entry, char *buffer, size_t size,
			  struct hostent **result, int *problem) EXPORT("gethostbyname2_r");
int hook_gethostbyaddr_r(const void *address, socklen_t address_size, int family, struct hostent *entry,
			 char *buffer, size_t size, struct hostent **result, int *problem) EXPORT("gethostbyaddr_r");

/* Not before: until then the environment is unread, and everything passes through */
__attribute__((constructor)) static void load(void)
{
	libc_init();
	env_init(NULL);
	config_init();
	serve_init();
}

int hook_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	return dial_connect(fd, address, size);
}

int hook_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	if (level == SOL_SOCKET && name == SO_ERROR && pending_any())
		return pending_getsockopt(fd, value, size);
	return libc_getsockopt(fd, level, name, value, size);
}

int hook_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	if (level == IPPROTO_TCP && name == TCP_DEFER_ACCEPT)
		return serve_setsockopt(fd, value, size);
	return libc_setsockopt(fd, level, name, value, size);
}

int hook_getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
	if (pending_any() && !pending_connected(fd))
		return -1;
	return remote_getpeername(fd, address, size);
}

ssize_t hook_send(int fd, const void *data, size_t count, int flags)
{
	return send_data(fd, data, count, flags);
}

ssize_t hook_sendto(int fd, const void *data, size_t count, int flags, const struct sockaddr *address,
		    socklen_t size)
{
	return send_to(fd, data, count, flags, address, size);
}

ssize_t hook_sendmsg(int fd, const struct msghdr *message, int flags)
{
	return send_message(fd, message, flags);
}

int hook_listen(int fd, int backlog)
{
	return serve_listen(fd, backlog);
}

int hook_accept(int fd, struct sockaddr *address, socklen_t *size)
{
	return serve_accept(fd, address, size, 0, false);
}

int hook_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
	return serve_accept(fd, address, size, flags, true);
}

int hook_sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags)
{
	return send_messages(fd, messages, count, flags);
}

int hook_close(int fd)
{
	return drain_close(fd);
}

int hook_shutdown(int fd, int how)
{
	return drain_shutdown(fd, how);
}

int hook_setuid(uid_t uid)
{
	drop_to(uid);
	return libc_setuid(uid);
}

int hook_seteuid(uid_t uid)
{
	drop_to(uid);
	return libc_seteuid(uid);
}

int hook_setreuid(uid_t real, uid_t uid)
{
	drop_to(uid == (uid_t)-1 ? real : uid);
	return libc_setreuid(real, uid);
}

int hook_setresuid(uid_t real, uid_t uid, uid_t saved)
{
	drop_to(uid);
	return libc_setresuid(real, uid, saved);
}

int hook_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		     struct addrinfo **result)
{
	return lookup_getaddrinfo(name, service, hints, result);
}

int hook_getaddrinfo_a(int mode, struct gaicb *list[], int count, struct sigevent *event)
{
	return lookup_getaddrinfo_a(mode, list, count, event);
}

int hook_getnameinfo(const struct sockaddr *address, socklen_t size, char *host, socklen_t host_size,
		     char *service, socklen_t service_size, int flags)
{
	return lookup_getnameinfo(address, size, host, host_size, service, service_size, flags);
}

struct hostent *hook_gethostbyname(const char *name)
{
	return hostent_by_name(name, 0);
}

struct hostent *hook_gethostbyname2(const char *name, int family)
{
	return hostent_by_name(name, family);
}

struct hostent *hook_gethostbyaddr(const void *address, socklen_t size, int family)
{
	return hostent_by_address(address, size, family);
}

int hook_gethostbyname_r(const char *name, struct hostent *entry, char *buffer, size_t size,
			 struct hostent **result, int *problem)
{
	return hostent_by_name_r(name, 0, entry, buffer, size, result, problem);
}

int hook_gethostbyname2_r(const char *name, int family, struct hostent *entry, char *buffer, size_t size,
			  struct hostent **result, int *problem)
{
	return hostent_by_name_r(name, family, entry, buffer, size, result, problem);
}

int hook_gethostbyaddr_r(const void *address, socklen_t address_size, int family, struct hostent *entry,
			 char *buffer, size_t size, struct hostent **result, int *problem)
{
	return hostent_by_address_r(address, address_size, family, entry, buffer, size, result, problem);
}
