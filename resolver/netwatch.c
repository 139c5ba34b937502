/* SPDX-License-Identifier: MIT */
/*
 * netwatch.c - notice that this host's network has changed
 *
 * rtnetlink speaks often and mostly of nothing: router advertisements renew
 * lifetimes, containers come and go.  What is said only starts a short wait
 * (NETWATCH_SETTLE, also because a change is never one message); then a digest of the
 * addresses that could carry packets, of the sources that the default routes
 * would choose, and of the routers that they lead to, is compared with the last one.  Equal: the uplinks
 * are checked, which costs a Ping.  Different: the prepared ports are worthless too and are probed again.
 *
 * Link-local addresses lead to no router, so they count only where there are no others: a container's interface has
 * one of IPv6 and nothing else.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/endpoint.h"
#include "common/hash.h"
#include "common/log.h"
#include "resolver/inlet.h"
#include "resolver/netwatch.h"
#include "resolver/ports.h"
#include "resolver/reach.h"
#include "resolver/serverless.h"
#include "resolver/timer.h"
#include "resolver/uplink.h"

#define NETWATCH_SETTLE	(300 * MS)	/* an interface that comes up says some ten things within this */
#define NETWATCH_GROUPS	(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | \
			 RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE)

struct netwatch {
	struct node *node;
	int fd;
	struct event *io;
	struct event *settle;
	uint64_t digest;
};

/* Tells changes apart, guards nothing */
static uint64_t mix(uint64_t digest, const void *data, size_t size)
{
	uint8_t seed[HASH_SEED_SIZE] = { 0 };

	memcpy(seed, &digest, sizeof(digest));
	return hash_bytes(seed, data, size);
}

static uint64_t mix_endpoint(uint64_t digest, const struct endpoint *ep)
{
	digest = mix(digest, &ep->family, sizeof(ep->family));
	return mix(digest, ep->address, sizeof(ep->address));
}

/* RFC 3927, RFC 4291 2.5.6 */
static bool is_link_local(const struct endpoint *ep)
{
	return ep->family == AF_INET ? ep->address[0] == 169 && ep->address[1] == 254 :
				       ep->address[0] == 0xfe && (ep->address[1] & 0xc0) == 0x80;
}

/* The same own address may be given by another router, as of another network of the same numbers */
static uint64_t mix_routes(uint64_t digest)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct endpoint ep;
	unsigned int i;

	for (i = 0; i < sizeof(families) / sizeof(*families); i++) {
		if (!reach_source(families[i], &ep))
			digest = mix_endpoint(digest, &ep);
		if (!reach_router(families[i], &ep))
			digest = mix_endpoint(digest, &ep);
	}
	return digest;
}

static uint64_t network_digest(void)
{
	uint64_t digest = 0, local = 0, *to;
	struct ifaddrs *list = NULL, *at;
	struct endpoint ep;

	if (getifaddrs(&list))
		list = NULL;	/* the digest changes: rather probe once too often */
	for (at = list; at; at = at->ifa_next) {
		if (!at->ifa_addr || !(at->ifa_flags & IFF_RUNNING) || at->ifa_flags & IFF_LOOPBACK ||
		    endpoint_from_sockaddr(&ep, at->ifa_addr, sizeof(struct sockaddr_in6)))
			continue;
		to = is_link_local(&ep) ? &local : &digest;
		*to = mix(*to, at->ifa_name, strlen(at->ifa_name));
		*to = mix_endpoint(*to, &ep);
	}
	freeifaddrs(list);
	return mix_routes(digest ? digest : local);
}

static void on_settled(evutil_socket_t fd, short what, void *arg)
{
	struct netwatch *watch = arg;
	struct node *node = watch->node;
	uint64_t digest = network_digest();
	bool changed = digest != watch->digest;
	unsigned int i;

	(void)fd;
	(void)what;
	watch->digest = digest;
	log_debug("netwatch: %s", changed ? "addresses or default routes changed" : "nothing that matters");
	for (i = 0; i < node->uplink_count; i++)
		if (changed || uplink_state(node->uplinks[i]) == UPLINK_READY)
			uplink_check(node->uplinks[i]);
		else
			uplink_wake(node->uplinks[i]);
	if (changed && node->ports)
		ports_on_uplink(node->ports);
	if (changed)
		inlets_restart(node->inlets);
	if (changed && node->serverless)
		serverless_on_network(node->serverless);
}

static void on_netlink(evutil_socket_t fd, short what, void *arg)
{
	struct netwatch *watch = arg;
	char junk[8192];
	ssize_t n;

	(void)what;
	/* What was said is looked up, not parsed; ENOBUFS (we were too slow) is a change as well */
	do {
		n = recv(fd, junk, sizeof(junk), MSG_DONTWAIT);
	} while (n > 0 || (n < 0 && (errno == EINTR || errno == ENOBUFS)));
	if (!evtimer_pending(watch->settle, NULL))
		timer_set(watch->settle, NETWATCH_SETTLE);
}

struct netwatch *netwatch_new(struct node *node)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = NETWATCH_GROUPS };
	struct netwatch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->node = node;
	watch->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (watch->fd < 0 || bind(watch->fd, (struct sockaddr *)&address, sizeof(address))) {
		log_info("netwatch: rtnetlink: %s; a changed network is noticed by keepalives only",
			 strerror(errno));
		goto fail;
	}
	watch->io = event_new(node->base, watch->fd, EV_READ | EV_PERSIST, on_netlink, watch);
	watch->settle = evtimer_new(node->base, on_settled, watch);
	if (!watch->io || !watch->settle || event_add(watch->io, NULL))
		goto fail;
	watch->digest = network_digest();
	return watch;
fail:
	netwatch_free(watch);
	return NULL;
}

void netwatch_free(struct netwatch *watch)
{
	if (!watch)
		return;
	if (watch->io)
		event_free(watch->io);
	if (watch->settle)
		event_free(watch->settle);
	if (watch->fd >= 0)
		close(watch->fd);
	free(watch);
}
