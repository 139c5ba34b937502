/* SPDX-License-Identifier: MIT */
/*
 * mapper_router.c - which router do IPv6 packets to the Internet go to, and from which own address?
 *
 * The kernel is asked for the route to a public address (rtnetlink, RTM_GETROUTE), so that several routers, metrics
 * and rules count as they do for a connection. Routers have link-local addresses (RFC 4861 4.2).
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "resolver/mapper_internal.h"
#include "resolver/reach.h"

#define ANSWER_MAX	4096	/* bytes; a route has some hundred */

struct question {
	struct nlmsghdr header;
	struct rtmsg body;
	struct rtattr attr;
	uint8_t to[16];
};

/* The router and the interface out of an answer */
static void take_route(const uint8_t *data, size_t size, struct endpoint *router)
{
	size_t at = NLMSG_LENGTH(NLMSG_ALIGN(sizeof(struct rtmsg)));
	struct rtattr attr;

	while (at + sizeof(attr) <= size) {
		memcpy(&attr, data + at, sizeof(attr));
		if (attr.rta_len < sizeof(attr) || attr.rta_len > size - at)
			return;
		if (attr.rta_type == RTA_GATEWAY && attr.rta_len == RTA_LENGTH(sizeof(router->address))) {
			router->family = AF_INET6;
			memcpy(router->address, data + at + RTA_LENGTH(0), sizeof(router->address));
		} else if (attr.rta_type == RTA_OIF && attr.rta_len == RTA_LENGTH(sizeof(router->scope))) {
			memcpy(&router->scope, data + at + RTA_LENGTH(0), sizeof(router->scope));
		}
		at += RTA_ALIGN(attr.rta_len);
	}
}

static int ask_route(const struct endpoint *to, struct endpoint *router)
{
	struct question question = {
		.header = { .nlmsg_len = sizeof(question), .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST },
		.body = { .rtm_family = AF_INET6, .rtm_dst_len = 128 },
		.attr = { .rta_len = RTA_LENGTH(sizeof(question.to)), .rta_type = RTA_DST },
	};
	_Alignas(struct nlmsghdr) uint8_t data[ANSWER_MAX];
	struct nlmsghdr header;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), err = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	memcpy(question.to, to->address, sizeof(question.to));
	if (send(fd, &question, sizeof(question), 0) < 0 || (n = recv(fd, data, sizeof(data), 0)) < 0) {
		err = -errno;
		goto out;
	}
	if ((size_t)n < sizeof(header)) {
		err = -EBADMSG;
		goto out;
	}
	memcpy(&header, data, sizeof(header));
	if (header.nlmsg_type == RTM_NEWROUTE && header.nlmsg_len <= (size_t)n)
		take_route(data, header.nlmsg_len, router);
	if (!router->family)
		err = -ENETUNREACH;
out:
	close(fd);
	return err;
}

int mapper_router(struct endpoint *router, struct endpoint *own)
{
	struct endpoint public;
	int err = reach_source(AF_INET6, own);

	memset(router, 0, sizeof(*router));
	if (!err && (endpoint_is_private(own) || own->family != AF_INET6))
		err = -ENETUNREACH;
	if (!err)
		err = endpoint_parse(&public, REACH_PUBLIC_IPV6, 0);
	if (!err)
		err = ask_route(&public, router);
	/* endpoint.h: a scope belongs to link-local addresses alone */
	if (!err && !(router->address[0] == 0xfe && (router->address[1] & 0xc0) == 0x80))
		router->scope = 0;
	return err;
}
