/* SPDX-License-Identifier: MIT */
/*
 * reach_router.c - which router do packets to the Internet go to?
 *
 * The kernel is asked for the route to a public address (rtnetlink, RTM_GETROUTE), so that several routers, metrics
 * and rules count as they do for a connection. IPv6 routers have link-local addresses (RFC 4861 4.2).
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "resolver/reach.h"

#define ANSWER_MAX	4096	/* bytes; a route has some hundred */

struct question {
	struct nlmsghdr header;
	struct rtmsg body;
	struct rtattr attr;
	uint8_t to[16];		/* IPv4: its first four */
};

static size_t address_size(int family)
{
	return family == AF_INET6 ? 16 : 4;
}

/* The router and the interface out of an answer */
static void take_route(const uint8_t *data, size_t size, int family, struct endpoint *router)
{
	size_t at = NLMSG_LENGTH(NLMSG_ALIGN(sizeof(struct rtmsg)));
	struct rtattr attr;

	while (at + sizeof(attr) <= size) {
		memcpy(&attr, data + at, sizeof(attr));
		if (attr.rta_len < sizeof(attr) || attr.rta_len > size - at)
			return;
		if (attr.rta_type == RTA_GATEWAY && attr.rta_len == RTA_LENGTH(address_size(family))) {
			router->family = (uint16_t)family;
			memcpy(router->address, data + at + RTA_LENGTH(0), address_size(family));
		} else if (attr.rta_type == RTA_OIF && attr.rta_len == RTA_LENGTH(sizeof(router->scope))) {
			memcpy(&router->scope, data + at + RTA_LENGTH(0), sizeof(router->scope));
		}
		at += RTA_ALIGN(attr.rta_len);
	}
}

int reach_router(int family, struct endpoint *router)
{
	const uint32_t length = (uint32_t)(offsetof(struct question, to) + address_size(family));
	struct question question = {
		.header = { .nlmsg_len = length, .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST },
		.body = { .rtm_family = (unsigned char)family,
			  .rtm_dst_len = (unsigned char)(8 * address_size(family)) },
		.attr = { .rta_len = (unsigned short)RTA_LENGTH(address_size(family)), .rta_type = RTA_DST },
	};
	_Alignas(struct nlmsghdr) uint8_t data[ANSWER_MAX];
	struct endpoint public;
	struct nlmsghdr header;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), err = 0;
	ssize_t n;

	memset(router, 0, sizeof(*router));
	if (fd < 0)
		return -errno;
	endpoint_parse(&public, family == AF_INET6 ? REACH_PUBLIC_IPV6 : REACH_PUBLIC_IPV4, 0);
	memcpy(question.to, public.address, address_size(family));
	if (send(fd, &question, length, 0) < 0 || (n = recv(fd, data, sizeof(data), 0)) < 0) {
		err = -errno;
		goto out;
	}
	if ((size_t)n < sizeof(header)) {
		err = -EBADMSG;
		goto out;
	}
	memcpy(&header, data, sizeof(header));
	if (header.nlmsg_type == RTM_NEWROUTE && header.nlmsg_len <= (size_t)n)
		take_route(data, header.nlmsg_len, family, router);
	/* endpoint.h: a scope belongs to link-local addresses alone */
	if (!(router->family == AF_INET6 && router->address[0] == 0xfe && (router->address[1] & 0xc0) == 0x80))
		router->scope = 0;
	if (!router->family)
		err = -ENETUNREACH;
out:
	close(fd);
	return err;
}
