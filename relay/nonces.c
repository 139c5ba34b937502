/* SPDX-License-Identifier: MIT */
/*
 * nonces.c - which tickets were used already
 *
 * None is forgotten before its ticket has expired, for then it could be used again.  So who uses many
 * tickets (his own nodes invite each other as fast as a rendezvous lets them) could fill the
 * memory, and the next one would be refused.  Therefore what is free is shared by address, as the
 * rendezvous shares the places of its nodes: common/places.h.
 *
 * Tickets are all good for the same time, so the first one used is the first to expire.  One from a
 * rendezvous whose clock is ahead keeps those behind it for as long as it is ahead.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/places.h"
#include "common/table.h"
#include "relay/nonces.h"

#define FORGET_AT_ONCE	64	/* expired ones for each new one: more than it can add, and 10 us */

struct use {
	struct table_entry entry;
	uint8_t nonce[NONCE_SIZE];
	uint64_t expires_s;
	struct place place;
	TAILQ_ENTRY(use) order;
};

struct nonces {
	struct table *table;
	struct places *places;
	TAILQ_HEAD(, use) order;	/* used first: first */
};

struct nonces *nonces_new(unsigned int count, unsigned int part)
{
	struct nonces *nonces = calloc(1, sizeof(*nonces));

	if (!nonces)
		return NULL;
	TAILQ_INIT(&nonces->order);
	nonces->table = table_new(count, TABLE_KEY(struct use, nonce));
	nonces->places = places_new_kept(count, part);
	if (nonces->table && nonces->places)
		return nonces;
	nonces_free(nonces);
	return NULL;
}

static void forget(struct nonces *nonces, struct use *use)
{
	places_leave(&use->place);
	table_remove(nonces->table, &use->entry);
	TAILQ_REMOVE(&nonces->order, use, order);
	free(use);
}

void nonces_free(struct nonces *nonces)
{
	struct use *use;

	if (!nonces)
		return;
	while ((use = TAILQ_FIRST(&nonces->order)))
		forget(nonces, use);
	table_free(nonces->table, NULL);
	places_free(nonces->places);
	free(nonces);
}

int nonces_use(struct nonces *nonces, const uint8_t nonce[NONCE_SIZE], const struct endpoint *from,
	       uint64_t expires_s, uint64_t now_s)
{
	struct place *loser;
	struct use *use;
	int err;

	for (int i = 0; i < FORGET_AT_ONCE && (use = TAILQ_FIRST(&nonces->order)) &&
	     use->expires_s < now_s; i++)
		forget(nonces, use);
	if (table_find(nonces->table, nonce))
		return -EALREADY;
	use = calloc(1, sizeof(*use));
	if (!use)
		return -ENOMEM;
	/* Places that are kept have no losers, and their time is nobody's business */
	err = places_take(nonces->places, &use->place, from, 0, &loser);
	if (err) {
		free(use);
		return err;
	}
	memcpy(use->nonce, nonce, NONCE_SIZE);
	use->expires_s = expires_s;
	table_add(nonces->table, &use->entry);
	TAILQ_INSERT_TAIL(&nonces->order, use, order);
	return 0;
}
