/* SPDX-License-Identifier: MIT */
/*
 * pair.c - two ends of one TCP connection within this host
 *
 * A listener of its own for each pair, for as long as it takes.  Anybody on this host can connect to
 * it: what was accepted must be the other end of what we connected.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/endpoint.h"
#include "resolver/pair.h"

#define PAIR_TRIES	4	/* somebody who fills each listener before us must know its port at once */

/* The kernel connects within 0.1 ms, unless somebody has filled the backlog */
static const struct timeval pair_patience = { .tv_usec = 200000 };

static int bind_there(int fd, int family)
{
	struct sockaddr_storage ss;
	struct endpoint at;
	int size;

	endpoint_parse(&at, PAIR_ADDRESS, 0);
	size = endpoint_to_sockaddr(&at, family, &ss);
	return bind(fd, (const struct sockaddr *)&ss, (socklen_t)size) < 0 ? -errno : 0;
}

static int connect_there(int fd, int family, const struct endpoint *at)
{
	const struct timeval none = { 0 };
	struct sockaddr_storage ss;
	int size = endpoint_to_sockaddr(at, family, &ss);

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &pair_patience, sizeof(pair_patience));
	if (connect(fd, (const struct sockaddr *)&ss, (socklen_t)size) < 0)
		return errno == EINPROGRESS ? -ECONNABORTED : -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
	return 0;
}

/* Are they each other's ends? */
static bool is_pair(int a, int b)
{
	struct endpoint near, far;

	return endpoint_local(a, &near) == 0 && endpoint_remote(b, &far) == 0 && endpoint_equal(&near, &far);
}

static int join(int listener, int family, int ends[2])
{
	struct endpoint at;
	int rc;

	rc = bind_there(listener, family);
	if (rc == 0 && listen(listener, 1) < 0)
		rc = -errno;
	if (rc == 0)
		rc = endpoint_local(listener, &at);
	if (rc == 0)
		rc = bind_there(ends[0], family);
	if (rc == 0)
		rc = connect_there(ends[0], family, &at);
	if (rc < 0)
		return rc;
	ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (ends[1] < 0)
		return -errno;
	return is_pair(ends[0], ends[1]) ? 0 : -ECONNABORTED;
}

/*
 * Nothing is lost within a host. Another algorithm may pace (bbr does): timers and wake-ups for
 * nothing, measured as 8 % of what a pump costs
 */
static void set_unpaced(int fd)
{
	static const char name[] = "reno";	/* the one that each kernel has, and lets everybody choose */

	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, sizeof(name) - 1);
}

static int try(int family, int ends[2])
{
	int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = -EMFILE, i;

	ends[0] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ends[1] = -1;
	set_unpaced(listener);			/* what it accepts has it, too */
	set_unpaced(ends[0]);
	if (listener >= 0 && ends[0] >= 0)
		rc = join(listener, family, ends);
	if (listener >= 0)
		close(listener);
	for (i = 0; rc < 0 && i < 2; i++) {
		if (ends[i] >= 0)
			close(ends[i]);
		ends[i] = -1;
	}
	return rc;
}

int pair_make(int family, int ends[2])
{
	int rc = -ECONNABORTED, i;

	for (i = 0; rc == -ECONNABORTED && i < PAIR_TRIES; i++)
		rc = try(family, ends);
	return rc;
}
