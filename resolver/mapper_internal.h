/* SPDX-License-Identifier: MIT */
/*
 * mapper_internal.h - what the mapper*.c files share; nobody else includes it
 */
#ifndef PUNCH_MAPPER_INTERNAL_H
#define PUNCH_MAPPER_INTERNAL_H

#include "resolver/mapper.h"
#include "resolver/pcp.h"

#define MAPPER_LEASE	7200	/* s that are asked for: RFC 6886 3.3 recommends it, and gateways know it */

/**
 * struct lease - one port, mapped or to be mapped
 * @internal:	own port
 * @own:	own IPv6 address that a pinhole is for; family 0: an IPv4 mapping, the kernel chooses the address
 * @external:	where it is reached; of the last time, too, so that the same one is asked for again
 * @granted:	s, the gateway's word; a gateway that says nothing is taken to grant what was asked for
 * @told, @epoch:	the last answer held the gateway's clock, s
 * @nonce:	PCP's
 * @pinhole:	UPnP's number of a pinhole, as text
 */
struct lease {
	uint16_t internal;
	struct endpoint own;
	struct endpoint external;
	uint32_t granted;
	bool told;
	uint32_t epoch;
	uint8_t nonce[PCP_NONCE];
	char pinhole[8];
};

/**
 * mapper_pcp(), mapper_natpmp(), mapper_upnp() - each asks the gateway for a mapping, a longer life of it,
 * or (@lifetime 0) its end, and blocks. Return: 0, or -errno: -ETIMEDOUT nobody answers, -ECONNREFUSED
 * nobody listens, -EPROTONOSUPPORT another protocol is spoken there, -EACCES or -EREMOTEIO it refuses.
 */
int mapper_pcp(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime);
int mapper_natpmp(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime);
int mapper_upnp(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime);

/**
 * mapper_upnp_pinhole() - as mapper_upnp(), for IPv6: WANIPv6FirewallControl of a device on our own link
 * A gateway lets an address open pinholes for itself alone, so it is asked over IPv6. @lease->external is the own
 * address that it was asked from.
 */
int mapper_upnp_pinhole(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime);

/** mapper_listen() - a socket that hears announcements of one family. Return: descriptor or -errno */
int mapper_listen(int family);

/**
 * mapper_heard() - read one of them
 * @epoch:	s, see pcp.h
 * Return: 0; -EAGAIN no more; -ENOMSG something else was said; another -errno
 */
int mapper_heard(int fd, struct endpoint *from, uint32_t *epoch);

/**
 * mapper_router() - IPv6 router of the route to the Internet, and the own address that packets leave from
 * @router:	port 0
 * @own:	global, port 0
 * Return: 0, or -errno: -ENETUNREACH no such route, none through a router, or no global address
 */
int mapper_router(struct endpoint *router, struct endpoint *own);

/** mapper_gateway() - IPv4 default gateway, from the routing table. Return: 0 or -ENETUNREACH */
int mapper_gateway(struct endpoint *gateway);

#endif
