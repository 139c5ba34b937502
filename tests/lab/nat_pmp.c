/* SPDX-License-Identifier: MIT */
/*
 * NAT-PMP of the lab's own NAT: the outside address, and ports that are passed on to a host.
 */
#include <string.h>

#include "nat_pmp.h"

#define PMP_PORT 5351
#define PMP_UDP_HEAD 8u
#define PMP_SHORT 2u   /* bytes of a request for the address */
#define PMP_LONG 12u   /* and for a mapping */
#define PMP_REPLY 0x80 /* added to the opcode */
#define PMP_LIFETIME_MAX 86400u

enum { PMP_ADDRESS, PMP_MAP_UDP, PMP_MAP_TCP };					       /* RFC 6886, 3.2, 3.3 */
enum { PMP_OK, PMP_VERSION, PMP_REFUSED, PMP_FAILURE, PMP_RESOURCES, PMP_OPCODE };     /* 3.5 */

static uint32_t get(const uint8_t *p, unsigned int bytes)
{
	uint32_t value = 0;

	while (bytes--)
		value = value << 8 | *p++;
	return value;
}

static void put(uint8_t *p, unsigned int bytes, uint32_t value)
{
	for (; bytes; value >>= 8)
		p[--bytes] = (uint8_t)value;
}

/* @reply: has the request's first bytes. Return: result code, with ports and lifetime of the reply written */
static unsigned int map(struct nat *n, const struct nat_view *v, uint8_t *reply)
{
	const uint8_t *request = v->l4 + PMP_UDP_HEAD;
	uint8_t proto = request[1] == PMP_MAP_UDP ? IPPROTO_UDP : IPPROTO_TCP;
	uint32_t lifetime = get(request + 8, 4);
	struct nat_end in;
	const struct nat_map *m;

	memset(&in, 0, sizeof(in));
	in.addr = v->flow.src;
	in.port = (uint16_t)get(request + 4, 2);
	if (lifetime > PMP_LIFETIME_MAX)
		lifetime = PMP_LIFETIME_MAX;
	put(reply + 8, 2, in.port);
	if (!lifetime) {
		nat_map_revoke(n, proto, &in);
		return PMP_OK;
	}
	if (!in.port)
		return PMP_REFUSED;
	m = nat_map_grant(n, proto, &in, (uint16_t)get(request + 6, 2), n->now + lifetime * NAT_SECOND);
	if (!m)
		return PMP_RESOURCES;
	put(reply + 10, 2, m->out.port);
	put(reply + 12, 4, lifetime);
	return PMP_OK;
}

bool nat_pmp_answer(struct nat *n, unsigned int host, const struct nat_view *v)
{
	const uint8_t *request = v->l4 + PMP_UDP_HEAD;
	uint8_t reply[16] = { 0 }, buf[NAT_ANSWER_MAX];
	unsigned int result = PMP_OK, size = 12;
	struct nat_pkt out;

	if (!n->conf.pmp || v->version != 4 || v->kind != NAT_KIND_UDP || v->flow.dport != PMP_PORT ||
	    v->l4_len < PMP_UDP_HEAD + PMP_SHORT)
		return false;
	reply[1] = request[1] | PMP_REPLY;
	put(reply + 4, 4, (uint32_t)((n->now - n->started) / NAT_SECOND));
	if (request[0]) {
		result = PMP_VERSION; /* PCP: it may come again with NAT-PMP (RFC 6887, 9) */
		size = 8;
	} else if (request[1] == PMP_ADDRESS) {
		memcpy(reply + 8, &n->conf.outside.s6_addr[12], 4);
	} else if (request[1] <= PMP_MAP_TCP && v->l4_len >= PMP_UDP_HEAD + PMP_LONG) {
		size = 16;
		result = map(n, v, reply);
	} else {
		result = PMP_OPCODE;
		size = 8;
	}
	put(reply + 2, 2, result);
	nat_pkt_make_udp(v, reply, size, buf, &out);
	n->ops.send(n->ops.arg, NAT_INSIDE, host, &out);
	return true;
}
