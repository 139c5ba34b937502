/* SPDX-License-Identifier: MIT */
/*
 * pcp.c - the MAP request of RFC 6887, and its response; announcements
 *
 *	offset  size	request				response
 *	0       1	version 2			version 2 (0: NAT-PMP)
 *	1       1	opcode 1 (MAP)			0x80 + opcode
 *	2       2	reserved			reserved, result code
 *	4       4	lifetime			lifetime
 *	8      16	client's address		epoch, 12 reserved bytes
 *	24     12	nonce				the same
 *	36      4	protocol 6 (TCP), reserved	the same
 *	40      2	internal port			the same
 *	42      2	suggested external port		assigned external port
 *	44     16	suggested external address	assigned external address
 *
 * An announcement is a response of opcode 0: the first 24 bytes of the above, or NAT-PMP's 12 bytes
 *
 *	0       1	version 0
 *	1       1	0x80
 *	2       2	result code
 *	4       4	epoch
 *	8       4	external address
 *
 * IPv4 addresses are v4-mapped ones (5).
 */
#include "resolver/pcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define VERSION		2
#define OPCODE_MAP	1
#define RESPONSE	0x80	/* bit of the opcode */
#define OPCODE_ANNOUNCE	0
#define HEADER_SIZE	24
#define NATPMP_VERSION	0
#define NATPMP_ADDRESS_SIZE 12

/* Result codes (7.4) */
#define RESULT_SUCCESS		0
#define RESULT_UNSUPP_VERSION	1
#define RESULT_NOT_AUTHORIZED	2
#define RESULT_NO_RESOURCES	8
#define RESULT_USER_EX_QUOTA	10

static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

static void put16(uint8_t *p, unsigned int value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static void put32(uint8_t *p, uint32_t value)
{
	put16(p, value >> 16);
	put16(p + 2, value & 0xffff);
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* @family says what an unknown address looks like: ::ffff:0.0.0.0 or :: */
static void put_address(uint8_t *p, const struct endpoint *ep, int family)
{
	memset(p, 0, 16);
	if (family == AF_INET) {
		memcpy(p, v4_prefix, sizeof(v4_prefix));
		if (ep->family == AF_INET)
			memcpy(p + sizeof(v4_prefix), ep->address, 4);
	} else if (ep->family == AF_INET6) {
		memcpy(p, ep->address, 16);
	}
}

void pcp_request(uint8_t out[PCP_MAP_SIZE], const struct pcp_map *map)
{
	memset(out, 0, PCP_MAP_SIZE);
	out[0] = VERSION;
	out[1] = OPCODE_MAP;
	put32(out + 4, map->lifetime);
	put_address(out + 8, &map->client, map->client.family);
	memcpy(out + 24, map->nonce, PCP_NONCE);
	out[36] = IPPROTO_TCP;
	put16(out + 40, map->internal);
	put16(out + 42, map->suggested.port);
	put_address(out + 44, &map->suggested, map->client.family);
}

int pcp_response(const uint8_t *in, size_t size, const struct pcp_map *map, struct endpoint *external,
		 uint32_t *lifetime)
{
	memset(external, 0, sizeof(*external));
	*lifetime = 0;
	if (size < 4 || size > PCP_MAX || !(in[1] & RESPONSE))
		return -ENOMSG;
	if (in[0] != VERSION || in[3] == RESULT_UNSUPP_VERSION)
		return -EPROTONOSUPPORT;
	if (size < PCP_MAP_SIZE || in[1] != (RESPONSE | OPCODE_MAP) || memcmp(in + 24, map->nonce, PCP_NONCE) ||
	    in[36] != IPPROTO_TCP || get16(in + 40) != map->internal)
		return -ENOMSG;
	switch (in[3]) {
	case RESULT_SUCCESS:
		break;
	case RESULT_NOT_AUTHORIZED:
		return -EACCES;
	case RESULT_NO_RESOURCES:
	case RESULT_USER_EX_QUOTA:
		return -ENOSPC;
	default:
		return -EREMOTEIO;
	}
	*lifetime = get32(in + 4);
	external->port = get16(in + 42);
	external->family = memcmp(in + 44, v4_prefix, sizeof(v4_prefix)) ? AF_INET6 : AF_INET;
	if (external->family == AF_INET)
		memcpy(external->address, in + 44 + sizeof(v4_prefix), 4);
	else
		memcpy(external->address, in + 44, 16);
	return external->family == map->client.family && external->port ? 0 : -EREMOTEIO;
}

uint32_t pcp_epoch(const uint8_t in[PCP_MAP_SIZE])
{
	return get32(in + 8);
}

int pcp_announcement(const uint8_t *in, size_t size, uint32_t *epoch)
{
	if (size < 4 || size > PCP_MAX || in[1] != (RESPONSE | OPCODE_ANNOUNCE))
		return -ENOMSG;
	if (in[0] == VERSION && size >= HEADER_SIZE && in[3] == RESULT_SUCCESS)
		*epoch = get32(in + 8);
	else if (in[0] == NATPMP_VERSION && size >= NATPMP_ADDRESS_SIZE && !get16(in + 2))
		*epoch = get32(in + 4);
	else
		return -ENOMSG;
	return 0;
}
