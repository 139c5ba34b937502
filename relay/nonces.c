/* SPDX-License-Identifier: MIT */
/*
 * nonces.c - which tickets were used already
 *
 * Set-associative: a nonce can only be in the 32 slots of its set, so that
 * an expired slot is free at once, without tombstones or a sweep.  Nonces are random and
 * come from the rendezvous (the ticket's MAC was checked before), so their first bytes choose the set evenly. With
 * half of all slots in use the chance that one set overflows is below 1e-4, and a node whose ticket is
 * refused then still has its other paths.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "relay/nonces.h"

#define WAYS	32	/* slots of a set */

struct slot {
	uint8_t nonce[NONCE_SIZE];
	uint64_t expires_s;	/* 0: never used */
};

struct nonces {
	uint32_t sets;
	struct slot slots[];
};

struct nonces *nonces_new(unsigned int count)
{
	struct nonces *nonces = calloc(1, sizeof(*nonces) + count * sizeof(nonces->slots[0]));

	if (nonces)
		nonces->sets = count / WAYS;
	return nonces;
}

void nonces_free(struct nonces *nonces)
{
	free(nonces);
}

int nonces_use(struct nonces *nonces, const uint8_t nonce[NONCE_SIZE], uint64_t expires_s,
	       uint64_t now_s)
{
	struct slot *set, *room = NULL;
	uint32_t hash;

	memcpy(&hash, nonce, sizeof(hash));
	set = nonces->slots + (size_t)(hash % nonces->sets) * WAYS;
	for (struct slot *slot = set; slot < set + WAYS; slot++) {
		if (slot->expires_s < now_s)
			room = slot;
		else if (!memcmp(slot->nonce, nonce, NONCE_SIZE))
			return -EALREADY;
	}
	if (!room)
		return -ENOBUFS;
	memcpy(room->nonce, nonce, NONCE_SIZE);
	room->expires_s = expires_s;
	return 0;
}
