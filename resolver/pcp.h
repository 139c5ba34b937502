/* SPDX-License-Identifier: MIT */
/*
 * pcp.h - the messages of RFC 6887 that punch needs: MAP, and what a server that begins anew announces
 *
 * Pure (libc only). No library of Debian's speaks PCP.
 */
#ifndef PUNCH_PCP_H
#define PUNCH_PCP_H

#include <stddef.h>
#include <stdint.h>

#include "common/endpoint.h"

#define PCP_PORT	5351	/* of the server; NAT-PMP has the same */
#define PCP_MAP_SIZE	60	/* header (24) and MAP (36), request and response alike */
#define PCP_MAX		1100	/* RFC 6887 7: no message is larger */
#define PCP_NONCE	12

/**
 * struct pcp_map - a mapping that is asked for
 * @client:	own address, as the server must see it (RFC 6887 8.1)
 * @internal:	own port
 * @lifetime:	s; 0 ends the mapping
 * @suggested:	external address and port that are wished for, of @client's family; family and port may be 0
 * @nonce:	random; the same to renew and to end it (11.2)
 */
struct pcp_map {
	struct endpoint client;
	uint16_t internal;
	uint32_t lifetime;
	struct endpoint suggested;
	uint8_t nonce[PCP_NONCE];
};

/** pcp_request() - a MAP request for TCP */
void pcp_request(uint8_t out[PCP_MAP_SIZE], const struct pcp_map *map);

/**
 * pcp_response() - read what a server answered to pcp_request()
 * @external:	address and port given; of @map's family
 * @lifetime:	s that were given
 * Return: 0; -ENOMSG no answer to this request (go on waiting); -EPROTONOSUPPORT the server speaks
 * NAT-PMP or another version; -EACCES, -ENOSPC or -EREMOTEIO: it refuses (7.4)
 */
int pcp_response(const uint8_t *in, size_t size, const struct pcp_map *map, struct endpoint *external,
		 uint32_t *lifetime);

/**
 * pcp_epoch() - for how long has the server had its table (8.5)?
 * @in:		what pcp_response() took for an answer, or refused
 * Return: s
 */
uint32_t pcp_epoch(const uint8_t in[PCP_MAP_SIZE]);

/**
 * pcp_announcement() - read what came to all hosts: PCP's ANNOUNCE (14.1) or NAT-PMP's external
 * address (RFC 6886 3.2.1)
 * @epoch:	as above
 * Return: 0, -ENOMSG something else
 */
int pcp_announcement(const uint8_t *in, size_t size, uint32_t *epoch);

#endif
