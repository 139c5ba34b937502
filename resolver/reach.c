/* SPDX-License-Identifier: MIT */
/*
 * reach.c - which own address would packets to the Internet leave from?
 */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "resolver/reach.h"

int reach_from(const struct endpoint *to, struct endpoint *source)
{
	struct sockaddr_storage ss;
	int error, length, fd;

	length = endpoint_to_sockaddr(to, to->family, &ss);
	if (length < 0)
		return length;
	fd = socket(to->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	error = connect(fd, (struct sockaddr *)&ss, (socklen_t)length) ? -errno : endpoint_local(fd, source);
	source->port = 0;
	close(fd);
	return error;
}

int reach_source(int family, struct endpoint *source)
{
	struct endpoint public;

	endpoint_parse(&public, family == AF_INET6 ? REACH_PUBLIC_IPV6 : REACH_PUBLIC_IPV4, 53);
	return reach_from(&public, source);
}

bool reach_routed(const struct endpoint *to)
{
	struct endpoint source;
	int err = reach_from(to, &source);

	return err != -ENETUNREACH && err != -EAFNOSUPPORT && err != -EADDRNOTAVAIL;
}

bool reach_has_global_ipv6(void)
{
	struct ifaddrs *list, *at;
	struct endpoint ep;
	bool found = false;

	if (getifaddrs(&list))
		return false;
	for (at = list; at && !found; at = at->ifa_next)
		found = at->ifa_addr && at->ifa_addr->sa_family == AF_INET6 && at->ifa_flags & IFF_UP &&
			!endpoint_from_sockaddr(&ep, at->ifa_addr, sizeof(struct sockaddr_in6)) &&
			ep.family == AF_INET6 && (ep.address[0] & 0xe0) == 0x20;
	freeifaddrs(list);
	return found;
}
