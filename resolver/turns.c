/* SPDX-License-Identifier: MIT */
/*
 * turns.c - whose turn it is to go to a meeting, and at which place
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "resolver/turns.h"

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

void turns_end(struct turns *turns, const void *who, bool met)
{
	unsigned int i;

	for (i = 0; i < TURNS_MAX; i++) {
		if (turns->list[i].who != who)
			continue;
		turns->list[i].who = NULL;
		turns->list[i].place += met;
	}
}
