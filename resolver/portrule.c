/* SPDX-License-Identifier: MIT */
/*
 * portrule.c - what ports a NAT gives that gives another one to each connection
 *
 * Theory of operation
 *
 * Ports that were given within a second of each other (a *burst*) tell a NAT that counts: each
 * lies a little above the one before, or a little below where two connections
 * overtook each other.  Three such pairs together happen by chance in one of seventy
 * blocks of 128 ports, and never elsewhere.  Older ports then give the pace of others' traffic.
 *
 * Otherwise the spread decides between a block and all ports.  Where blocks are given out (RFC 7422), they
 * are of a power of two and begin at a multiple of it above 1024, so the least such block
 * that holds all ports seen is the guess; where it would be far larger than the spread says, the
 * ports do not keep to that and the band is what the spread of n ports of a uniform choice lets
 * expect: spread (n + 1) / (n - 1).
 *
 * Of a NAT that draws from all ports it may be that it keeps the parity of the local port: half of all.
 */
#include "resolver/portrule.h"

#include <stdlib.h>
#include <string.h>

#define PORT_FIRST	1024		/* NATs give no lower ones (RFC 4787 REQ-3) */
#define BURST		(1 * SECOND)
#define BURST_PAIRS	3
#define OVERTAKEN	8		/* ports: connections that were begun together */
#define AHEAD		24		/* ports to the next one of ours in a burst */
#define NEXT		64		/* width of the band in which the next ports of a counting NAT lie */
#define BLOCK_LEAST	64		/* ports */

/* From one port to a later one of a NAT that counts, which may have begun again from below */
static int distance(uint16_t from, uint16_t to)
{
	int d = to - from, span = 65536 - PORT_FIRST;

	return d < -span / 2 ? d + span : d > span / 2 ? d - span : d;
}

static bool counts(const struct portrule *rule, struct portrule_verdict *verdict)
{
	int64_t others = 0, step = 0;
	unsigned int i, pairs = 0;
	uint64_t time = 0;

	for (i = 1; i < rule->count; i++) {
		int d = distance(rule->seen[i - 1].port, rule->seen[i].port);
		uint64_t took = rule->seen[i].at - rule->seen[i - 1].at;

		if (took <= BURST) {
			if (d == 0 || d < -OVERTAKEN || d > AHEAD)
				return false;
			pairs++;
			if (d > 0 && (!step || d < step))
				step = d;
		} else if (d < 0) {
			return false;
		} else {
			others += d;
			time += took;
		}
	}
	if (pairs < BURST_PAIRS || !step)
		return false;
	verdict->step = (int32_t)step;
	verdict->pace = time ? (uint32_t)((uint64_t)others * 1000 * SECOND / time) : 0;
	return true;
}

/* As if the port had been given after @n others of ours */
static uint16_t moved(uint16_t port, unsigned int n, const struct portrule_verdict *verdict)
{
	unsigned int offset = (unsigned int)port - PORT_FIRST;

	return (uint16_t)(PORT_FIRST + (offset + n * (unsigned int)verdict->step) % (65536 - PORT_FIRST));
}

void portrule_see(struct portrule *rule, uint16_t local, uint16_t port, uint64_t at)
{
	struct portrule_verdict verdict;
	unsigned int i;

	/* Answers come later than the SYNs that they are about */
	if (at < rule->took_at && port >= PORT_FIRST && counts(rule, &verdict))
		port = moved(port, rule->took, &verdict);
	if (rule->count == PORTRULE_SEEN) {
		memmove(rule->seen, rule->seen + 1, sizeof(rule->seen) - sizeof(rule->seen[0]));
		rule->count--;
	}
	for (i = rule->count++; i > 0 && rule->seen[i - 1].at > at; i--)
		rule->seen[i] = rule->seen[i - 1];
	rule->seen[i].port = port;
	rule->seen[i].local = local;
	rule->seen[i].at = at;
}

void portrule_took(struct portrule *rule, unsigned int n, uint64_t now)
{
	struct portrule_verdict verdict;
	unsigned int i;

	rule->took = n;
	rule->took_at = now;
	if (!counts(rule, &verdict))
		return;
	for (i = 0; i < rule->count; i++)
		rule->seen[i].port = moved(rule->seen[i].port, n, &verdict);
}

static uint16_t clamp(int64_t port)
{
	return (uint16_t)(port < PORT_FIRST ? PORT_FIRST : port > UINT16_MAX ? UINT16_MAX : port);
}

/* The next ones: after the newest, and what others took since. At the end of the ports they are cut short; low is
 * the next one there too, from which meet_target() counts on */
static void next_band(const struct portrule *rule, uint64_t now, struct portrule_verdict *verdict)
{
	uint64_t newest = rule->seen[rule->count - 1].at;
	uint16_t last = rule->seen[rule->count - 1].port;
	unsigned int i;
	int64_t from;

	for (i = 0; i + 1 < rule->count; i++)
		if (newest - rule->seen[i].at <= BURST && distance(last, rule->seen[i].port) > 0)
			last = rule->seen[i].port;
	from = last + (int64_t)(verdict->pace * ((now - newest) / MS) / (1000 * 1000)) + verdict->step;
	if (from > UINT16_MAX)
		from = PORT_FIRST + (from - PORT_FIRST) % (65536 - PORT_FIRST);
	verdict->low = clamp(from);
	verdict->high = clamp(from + NEXT - 1);
}

static void block_band(uint16_t least, uint16_t most, unsigned int n, struct portrule_verdict *verdict)
{
	unsigned int spread = (unsigned int)(most - least) + 1, likely = spread * (n + 1) / (n - 1), size = BLOCK_LEAST;

	while (size < PORTRULE_BLOCK && (least - PORT_FIRST) / size != (most - PORT_FIRST) / size)
		size *= 2;
	if ((least - PORT_FIRST) / size == (most - PORT_FIRST) / size && size <= 2 * likely) {
		verdict->low = clamp(PORT_FIRST + (int64_t)(least - PORT_FIRST) / size * size);
		verdict->high = clamp((int64_t)verdict->low + size - 1);
	} else {
		verdict->low = clamp((int64_t)least - (likely - spread) / 2);
		verdict->high = clamp((int64_t)most + (likely - spread) / 2);
	}
}

static bool keeps_parity(const struct portrule *rule)
{
	unsigned int i;

	for (i = 0; i < rule->count; i++)
		if (!rule->seen[i].local || (rule->seen[i].port ^ rule->seen[i].local) & 1)
			return false;
	return true;
}

void portrule_judge(const struct portrule *rule, uint64_t now, struct portrule_verdict *verdict)
{
	uint16_t least = UINT16_MAX, most = 0;
	unsigned int i;

	memset(verdict, 0, sizeof(*verdict));
	for (i = 0; i < rule->count; i++) {
		if (rule->seen[i].port < least)
			least = rule->seen[i].port;
		if (rule->seen[i].port > most)
			most = rule->seen[i].port;
	}
	if (rule->count < 2 || least < PORT_FIRST)
		return;
	if (rule->count <= BURST_PAIRS && most - least < PORTRULE_BLOCK)
		return;
	if (counts(rule, verdict)) {
		verdict->rule = PUNCH__PORT_RULE__PORT_RULE_SEQUENTIAL;
		next_band(rule, now, verdict);
	} else if (most - least < PORTRULE_BLOCK) {
		verdict->step = 0;
		verdict->pace = 0;
		verdict->rule = PUNCH__PORT_RULE__PORT_RULE_BLOCK;
		block_band(least, most, rule->count, verdict);
	} else {
		verdict->step = 0;
		verdict->pace = 0;
		verdict->rule = PUNCH__PORT_RULE__PORT_RULE_RANDOM;
		verdict->open = keeps_parity(rule);
		if (verdict->open && rule->count >= PORTRULE_PARITY) {
			verdict->rule = PUNCH__PORT_RULE__PORT_RULE_PARITY;
			verdict->open = false;
		}
	}
}
