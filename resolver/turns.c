/* SPDX-License-Identifier: MIT */
/*
 * turns.c - whose turn it is to go to a meeting, and at which place
 */
#include <errno.h>
#include <stddef.h>

#include "resolver/turns.h"

int turns_take(struct turns *turns, const void *peer, uint16_t port, uint64_t bucket, unsigned int places,
	       const void *who)
{
	struct turn *at = NULL;
	unsigned int i;

	for (i = 0; i < TURNS_MAX; i++) {
		struct turn *turn = &turns->list[i];

		if (turn->peer == peer && turn->port == port) {
			at = turn;
			break;
		}
		/* Of an earlier bucket and nobody's: its places are of no use to anyone */
		if (!turn->who && turn->bucket < bucket)
			at = turn;
	}
	if (!at || (at->who && at->who != who))
		return -EBUSY;
	if (at->peer != peer || at->port != port || at->bucket != bucket)
		*at = (struct turn){ .peer = peer, .port = port, .bucket = bucket };
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
