/* SPDX-License-Identifier: MIT */
/*
 * standin.c - stand-in addresses and the doorbell pool
 *
 * The two tests on raw addresses run for each connect() and accept() of a
 * program under the shim: they read at most 16 bytes and call nothing.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "common/standin.h"

#define STANDIN_NET	0xefc00000u	/* 239.192.0.0, host order */
#define STANDIN_MASK	0xfffc0000u	/* /14 */

/* ff18:7075:6e63:6800::/64; transient, organisation-local; "punch" in ASCII */
static const uint8_t standin_prefix[8] = { 0xff, 0x18, 0x70, 0x75, 0x6e, 0x63, 0x68, 0x00 };
static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

void standin_endpoint(struct endpoint *ep, int family, uint32_t slot, uint16_t port)
{
	uint32_t address = family == AF_INET ? STANDIN_NET + slot : slot;
	uint8_t *low;

	memset(ep, 0, sizeof(*ep));
	ep->family = (uint16_t)family;
	ep->port = port;
	low = family == AF_INET ? ep->address : ep->address + 12;
	if (family != AF_INET)
		memcpy(ep->address, standin_prefix, sizeof(standin_prefix));
	low[0] = (uint8_t)(address >> 24);
	low[1] = (uint8_t)(address >> 16);
	low[2] = (uint8_t)(address >> 8);
	low[3] = (uint8_t)address;
}

static uint32_t load32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint32_t standin_slot(const struct endpoint *ep)
{
	uint32_t slot;

	if (ep->family == AF_INET) {
		slot = load32(ep->address);
		if ((slot & STANDIN_MASK) != STANDIN_NET)
			return 0;
		slot &= ~STANDIN_MASK;
	} else if (ep->family == AF_INET6) {
		if (memcmp(ep->address, standin_prefix, sizeof(standin_prefix)) != 0 ||
		    load32(ep->address + 8) != 0)
			return 0;
		slot = load32(ep->address + 12);
	} else {
		return 0;
	}
	return slot <= STANDIN_SLOTS - 2 ? slot : 0;
}

static sa_family_t family_of(const struct sockaddr *sa, socklen_t len)
{
	sa_family_t family = AF_UNSPEC;

	if (sa && len >= (socklen_t)sizeof(family))
		memcpy(&family, sa, sizeof(family));
	return family;
}

/* The 16 bytes of an IPv6 sockaddr's address, or NULL */
static const uint8_t *raw_v6(const struct sockaddr *sa, socklen_t len)
{
	/* sin6_scope_id may be absent: old callers leave it out */
	if (family_of(sa, len) != AF_INET6 || len < (socklen_t)(offsetof(struct sockaddr_in6, sin6_addr) + 16))
		return NULL;
	return (const uint8_t *)sa + offsetof(struct sockaddr_in6, sin6_addr);
}

/* The IPv4 address of an AF_INET or v4-mapped sockaddr, host order; 0 when it is neither or too short */
static uint32_t raw_v4(const struct sockaddr *sa, socklen_t len)
{
	const uint8_t *six = raw_v6(sa, len);

	if (six)
		return memcmp(six, mapped_prefix, sizeof(mapped_prefix)) == 0 ? load32(six + 12) : 0;
	if (family_of(sa, len) != AF_INET || len < (socklen_t)(offsetof(struct sockaddr_in, sin_addr) + 4))
		return 0;
	return load32((const uint8_t *)sa + offsetof(struct sockaddr_in, sin_addr));
}

bool standin_is_sockaddr(const struct sockaddr *sa, socklen_t len)
{
	const uint8_t *six = raw_v6(sa, len);

	if ((raw_v4(sa, len) & STANDIN_MASK) == STANDIN_NET)
		return true;
	return six && memcmp(six, standin_prefix, sizeof(standin_prefix)) == 0;
}

bool doorbell_is_sockaddr(const struct sockaddr *sa, socklen_t len)
{
	return (raw_v4(sa, len) & DOORBELL_MASK) == DOORBELL_NET;
}
