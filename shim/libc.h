/* SPDX-License-Identifier: MIT */
/*
 * libc.h - the real functions behind the names that the shim hooks
 */
#ifndef PUNCH_SHIM_LIBC_H
#define PUNCH_SHIM_LIBC_H

#include <netdb.h>
#include <sys/socket.h>
#include <sys/types.h>

/** libc_init() - find those that may be called from a signal handler; called by the constructor */
void libc_init(void);

/** libc_is_glibc() - or something else, such as musl */
int libc_is_glibc(void);

/*
 * As in libc, errno and all.  Where libc lacks a function it fails with ENOSYS,
 * look-ups with EAI_SYSTEM or a NULL result.
 */
int libc_connect(int fd, const struct sockaddr *address, socklen_t size);
int libc_listen(int fd, int backlog);
int libc_accept(int fd, struct sockaddr *address, socklen_t *size);
int libc_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
int libc_getpeername(int fd, struct sockaddr *address, socklen_t *size);
int libc_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
int libc_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
ssize_t libc_send(int fd, const void *data, size_t count, int flags);
ssize_t libc_sendto(int fd, const void *data, size_t count, int flags, const struct sockaddr *address,
		    socklen_t size);
ssize_t libc_sendmsg(int fd, const struct msghdr *message, int flags);
int libc_sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags);
int libc_close(int fd);
int libc_shutdown(int fd, int how);
int libc_setuid(uid_t uid);
int libc_seteuid(uid_t uid);
int libc_setreuid(uid_t real_uid, uid_t uid);
int libc_setresuid(uid_t real_uid, uid_t uid, uid_t saved_uid);

int libc_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		     struct addrinfo **result);
int libc_getaddrinfo_a(int mode, struct gaicb *list[], int count, struct sigevent *event);
int libc_getnameinfo(const struct sockaddr *address, socklen_t size, char *host, socklen_t host_size,
		     char *service, socklen_t service_size, int flags);
struct hostent *libc_gethostbyname(const char *name);
struct hostent *libc_gethostbyname2(const char *name, int family);
struct hostent *libc_gethostbyaddr(const void *address, socklen_t size, int family);
int libc_gethostbyname_r(const char *name, struct hostent *entry, char *buffer, size_t size,
			 struct hostent **result, int *problem);
int libc_gethostbyname2_r(const char *name, int family, struct hostent *entry, char *buffer, size_t size,
			  struct hostent **result, int *problem);
int libc_gethostbyaddr_r(const void *address, socklen_t address_size, int family, struct hostent *entry,
			 char *buffer, size_t size, struct hostent **result, int *problem);

#endif
