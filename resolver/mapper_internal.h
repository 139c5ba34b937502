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
 * @external:	where it is reached; of the last time, too, so that the same one is asked for again
 * @granted:	s, the gateway's word; a gateway that says nothing is taken to grant what was asked for
 * @nonce:	PCP's
 */
struct lease {
	uint16_t internal;
	struct endpoint external;
	uint32_t granted;
	uint8_t nonce[PCP_NONCE];
};

/*
 * Each asks the gateway for a mapping, a longer life of it, or (@lifetime 0) its end, and
 * blocks. Return: 0, or -errno: -ETIMEDOUT nobody answers, -ECONNREFUSED nobody listens,
 * -EPROTONOSUPPORT another protocol is spoken there, -EACCES or -EREMOTEIO it refuses.
 */
int mapper_pcp(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime);
int mapper_natpmp(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime);
int mapper_upnp(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime);

/** mapper_gateway() - IPv4 default gateway, from the routing table. Return: 0 or -ENETUNREACH */
int mapper_gateway(struct endpoint *gateway);

#endif
