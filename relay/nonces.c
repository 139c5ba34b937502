/* SPDX-License-Identifier: MIT */
/*
 * nonces.c - which tickets were used already
 *
 * None is forgotten before its ticket has expired, for then it could be used again.  So who uses many
 * tickets (his own nodes invite each other as fast as a rendezvous lets them) could fill the
 * memory, and the next one would be refused.  Therefore what is free is shared by address, as the
 * rendezvous shares the places of its nodes: common/places.h.
 *
 * Tickets are all good for the same time, but who has many may show the newest ones first; and after a clock that
 * was ahead has been put right, those of before expire long after all others.  So they are kept by the second in which
 * they expire, seconds in order, and what comes looks for its own from the latest one on.  That is one of the last few
 * as a rule, and never far: the expiry is signed by a rendezvous, so that there are no more seconds than one lifetime
 * of a ticket has, once for each clock that tickets were made by.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/places.h"
#include "common/table.h"
#include "relay/nonces.h"

#define FORGET_AT_ONCE	64	/* expired ones for each new one: more than it can add, and 10 us */

/* Of a Unix time; freed with the last one of its uses */
struct second {
	uint64_t expires_s;
	LIST_HEAD(, use) uses;
	TAILQ_ENTRY(second) order;
};

struct use {
	struct table_entry entry;
	uint8_t nonce[NONCE_SIZE];
	struct place place;
	struct second *second;
	LIST_ENTRY(use) of_second;
};

TAILQ_HEAD(seconds, second);

struct nonces {
	struct table *table;
	struct places *places;
	struct seconds seconds;		/* earliest first */
};

struct nonces *nonces_new(unsigned int count, unsigned int part)
{
	struct nonces *nonces = calloc(1, sizeof(*nonces));

	if (!nonces)
		return NULL;
	TAILQ_INIT(&nonces->seconds);
	nonces->table = table_new(count, TABLE_KEY(struct use, nonce));
	nonces->places = places_new_kept(count, part);
	if (nonces->table && nonces->places)
		return nonces;
	nonces_free(nonces);
	return NULL;
}

/* Of an expiry, made if there is none. Return: NULL without memory */
static struct second *second_of(struct nonces *nonces, uint64_t expires_s)
{
	struct second *before = TAILQ_LAST(&nonces->seconds, seconds);
	struct second *second;

	while (before && before->expires_s > expires_s)
		before = TAILQ_PREV(before, seconds, order);
	if (before && before->expires_s == expires_s)
		return before;
	second = calloc(1, sizeof(*second));
	if (!second)
		return NULL;
	second->expires_s = expires_s;
	if (before)
		TAILQ_INSERT_AFTER(&nonces->seconds, before, second, order);
	else
		TAILQ_INSERT_HEAD(&nonces->seconds, second, order);
	return second;
}

static void second_free_unused(struct nonces *nonces, struct second *second)
{
	if (!LIST_EMPTY(&second->uses))
		return;
	TAILQ_REMOVE(&nonces->seconds, second, order);
	free(second);
}

/* The one that expires first; a second has uses, or is not there. Return: NULL when there is none */
static struct use *first_use(const struct nonces *nonces)
{
	const struct second *second = TAILQ_FIRST(&nonces->seconds);

	return second ? LIST_FIRST(&second->uses) : NULL;
}

static void forget(struct nonces *nonces, struct use *use)
{
	places_leave(&use->place);
	table_remove(nonces->table, &use->entry);
	LIST_REMOVE(use, of_second);
	second_free_unused(nonces, use->second);
	free(use);
}

void nonces_free(struct nonces *nonces)
{
	struct use *use;

	if (!nonces)
		return;
	while ((use = first_use(nonces)))
		forget(nonces, use);
	table_free(nonces->table, NULL);
	places_free(nonces->places);
	free(nonces);
}

int nonces_use(struct nonces *nonces, const uint8_t nonce[NONCE_SIZE], const struct endpoint *from,
	       uint64_t expires_s, uint64_t now_s)
{
	struct second *second;
	struct place *loser;
	struct use *use;
	int err;

	for (int i = 0; i < FORGET_AT_ONCE && (use = first_use(nonces)) && use->second->expires_s < now_s; i++)
		forget(nonces, use);
	if (table_find(nonces->table, nonce))
		return -EALREADY;
	use = calloc(1, sizeof(*use));
	second = use ? second_of(nonces, expires_s) : NULL;
	/* Places that are kept have no losers, and their time is nobody's business */
	err = second ? places_take(nonces->places, &use->place, from, 0, &loser) : -ENOMEM;
	if (err)
		goto failed;
	memcpy(use->nonce, nonce, NONCE_SIZE);
	use->second = second;
	LIST_INSERT_HEAD(&second->uses, use, of_second);
	table_add(nonces->table, &use->entry);
	return 0;
failed:
	if (second)
		second_free_unused(nonces, second);
	free(use);
	return err;
}
