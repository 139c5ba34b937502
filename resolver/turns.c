/* SPDX-License-Identifier: MIT */
/*
 * turns.c - whose turn it is to go to a meeting, and at which place
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "resolver/turns.h"

#define TURNS_SURE	4	/* tries at the right place before the first at another: its SYN may be renewed */
#define TURNS_FIRST	64	/* more than there are places: back to the first one */

int turns_take(struct turns *turns, const uint8_t peer[KEY_SIZE], uint16_t port, uint64_t bucket, unsigned int places,
	       const void *who)
{
	struct turn *at = NULL;
	unsigned int i;

	for (i = 0; i < TURNS_MAX; i++) {
		struct turn *turn = &turns->list[i];

		if (turn->bucket && turn->port == port && memcmp(turn->peer, peer, KEY_SIZE) == 0) {
			at = turn;
			break;
		}
		/* Of another bucket (a later one: the clock was set back) and nobody's: its
		 * places are of no use to anyone */
		if (!turn->who && turn->bucket != bucket)
			at = turn;
	}
	if (!at || (at->who && at->who != who))
		return -EBUSY;
	if (at->bucket != bucket || at->port != port || memcmp(at->peer, peer, KEY_SIZE) != 0) {
		*at = (struct turn){ .port = port, .bucket = bucket };
		memcpy(at->peer, peer, KEY_SIZE);
	}
	if (at->place >= places)
		return -ENOSPC;
	at->who = who;
	return (int)at->place;
}

unsigned int turns_try(unsigned int place, unsigned int tries, unsigned int places)
{
	static const int steps[] = { 1, -1, 2, -2, 3, -TURNS_FIRST };
	int other;

	if (tries < TURNS_SURE || tries % 2 == 0)
		return place;
	other = (int)place + steps[(tries - TURNS_SURE) / 2 % (sizeof(steps) / sizeof(*steps))];
	return other < 0 ? 0 : (unsigned int)other < places ? (unsigned int)other : places - 1;
}

void turns_end(struct turns *turns, const void *who, int used)
{
	unsigned int i;

	for (i = 0; i < TURNS_MAX; i++) {
		if (turns->list[i].who != who)
			continue;
		turns->list[i].who = NULL;
		if (used >= 0)
			turns->list[i].place = (unsigned int)used + 1;
	}
}
