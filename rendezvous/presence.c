/* SPDX-License-Identifier: MIT */
/*
 * presence.c - which nodes this server has said it holds, and when it must say so again
 */
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "rendezvous/presence.h"

#define CHAINS 65536	/* power of two, as many as RDV_CONNECTIONS */

SLIST_HEAD(presence_chain, presence);
TAILQ_HEAD(presence_list, presence);

struct presences {
	uint8_t seed[HASH_SEED_SIZE];
	struct presence_list order;
	struct presence_chain chains[CHAINS];
};

struct presences *presences_new(void)
{
	struct presences *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	hash_seed(table->seed);
	TAILQ_INIT(&table->order);
	return table;
}

static struct presence_chain *chain_of(struct presences *table, const uint8_t key[KEY_SIZE])
{
	return &table->chains[hash_bytes(table->seed, key, KEY_SIZE) % CHAINS];
}

struct presence *presence_find(struct presences *table, const uint8_t key[KEY_SIZE])
{
	struct presence *presence;

	SLIST_FOREACH(presence, chain_of(table, key), chain)
		if (!memcmp(presence->key, key, KEY_SIZE))
			return presence;
	return NULL;
}

struct presence *presence_add(struct presences *table, const uint8_t key[KEY_SIZE])
{
	struct presence *presence = presence_find(table, key);

	if (presence) {
		TAILQ_REMOVE(&table->order, presence, order);
	} else {
		presence = calloc(1, sizeof(*presence));
		if (!presence)
			return NULL;
		memcpy(presence->key, key, KEY_SIZE);
		SLIST_INSERT_HEAD(chain_of(table, key), presence, chain);
	}
	presence->said = 0;
	presence->announced = false;
	TAILQ_INSERT_HEAD(&table->order, presence, order);
	return presence;
}

void presence_remove(struct presences *table, struct presence *presence)
{
	SLIST_REMOVE(chain_of(table, presence->key), presence, presence, chain);
	TAILQ_REMOVE(&table->order, presence, order);
	free(presence);
}

void presence_said(struct presences *table, struct presence *presence, uint64_t now)
{
	presence->said = now;
	TAILQ_REMOVE(&table->order, presence, order);
	TAILQ_INSERT_TAIL(&table->order, presence, order);
}

struct presence *presence_due(struct presences *table, uint64_t before)
{
	struct presence *presence = TAILQ_FIRST(&table->order);

	return presence && presence->said < before ? presence : NULL;
}

void presences_forgotten(struct presences *table)
{
	struct presence *presence;

	TAILQ_FOREACH(presence, &table->order, order)
		presence->said = 0;
}

void presences_free(struct presences *table)
{
	struct presence *presence;

	while (table && (presence = TAILQ_FIRST(&table->order)))
		presence_remove(table, presence);
	free(table);
}
