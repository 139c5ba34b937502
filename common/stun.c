/* SPDX-License-Identifier: MIT */
/*
 * stun.c - Binding request and response of RFC 8489, over TCP
 *
 * Over TCP there is no retransmission (6.2.2) and the header's length frames the
 * message.  No credentials: a node learns an address and trusts it no further than
 * the preambles on the paths that come of it.
 */
#include <errno.h>
#include <string.h>

#include "common/stun.h"

#define COOKIE		0x2112a442u	/* RFC 8489 5 */
#define TYPE_REQUEST	0x0001
#define TYPE_SUCCESS	0x0101
#define TYPE_ERROR	0x0111

#define ATTR_MAPPED	0x0001
#define ATTR_USERNAME	0x0006
#define ATTR_INTEGRITY	0x0008
#define ATTR_ERROR	0x0009
#define ATTR_UNKNOWN	0x000a
#define ATTR_REALM	0x0014
#define ATTR_NONCE	0x0015
#define ATTR_INTEGRITY_SHA256 0x001c
#define ATTR_ALGORITHM	0x001d
#define ATTR_USERHASH	0x001e
#define ATTR_XOR_MAPPED	0x0020
#define ATTR_BACK	0xc07e	/* ours, of the range that is first come, first served (RFC 8489 18.3) */
#define ATTR_OPTIONAL	0x8000	/* bit: may be ignored by who does not know it (RFC 8489 14) */

#define FAMILY_V4	1
#define FAMILY_V6	2
#define ERROR_UNKNOWN	420

static uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t load32(const uint8_t *p)
{
	return (uint32_t)load16(p) << 16 | load16(p + 2);
}

static void store16(uint8_t *p, unsigned int value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static void store32(uint8_t *p, uint32_t value)
{
	store16(p, value >> 16);
	store16(p + 2, value & 0xffff);
}

ssize_t stun_size(const uint8_t *data, size_t size)
{
	size_t body;

	/* the two top bits tell STUN from anything else that starts a connection (5) */
	if (size > 0 && (data[0] & 0xc0))
		return -EBADMSG;
	if (size < STUN_HEADER)
		return 0;
	body = load16(data + 2);
	if (load32(data + 4) != COOKIE || body % 4 || body > STUN_MAX - STUN_HEADER)
		return -EBADMSG;
	return (ssize_t)(STUN_HEADER + body);
}

static size_t put_header(uint8_t *out, unsigned int type, const uint8_t id[STUN_ID])
{
	store16(out, type);
	store16(out + 2, 0);
	store32(out + 4, COOKIE);
	memcpy(out + 8, id, STUN_ID);
	return STUN_HEADER;
}

/* Attribute's header; the value follows at the returned offset */
static size_t put_attribute(uint8_t *out, size_t at, unsigned int type, size_t size)
{
	store16(out + at, type);
	store16(out + at + 2, (unsigned int)size);
	return at + 4;
}

/* Pad the last attribute (14), set the message's length */
static size_t finish(uint8_t *out, size_t at)
{
	while (at % 4)
		out[at++] = 0;
	store16(out + 2, (unsigned int)(at - STUN_HEADER));
	return at;
}

size_t stun_request(uint8_t out[STUN_MAX], const uint8_t id[STUN_ID])
{
	return finish(out, put_header(out, TYPE_REQUEST, id));
}

static size_t put_back(uint8_t *out, size_t at, const struct stun_back *back)
{
	at = put_attribute(out, at, ATTR_BACK, 4);
	out[at] = back->what;
	out[at + 1] = back->scope;
	store16(out + at + 2, back->port);
	return at + 4;
}

size_t stun_request_back(uint8_t out[STUN_MAX], const uint8_t id[STUN_ID], const struct stun_back *back)
{
	return finish(out, put_back(out, put_header(out, TYPE_REQUEST, id), back));
}

/**
 * struct attribute - one of a message, and where the next one starts
 */
struct attribute {
	unsigned int type;
	const uint8_t *value;
	size_t size;
	size_t next;
};

/* Return: false at the end, or at one that leaves the message (then @next is 0) */
static bool next_attribute(const uint8_t *message, size_t size, struct attribute *a)
{
	size_t at = a->next;

	if (at == size)
		return false;
	a->next = 0;
	if (size - at < 4)
		return false;
	a->type = load16(message + at);
	a->size = load16(message + at + 2);
	a->value = message + at + 4;
	if (a->size > size - at - 4)
		return false;
	a->next = at + 4 + (a->size + 3) / 4 * 4;	/* size is a multiple of 4, so this stays within */
	return true;
}

/* Those of RFC 8489; an unauthenticated server ignores the ones about credentials */
static bool is_known(unsigned int type)
{
	switch (type) {
	case ATTR_MAPPED:
	case ATTR_USERNAME:
	case ATTR_INTEGRITY:
	case ATTR_ERROR:
	case ATTR_UNKNOWN:
	case ATTR_REALM:
	case ATTR_NONCE:
	case ATTR_INTEGRITY_SHA256:
	case ATTR_ALGORITHM:
	case ATTR_USERHASH:
	case ATTR_XOR_MAPPED:
		return true;
	default:
		return type & ATTR_OPTIONAL;
	}
}

/* XOR with cookie and transaction (14.2): NATs that rewrite addresses in payloads do not find it */
static void mask_address(uint8_t *address, size_t size, const uint8_t *header)
{
	size_t i;

	for (i = 0; i < size; i++)
		address[i] ^= header[4 + i];
}

static size_t put_mapped(uint8_t *out, size_t at, const struct endpoint *ep)
{
	size_t size = ep->family == AF_INET ? 4 : 16;

	at = put_attribute(out, at, ATTR_XOR_MAPPED, 4 + size);
	out[at] = 0;
	out[at + 1] = ep->family == AF_INET ? FAMILY_V4 : FAMILY_V6;
	store16(out + at + 2, ep->port ^ (COOKIE >> 16));
	memcpy(out + at + 4, ep->address, size);
	mask_address(out + at + 4, size, out);
	return at + 4 + size;
}

static ssize_t put_unknown(uint8_t *out, const uint8_t *id, const uint8_t *types, size_t count)
{
	static const char reason[] = "Unknown Attribute";
	size_t at = put_header(out, TYPE_ERROR, id);

	at = put_attribute(out, at, ATTR_ERROR, 4 + sizeof(reason) - 1);
	store16(out + at, 0);
	out[at + 2] = ERROR_UNKNOWN / 100;
	out[at + 3] = ERROR_UNKNOWN % 100;
	memcpy(out + at + 4, reason, sizeof(reason) - 1);
	at = finish(out, at + 4 + sizeof(reason) - 1);
	at = put_attribute(out, at, ATTR_UNKNOWN, count * 2);
	memcpy(out + at, types, count * 2);
	return (ssize_t)finish(out, at + count * 2);
}

bool stun_get_back(const uint8_t *message, size_t size, struct stun_back *back)
{
	struct attribute a = { .next = STUN_HEADER };

	memset(back, 0, sizeof(*back));
	if (stun_size(message, size) != (ssize_t)size || size == 0)
		return false;
	while (next_attribute(message, size, &a)) {
		if (a.type != ATTR_BACK || a.size != 4)
			continue;
		*back = (struct stun_back){ .what = a.value[0], .scope = a.value[1], .port = load16(a.value + 2) };
		return true;
	}
	return false;
}

ssize_t stun_answer(const uint8_t *request, size_t size, const struct endpoint *mapped,
		    const struct stun_back *back, uint8_t out[STUN_MAX])
{
	/* a request has at most 59 attributes of 4 bytes: with header and reason 170 bytes */
	uint8_t unknown[2 * (STUN_MAX - STUN_HEADER) / 4];
	struct attribute a = { .next = STUN_HEADER };
	size_t count = 0;

	if (stun_size(request, size) != (ssize_t)size || size == 0 || load16(request) != TYPE_REQUEST ||
	    (mapped->family != AF_INET && mapped->family != AF_INET6))
		return -EBADMSG;
	while (next_attribute(request, size, &a)) {
		if (!is_known(a.type))
			store16(unknown + 2 * count++, a.type);
	}
	if (a.next == 0)
		return -EBADMSG;
	if (count)
		return put_unknown(out, request + 8, unknown, count);
	size = put_mapped(out, put_header(out, TYPE_SUCCESS, request + 8), mapped);
	return (ssize_t)finish(out, back ? put_back(out, size, back) : size);
}

/* An address attribute's value. Return: false when it is malformed */
static bool get_address(const struct attribute *a, const uint8_t *header, struct endpoint *ep)
{
	size_t size;

	memset(ep, 0, sizeof(*ep));
	if (a->size == 8 && a->value[1] == FAMILY_V4)
		ep->family = AF_INET;
	else if (a->size == 20 && a->value[1] == FAMILY_V6)
		ep->family = AF_INET6;
	else
		return false;
	size = a->size - 4;
	ep->port = load16(a->value + 2);
	memcpy(ep->address, a->value + 4, size);
	if (a->type == ATTR_XOR_MAPPED) {
		ep->port ^= COOKIE >> 16;
		mask_address(ep->address, size, header);
	}
	return ep->port != 0 && endpoint_is_unicast(ep);
}

int stun_mapped(const uint8_t *response, size_t size, const uint8_t id[STUN_ID],
		struct endpoint *mapped)
{
	struct attribute a = { .next = STUN_HEADER };
	bool plain = false, masked = false;
	struct endpoint ep;

	memset(mapped, 0, sizeof(*mapped));
	if (stun_size(response, size) != (ssize_t)size || size == 0 || load16(response) != TYPE_SUCCESS ||
	    memcmp(response + 8, id, STUN_ID) != 0)
		return -EBADMSG;
	while (next_attribute(response, size, &a)) {
		if (!is_known(a.type))
			goto bad;	/* 6.3.3: such a response is discarded */
		if (a.type != ATTR_XOR_MAPPED && a.type != ATTR_MAPPED)
			continue;
		if (masked || (plain && a.type == ATTR_MAPPED))
			continue;	/* 14: only the first of a kind counts */
		if (!get_address(&a, response, &ep))
			goto bad;
		*mapped = ep;
		if (a.type == ATTR_XOR_MAPPED)
			masked = true;
		else
			plain = true;
	}
	if (a.next != 0 && (masked || plain))
		return 0;
bad:
	memset(mapped, 0, sizeof(*mapped));
	return -EBADMSG;
}
