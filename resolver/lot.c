/* SPDX-License-Identifier: MIT */
/*
 * lot.c - listeners that answer nobody: where programs' sockets wait in SYN_SENT
 *
 * What is relied on here is shown in tests/platform/test_parked.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "resolver/lot.h"
#include "resolver/reply.h"
#include "resolver/sockdiag.h"

#define LOT_FILL_MS	1000	/* a loopback connection takes 0.05 ms */
#define LOT_CONNECT_US	1000	/* nobody answers: connect() is over at once, or never */

void lot_init(struct lot lots[LOT_COUNT])
{
	unsigned int i;

	for (i = 0; i < LOT_COUNT; i++) {
		lots[i].family = i ? AF_INET6 : AF_INET;
		lots[i].listener = lots[i].filler = -1;
	}
}

static void share_port(int fd)
{
	const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
}

static int connect_to(int fd, int family, const struct endpoint *ep)
{
	struct sockaddr_storage ss;
	int size = endpoint_to_sockaddr(ep, family, &ss);

	if (size < 0)
		return size;
	return connect(fd, (const struct sockaddr *)&ss, (socklen_t)size) < 0 ? -errno : 0;
}

static int bind_to(int fd, const struct endpoint *ep)
{
	struct sockaddr_storage ss;
	int size = endpoint_to_sockaddr(ep, ep->family, &ss);

	return bind(fd, (const struct sockaddr *)&ss, (socklen_t)size) < 0 ? -errno : 0;
}

/* The one connection that makes the backlog full */
static int lot_fill(struct lot *lot)
{
	struct pollfd pollfd = { .events = POLLOUT };
	int rc;

	lot->filler = socket(lot->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (lot->filler < 0)
		return -errno;
	rc = connect_to(lot->filler, lot->family, &lot->address);
	if (rc < 0 && rc != -EINPROGRESS)
		return rc;
	pollfd.fd = lot->filler;
	while ((rc = poll(&pollfd, 1, LOT_FILL_MS)) < 0 && errno == EINTR)
		;
	return rc == 1 && !(pollfd.revents & (POLLERR | POLLHUP)) ? 0 : -ETIMEDOUT;
}

void lot_close(struct lot *lot)
{
	if (lot->filler >= 0)
		close(lot->filler);
	if (lot->listener >= 0)
		close(lot->listener);
	lot->filler = lot->listener = -1;
}

static int lot_open(struct lot *lot)
{
	const int on = 1;
	int rc;

	if (lot->listener >= 0)
		return 0;
	lot->listener = socket(lot->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (lot->listener < 0)
		return -errno;
	if (lot->family == AF_INET6)
		setsockopt(lot->listener, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	share_port(lot->listener);
	endpoint_parse(&lot->address, lot->family == AF_INET ? LOT_ADDRESS : "::1", 0);
	rc = bind_to(lot->listener, &lot->address);
	if (rc == 0 && listen(lot->listener, 0) < 0)
		rc = -errno;
	if (rc == 0)
		rc = endpoint_local(lot->listener, &lot->address);
	if (rc == 0)
		rc = lot_fill(lot);
	if (rc < 0)
		lot_close(lot);
	return rc;
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &size) < 0 ? -1 : value;
}

int lot_family(int fd)
{
	return option(fd, SO_DOMAIN);
}

int lot_examine(int fd, struct local_reply *reply)
{
	char device[IF_NAMESIZE] = "";
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info), device_size = sizeof(device);
	int family = option(fd, SO_DOMAIN), flags = fcntl(fd, F_GETFL);

	if ((family != AF_INET && family != AF_INET6) || option(fd, SO_TYPE) != SOCK_STREAM ||
	    option(fd, SO_PROTOCOL) != IPPROTO_TCP)
		reply_fail(reply, EPROTONOSUPPORT, "only a plain TCP socket can reach a peer (domain %d, type %d, "
			   "protocol %d)", family, option(fd, SO_TYPE), option(fd, SO_PROTOCOL));
	else if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 || info.tcpi_state != TCP_CLOSE)
		reply_fail(reply, EISCONN, "the socket is connected, connecting or listening already");
	else if (flags < 0 || !(flags & O_NONBLOCK))
		reply_fail(reply, EINVAL, "only a non-blocking socket can be parked");
	else if (!sockdiag_is_ours(fd))
		reply_fail(reply, EXDEV, "the socket belongs to another network namespace than this resolver");
	else if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &device_size) == 0 && device[0] &&
		 strcmp(device, "lo") != 0)
		reply_fail(reply, EOPNOTSUPP,
			   "the socket is bound to device %s, and cannot reach a peer by another path", device);
	else
		return 0;
	return -reply->error;
}

/*
 * The socket is the program's, and so are its flags: a process that shares it may have cleared
 * O_NONBLOCK since we looked, and connect() would hold us for two minutes.
 */
static int connect_promptly(int fd, int family, const struct endpoint *ep)
{
	const struct timeval moment = { .tv_usec = LOT_CONNECT_US };
	struct timeval before = { 0 };		/* no limit */
	socklen_t size = sizeof(before);
	int rc;

	getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &before, &size);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &moment, sizeof(moment));
	rc = connect_to(fd, family, ep);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &before, sizeof(before));
	return rc;
}

/* Put the program's socket into SYN_SENT */
static int park_at(struct lot *lot, int fd, int family)
{
	int rc = lot_open(lot);

	if (rc < 0)
		return rc;
	rc = connect_promptly(fd, family, &lot->address);
	if (rc == -ECONNABORTED)	/* what Linux says once to a socket whose last connect() failed */
		rc = connect_promptly(fd, family, &lot->address);
	if (rc == 0)
		return -EPROTO;		/* it was answered: this kernel does not drop */
	return rc == -EINPROGRESS ? 0 : rc;
}

int lot_park(struct lot lots[LOT_COUNT], int fd, const struct lot **where)
{
	int family = option(fd, SO_DOMAIN), v6only = 0, error = 0, off = 0, rc = -EAFNOSUPPORT;
	socklen_t size = sizeof(v6only), error_size = sizeof(error);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size);	/* of an earlier try */
	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &off, sizeof(off));
	if (family == AF_INET6)
		getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &size);
	if (!v6only) {
		*where = &lots[0];
		rc = park_at(&lots[0], fd, family);
	}
	if (rc < 0 && family == AF_INET6) {	/* IPv6 only, also by being bound to an IPv6 address */
		*where = &lots[1];
		rc = park_at(&lots[1], fd, family);
	}
	return rc;
}

int lot_cross(const struct lot *lot, const struct endpoint *program)
{
	const int most = 255;	/* hops: the program may demand it (RFC 5082), here it is true */
	int fd = socket(lot->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;

	if (fd < 0)
		return -errno;
	setsockopt(fd, lot->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
		   lot->family == AF_INET ? IP_TTL : IPV6_UNICAST_HOPS, &most, sizeof(most));
	share_port(fd);
	rc = bind_to(fd, &lot->address);
	if (rc == 0)
		rc = connect_to(fd, lot->family, program);
	if (rc == 0 || rc == -EINPROGRESS)
		return fd;
	close(fd);
	return rc;
}
