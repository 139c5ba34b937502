/* SPDX-License-Identifier: MIT */
/*
 * mapper_announce.c - hear a gateway say that it has begun anew
 *
 * It says so to all hosts of the link, 224.0.0.1 and ff02::1, port 5350 (RFC 6887 14.1, RFC 6886
 * 3.2.1). Every host is in these groups, so nothing has to be joined; several processes may listen, and
 * each hears it. One socket a family: a dual-stack one hears no IPv4 multicast that it did not join.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "resolver/mapper_internal.h"

#define ANNOUNCE_PORT	5350

int mapper_listen(int family)
{
	const struct sockaddr_in6 all6 = { .sin6_family = AF_INET6, .sin6_port = htons(ANNOUNCE_PORT) };
	const struct sockaddr_in all4 = { .sin_family = AF_INET, .sin_port = htons(ANNOUNCE_PORT) };
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, err;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on))) ||
	    (family == AF_INET6 ? bind(fd, (const struct sockaddr *)&all6, sizeof(all6)) :
	     bind(fd, (const struct sockaddr *)&all4, sizeof(all4)))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int mapper_heard(int fd, struct endpoint *from, uint32_t *epoch)
{
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	uint8_t in[PCP_MAX + 1];
	ssize_t n = recvfrom(fd, in, sizeof(in), MSG_DONTWAIT, (struct sockaddr *)&ss, &size);

	if (n < 0)
		return -errno;
	if (endpoint_from_sockaddr(from, (const struct sockaddr *)&ss, size))
		return -ENOMSG;
	return pcp_announcement(in, (size_t)n, epoch);
}
