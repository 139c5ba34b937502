/* SPDX-License-Identifier: MIT */
/*
 * How the NAT chooses the outside port of a new mapping: a first wish by the configured rule, then
 * upwards from there (anew at random for the random rules) until one is free.
 */
#include <errno.h>

#include "nat_ports.h"

#define PORT_FIRST 1024u /* RFC 4787, REQ-3: well-known ports are not for others */
#define PORT_SPAN (65536u - PORT_FIRST)

/* The rule "offset" shifts by this, odd and far from a power of two so that it is seen as a change. */
#define PORT_OFFSET 20011u

/* Random tries before the search goes upwards, enough unless nearly all ports are taken. */
#define RANDOM_TRIES 64

/* The block of an inside host: drawn once, and no two hosts share one. */
static uint32_t block_of(struct nat *n, const struct nat_map *m)
{
	uint32_t blocks = PORT_SPAN / n->conf.block;
	int host = nat_inside_of(n, &m->in.addr);
	unsigned int i;
	uint32_t first;

	if (host < 0)
		host = 0;
	while (!n->inside[host].block) {
		first = PORT_FIRST + (uint32_t)(nat_random(&n->rng_ports) % blocks) * n->conf.block;
		for (i = 0; i < n->inside_count && n->inside[i].block != first; i++)
			;
		if (i == n->inside_count || blocks <= n->inside_count)
			n->inside[host].block = first;
	}
	return n->inside[host].block;
}

/* Both bounds of the range are even, so the neighbour of the other parity lies in it, too. */
static uint32_t port_random(struct nat *n, const struct nat_map *m, uint32_t first, uint32_t span)
{
	uint32_t port = first + (uint32_t)(nat_random(&n->rng_ports) % span);

	return n->conf.ports == NAT_PORTS_PARITY ? (port & ~1u) | (m->in.port & 1u) : port;
}

/* The first port to try, and between which ports the search stays. */
static uint32_t port_wish(struct nat *n, const struct nat_map *m, uint32_t *first, uint32_t *span)
{
	uint32_t port = m->in.port;
	uint64_t gone;

	switch (n->conf.ports) {
	case NAT_PORTS_PRESERVE:
		if (port < PORT_FIRST) { /* RFC 5382 keeps the range, not only the port */
			*first = 1;
			*span = PORT_FIRST - 1;
		}
		return port ? port : *first;
	case NAT_PORTS_OFFSET:
		return PORT_FIRST + (port + PORT_OFFSET) % PORT_SPAN;
	case NAT_PORTS_SEQUENTIAL:
		gone = (n->now - n->born) * n->conf.pace / NAT_SECOND;
		return PORT_FIRST + (uint32_t)((n->conf.seed * 7919 + n->made++ + gone) % PORT_SPAN);
	case NAT_PORTS_BLOCK:
		*first = block_of(n, m);
		*span = n->conf.block;
		break;
	case NAT_PORTS_PARITY:
	case NAT_PORTS_RANDOM:
	case NAT_PORTS_COUNT:
		break;
	}
	return port_random(n, m, *first, *span);
}

int nat_port_choose(struct nat *n, struct nat_map *m)
{
	bool parity = n->conf.ports == NAT_PORTS_PARITY;
	bool random = parity || n->conf.ports == NAT_PORTS_RANDOM || n->conf.ports == NAT_PORTS_BLOCK;
	uint32_t first = PORT_FIRST, span = PORT_SPAN;
	uint32_t port, tries;

	port = port_wish(n, m, &first, &span);
	for (tries = 0; tries < span + RANDOM_TRIES; tries++) {
		m->out.port = (uint16_t)port;
		if (!nat_port_taken(n, m->proto, &m->out))
			return 0;
		if (random && tries < RANDOM_TRIES)
			port = port_random(n, m, first, span);
		else
			port = first + (port - first + 1 + parity) % span;
	}
	return -ENOSPC;
}
