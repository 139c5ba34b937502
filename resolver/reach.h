/* SPDX-License-Identifier: MIT */
/*
 * reach.h - INTERFACE - which own address would packets to the Internet leave from, and which router would they go to?
 */
#ifndef PUNCH_REACH_H
#define PUNCH_REACH_H

#include <stdbool.h>

#include "common/endpoint.h"

/*
 * Root servers, because they are public for certain and their addresses change once in decades; no packet
 * goes there.  (Documentation prefixes will not do: some hosts route them to "unreachable".)
 */
#define REACH_PUBLIC_IPV4	"198.41.0.4"
#define REACH_PUBLIC_IPV6	"2001:503:ba3e::2:30"

/**
 * reach_from() - the kernel's choice of source towards @to
 * A datagram socket is connected, which looks up the route and sends nothing.
 * @source:	port 0
 * Return: 0, or -errno: -ENETUNREACH no route, -EAFNOSUPPORT no such family on this host
 */
int reach_from(const struct endpoint *to, struct endpoint *source);

/** reach_routed() - has this host a route to @to, and an address of that family? */
bool reach_routed(const struct endpoint *to);

/**
 * reach_source() - reach_from() towards a public address
 * @family:	AF_INET or AF_INET6
 * Return: as reach_from(); -ENETUNREACH: no default route
 */
int reach_source(int family, struct endpoint *source);

/**
 * reach_router() - the router that packets to a public address go to
 * @family:	AF_INET or AF_INET6
 * @router:	port 0; family 0 when there is none
 * Return: 0, or -errno: -ENETUNREACH no such route, or one without a router
 */
int reach_router(int family, struct endpoint *router);

/** reach_has_global_ipv6() - does an interface carry an address of 2000::/3 (RFC 4291, 2.5.4)? */
bool reach_has_global_ipv6(void);

#endif
