/* SPDX-License-Identifier: MIT */
/*
 * turns.h - whose turn it is to go to a meeting, and at which place
 *
 * Pure.  The callee holds the next place of a bucket only when the one before it has been used, so the connections of
 * one node to one port of a peer are made one after the other.
 */
#ifndef PUNCH_TURNS_H
#define PUNCH_TURNS_H

#include <stdint.h>

#include "common/limits.h"

#define TURNS_MAX	64	/* pairs of peer and port with a connection in the last bucket; more wait */

/**
 * struct turn - of one peer's port in one bucket
 * @who:	is on its way, NULL nobody
 * @place:	the next one to go to
 */
struct turn {
	uint8_t peer[KEY_SIZE];
	uint16_t port;
	uint64_t bucket;
	const void *who;
	unsigned int place;
};

/** struct turns - zeroed: nobody has gone anywhere */
struct turns {
	struct turn list[TURNS_MAX];
};

/**
 * turns_take() - go, unless another one is under way
 * @places:	of a bucket
 * Return: the place, -EBUSY (ask again), -ENOSPC (the bucket's places are used up)
 */
int turns_take(struct turns *turns, const uint8_t peer[KEY_SIZE], uint16_t port, uint64_t bucket, unsigned int places,
	       const void *who);

/**
 * turns_try() - where to go at the @tries-th time, from 0 on, all before having been refused
 * To the place whose turn it is, and after some times to others in between: the callee may hold another one, because
 * it or this node has begun anew, another node with the same word was there, or an Invite was lost.
 */
unsigned int turns_try(unsigned int place, unsigned int tries, unsigned int places);

/** turns_end() - @who is back, or has given up. @used: its place, -1 none. Does nothing where it has no turn */
void turns_end(struct turns *turns, const void *who, int used);

#endif
