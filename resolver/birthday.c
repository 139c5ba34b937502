/* SPDX-License-Identifier: MIT */
/*
 * birthday.c - which ports to guess, and when: a random port against a fixed one
 *
 * Theory of operation
 *
 * A NAT with address-and-port dependent mapping gives each connection another
 * public port, which nobody can know beforehand.  But the side behind it (the *held* side)
 * can open many connections to the one fixed endpoint of the other: 240
 * sockets, 240 public ports, each open for that endpoint.  The other side
 * guesses: from its one fixed port it connects to many ports of the held side's public address. One
 * hit is enough.  With h ports open among N, g different guesses miss
 * all of them with probability exp(-h g / N): 0.05 % for 240 and 2,048 of 64,512.
 *
 * The held side stays still: a renewed socket would have a new port, and the
 * SYN of a guess on its way would find the old one closed.  The guessing side
 * goes in waves, so that it too has no more than BIRTHDAY_WAVE half-open connections.
 *
 * The band that the far end named comes first: a whole block is one to four waves.  Ports near the one
 * last seen come next: a NAT that counts upwards is hit by the first wave, one that draws from a block
 * of 512 or 2,048 ports by the next few; for one that draws from all, these guesses are as good as any.
 *
 * Sockets that are bound to no port in particular get ports of one parity from the kernel, as long as there are
 * such. Where the NAT keeps it, half of the ports remain, and the same guesses hit as if there were twice as many.
 */
#include "resolver/birthday.h"

#include <string.h>

#define PORT_LOW	1024	/* below, NATs give none */
#define PORTS		(65536 - PORT_LOW)
#define AHEAD		192	/* ports after the one seen: 240 held sockets, and the other traffic of its network */
#define BLOCK_SMALL	512	/* ports; usual size of a carrier's block (RFC 7422 4.1 has 1,000 and less) */
#define BLOCK_LARGE	2048
#define TAKE_SMALL	320	/* guesses in the small block: with 240 held in it none is missed */
#define TAKE_LARGE	512
#define BAND_MOST	1024	/* guesses in a band that the far end named: it may be mistaken */

/* Which ports are among the guesses already */
struct drawn {
	uint8_t bits[65536 / 8];
	bool wrong[2];		/* even ones, odd ones: never drawn */
};

static void add(struct birthday *b, struct drawn *drawn, uint32_t port)
{
	if (port < PORT_LOW || port > UINT16_MAX || b->count == BIRTHDAY_GUESSES || drawn->wrong[port & 1] ||
	    (drawn->bits[port / 8] & (1u << (port % 8))))
		return;
	drawn->bits[port / 8] |= (uint8_t)(1u << (port % 8));
	b->guesses[b->count++] = (uint16_t)port;
}

/* @count more guesses out of @span ports from @low on; stops early where most of them are drawn */
static void add_random(struct birthday *b, struct drawn *drawn, uint32_t low, uint32_t span, unsigned int count,
		       uint32_t (*random)(void *arg), void *arg)
{
	unsigned int wanted = b->count + count, tries;

	for (tries = 0; b->count < wanted && b->count < BIRTHDAY_GUESSES && tries < 8 * count; tries++)
		add(b, drawn, low + (uint32_t)((uint64_t)random(arg) * span >> 32));
}

void birthday_draw(struct birthday *b, uint16_t seen, bool parity, uint16_t low, uint16_t high, uint64_t rtt,
		   uint64_t start, uint32_t (*random)(void *arg), void *arg)
{
	struct drawn drawn;
	uint32_t port;
	unsigned int i;

	memset(b, 0, sizeof(*b));
	memset(&drawn, 0, sizeof(drawn));
	drawn.wrong[~seen & 1] = parity;
	b->wave = rtt + BIRTHDAY_GRACE;
	b->due = start;
	b->until = start + BIRTHDAY_SPAN;
	for (port = low; low && port <= high && b->count < BAND_MOST; port++)
		add(b, &drawn, port);
	if (seen >= PORT_LOW) {
		for (i = 1; i <= AHEAD; i++)
			add(b, &drawn, PORT_LOW + (seen - PORT_LOW + i) % PORTS);	/* it begins again from below */
		add_random(b, &drawn, seen / BLOCK_SMALL * BLOCK_SMALL, BLOCK_SMALL, TAKE_SMALL, random, arg);
		add_random(b, &drawn, seen / BLOCK_LARGE * BLOCK_LARGE, BLOCK_LARGE, TAKE_LARGE, random, arg);
	}
	add_random(b, &drawn, PORT_LOW, PORTS, BIRTHDAY_GUESSES, random, arg);
	if (!low)
		return;
	/* The held side may have been late: the third wave is the first one again */
	memmove(b->guesses + 3 * BIRTHDAY_WAVE, b->guesses + 2 * BIRTHDAY_WAVE,
		(BIRTHDAY_GUESSES - 3 * BIRTHDAY_WAVE) * sizeof(*b->guesses));
	memcpy(b->guesses + 2 * BIRTHDAY_WAVE, b->guesses, BIRTHDAY_WAVE * sizeof(*b->guesses));
}

unsigned int birthday_wave(struct birthday *b, uint64_t now, unsigned int *first)
{
	unsigned int n = b->count - b->next;

	if (!n || now < b->due || now >= b->until)
		return 0;
	if (n > BIRTHDAY_WAVE)
		n = BIRTHDAY_WAVE;
	*first = b->next;
	b->next += n;
	b->due = now + b->wave;
	return n;
}

uint64_t birthday_put_off(struct birthday_wait *wait, bool proven, uint64_t due, uint64_t now)
{
	if (proven)
		return now + BIRTHDAY_GRACE;
	if (due <= now)
		return 0;
	if (now >= wait->until) {
		if (wait->count == BIRTHDAY_WAITS)
			return 0;
		wait->count++;
		wait->until = due;
	}
	return wait->until;
}

uint64_t birthday_deadline(const struct birthday *b)
{
	return b->next < b->count && b->due < b->until ? b->due : NEVER;
}

uint64_t birthday_end(const struct birthday *b)
{
	unsigned int left = b->count - b->next, waves = (left + BIRTHDAY_WAVE - 1) / BIRTHDAY_WAVE;
	uint64_t end = b->due + waves * b->wave, most = b->until + b->wave;

	return clock_before(end, most);
}
