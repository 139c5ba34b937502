/* SPDX-License-Identifier: MIT */
/*
 * meet.c - two NATs that give each connection a new port, but not any port
 *
 * Theory of operation
 *
 * Each side opens many sockets, all to *one* port q of the other that it picked in the band
 * where the other's next ports lie; the other does the same towards a port p.  Of all
 * sockets two can meet: the one whose NAT gave it p, and the other side's that got q.  With shares f and g of their
 * bands taken, both exist with probability f g.  Sockets to many different ports would meet
 * with 1 - exp(-f g): never better.
 *
 * A NAT that counts gives the next 64 ports to 64 sockets, so p among them is certain where the
 * forecast errs by less: two such NATs meet always, one and a block as often as the
 * block is filled.  A block must not be filled: what a SYN takes there stays taken for minutes,
 * for everybody behind the NAT.  That is why the shares are what they are.
 */
#include "resolver/meet.h"

#include "resolver/birthday.h"

static bool is_symmetric(const struct description *d)
{
	return d->mapping == PUNCH__MAPPING__MAPPING_ADDRESS_DEPENDENT ||
	       d->mapping == PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT;
}

static bool counts(const struct description *d)
{
	return d->port_rule == PUNCH__PORT_RULE__PORT_RULE_SEQUENTIAL;
}

static unsigned int width(const struct description *d)
{
	return (unsigned int)(d->port_high - d->port_low) + 1;
}

static bool has_band(const struct description *d)
{
	return d->guess && is_symmetric(d) && d->port_low &&
	       (counts(d) || d->port_rule == PUNCH__PORT_RULE__PORT_RULE_BLOCK);
}

unsigned int meet_sockets(const struct description *own, unsigned int wave)
{
	unsigned int n = counts(own) ? MEET_COUNTING : width(own) * MEET_SHARE / MEET_SHARE_OF;

	return n < MEET_WAVES * wave ? n : MEET_WAVES * wave;
}

unsigned int meet_waves(const struct description *a, const struct description *b, unsigned int wave)
{
	unsigned int na = meet_sockets(a, wave), nb = meet_sockets(b, wave), n = na > nb ? na : nb;

	return (n + wave - 1) / wave;
}

/* Chance that the port aimed at is among @n sockets' */
static unsigned int share(const struct description *d, unsigned int n)
{
	return counts(d) ? 100 : n * 100 / width(d);
}

unsigned int meet_chance(const struct description *a, const struct description *b)
{
	unsigned int na = meet_sockets(a, BIRTHDAY_WAVE), nb = meet_sockets(b, BIRTHDAY_WAVE), first, second;

	/* A side with one wave keeps it, and its aim, for both waves of the other */
	if (na <= BIRTHDAY_WAVE || nb <= BIRTHDAY_WAVE)
		return share(a, na) * share(b, nb) / 100;
	first = share(a, BIRTHDAY_WAVE) * share(b, BIRTHDAY_WAVE);
	second = share(a, na - BIRTHDAY_WAVE) * share(b, nb - BIRTHDAY_WAVE);
	return (first + second * (10000 - first) / 10000) / 100;
}

bool meet_possible(const struct description *a, const struct description *b)
{
	return has_band(a) && has_band(b) && meet_chance(a, b) >= MEET_LEAST;
}

/* Ports that the peer holds already will not be given again */
static bool is_taken(const struct description *peer, uint16_t port)
{
	unsigned int i;

	for (i = 0; i < peer->count; i++)
		if (peer->candidates[i].type == PUNCH__CANDIDATE_TYPE__CANDIDATE_REFLEXIVE &&
		    peer->candidates[i].endpoint.port == port)
			return true;
	return false;
}

uint16_t meet_target(const struct description *peer, uint32_t random)
{
	int64_t port = peer->port_low, span = width(peer);

	if (counts(peer)) {
		port += (int64_t)MEET_AHEAD * (peer->port_step ? peer->port_step : 1);
		/* It begins again from below; a hostile description must not lead out of the range of ports */
		while (port > UINT16_MAX)
			port -= 65536 - 1024;
		return (uint16_t)(port < 1024 ? 1024 : port);
	}
	/* The middle half: the bounds are an estimate */
	port += span / 4 + (int64_t)((uint64_t)random * (uint64_t)(span - span / 2) >> 32);
	while (is_taken(peer, (uint16_t)port) && port < peer->port_high)
		port++;
	return (uint16_t)port;
}
