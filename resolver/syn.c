/* SPDX-License-Identifier: MIT */
/*
 * syn.c - the first packet of a connection, without waiting for what comes of it
 */
#include "resolver/syn.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* The kernel compares IP_MINTTL with the TTL quoted in an ICMP time-exceeded, and so does not let a router's
 * answer to a low-TTL SYN kill the socket (tests/platform/test_minttl.c) */
#define SYN_MINTTL	2

int syn_connect(int fd, int family, const struct endpoint *to)
{
	struct sockaddr_storage ss;
	int length = endpoint_to_sockaddr(to, family, &ss);

	if (length < 0)
		return length;
	return connect(fd, (struct sockaddr *)&ss, (socklen_t)length) && errno != EINPROGRESS ? -errno : 0;
}

int syn_punch(int fd, int family, const struct endpoint *to, unsigned int ttl)
{
	int least = SYN_MINTTL, low = (int)ttl, standard = -1, err;

	if (to->family != AF_INET)
		return syn_connect(fd, family, to);
	/* A kernel without it (one of those that only look like Linux): the SYN is worth sending all the same */
	setsockopt(fd, IPPROTO_IP, IP_MINTTL, &least, sizeof(least));
	if (ttl && setsockopt(fd, IPPROTO_IP, IP_TTL, &low, sizeof(low)))
		return -errno;
	err = syn_connect(fd, family, to);
	/* At once: the SYN has left, everything after it must reach the far end */
	if (ttl)
		setsockopt(fd, IPPROTO_IP, IP_TTL, &standard, sizeof(standard));
	return err;
}
