/* SPDX-License-Identifier: MIT */
/*
 * accept.c - listening sockets of the servers, and accepting without running out of descriptors
 *
 * Descriptors are handed out lowest first, so the number of a new one says
 * how full the table is: nothing has to be counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/accept.h"

#define BACKLOG	1024	/* connections waiting for accept(); the kernel cuts it to net.core.somaxconn */

static unsigned int descriptor_limit = 1024;	/* what Linux gives when nobody changed it */

int accept_open(struct endpoint *ep, char *why, size_t size)
{
	char text[ENDPOINT_TEXT_SIZE];
	struct sockaddr_storage ss;
	const int on = 1;
	int fd, len, err;

	len = endpoint_to_sockaddr(ep, ep->family, &ss);
	fd = len < 0 ? len : socket(ep->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		err = len < 0 ? -len : errno;
		snprintf(why, size, "cannot make a socket for %s: %s", endpoint_format(ep, text),
			 strerror(err));
		return -err;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    (ep->family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on))) ||
	    bind(fd, (const struct sockaddr *)&ss, (socklen_t)len) || listen(fd, BACKLOG)) {
		err = errno;
		snprintf(why, size, "cannot listen on %s: %s", endpoint_format(ep, text),
			 strerror(err));
		close(fd);
		return -err;
	}
	err = endpoint_local(fd, ep);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* Errors of the one connection that was taken off the queue (accept(2)): look at the next */
static bool is_of_connection(int err)
{
	return err == EINTR || err == ECONNABORTED || err == EPROTO || err == EPERM ||
	       err == ENETDOWN || err == ENOPROTOOPT || err == EHOSTDOWN || err == ENONET ||
	       err == EHOSTUNREACH || err == ENETUNREACH || err == EOPNOTSUPP;
}

bool accept_is_reserved(int fd)
{
	return (unsigned int)fd + ACCEPT_RESERVE >= descriptor_limit;
}

/* Would the next descriptor be a reserved one? Others may have taken some since the last was accepted */
static bool is_full(int listener)
{
	int fd = fcntl(listener, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return true;
	close(fd);
	return accept_is_reserved(fd);
}

int accept_reserve(int listener, struct endpoint *from, bool *full)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd;

	if (is_full(listener))
		return -EMFILE;
	do {
		len = sizeof(ss);
		fd = accept4(listener, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	} while (fd < 0 && is_of_connection(errno));
	if (fd < 0)
		return errno == EAGAIN ? -EAGAIN : -EMFILE;
	if (endpoint_from_sockaddr(from, (const struct sockaddr *)&ss, len)) {
		close(fd);
		return -EAGAIN;
	}
	*full = accept_is_reserved(fd + 1);
	return fd;
}

unsigned int accept_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return descriptor_limit;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit))
			getrlimit(RLIMIT_NOFILE, &limit);
	}
	descriptor_limit = limit.rlim_cur > INT_MAX ? INT_MAX : (unsigned int)limit.rlim_cur;
	return descriptor_limit;
}
