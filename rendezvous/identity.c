/* SPDX-License-Identifier: MIT */
/*
 * identity.c - what the broker remembers of a key, whatever its connections
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/hash.h"
#include "rendezvous/identity.h"
#include "rendezvous/limits.h"

SLIST_HEAD(identity_chain, identity);
TAILQ_HEAD(identity_list, identity);

struct identities {
	unsigned int max, count;
	uint8_t seed[HASH_SEED_SIZE];
	size_t mask;
	struct identity_list lingering;		/* left first comes first */
	struct identity_chain chains[];
};

struct identities *identities_new(unsigned int max)
{
	struct identities *table;
	size_t chains = 16;

	while (chains < max)
		chains *= 2;
	table = calloc(1, sizeof(*table) + chains * sizeof(table->chains[0]));
	if (!table)
		return NULL;
	table->max = max;
	table->mask = chains - 1;
	hash_seed(table->seed);
	TAILQ_INIT(&table->lingering);
	return table;
}

void identities_free(struct identities *table)
{
	struct identity *identity;

	for (size_t i = 0; table && i <= table->mask; i++)
		while ((identity = SLIST_FIRST(&table->chains[i]))) {
			SLIST_REMOVE_HEAD(&table->chains[i], chain);
			free(identity);
		}
	free(table);
}

static struct identity_chain *chain_of(struct identities *table, const uint8_t key[KEY_SIZE])
{
	return &table->chains[hash_bytes(table->seed, key, KEY_SIZE) & table->mask];
}

struct identity *identity_find(struct identities *table, const uint8_t key[KEY_SIZE])
{
	struct identity *identity;

	SLIST_FOREACH(identity, chain_of(table, key), chain)
		if (!memcmp(identity->key, key, KEY_SIZE))
			return identity;
	return NULL;
}

static void forget(struct identities *table, struct identity *identity)
{
	TAILQ_REMOVE(&table->lingering, identity, linger);
	SLIST_REMOVE(chain_of(table, identity->key), identity, identity, chain);
	table->count--;
	free(identity);
}

static struct identity *make(struct identities *table, const uint8_t key[KEY_SIZE])
{
	struct identity *identity = TAILQ_FIRST(&table->lingering);

	if (table->count >= table->max) {
		if (!identity)
			return NULL;
		forget(table, identity);
	}
	identity = calloc(1, sizeof(*identity));
	if (!identity)
		return NULL;
	memcpy(identity->key, key, KEY_SIZE);
	SLIST_INSERT_HEAD(chain_of(table, key), identity, chain);
	TAILQ_INSERT_TAIL(&table->lingering, identity, linger);
	table->count++;
	return identity;
}

struct identity *identity_hold(struct identities *table, const uint8_t key[KEY_SIZE])
{
	struct identity *identity = identity_find(table, key);

	if (!identity)
		identity = make(table, key);
	if (identity && !identity->connections++)
		TAILQ_REMOVE(&table->lingering, identity, linger);
	return identity;
}

void identity_release(struct identities *table, struct identity *identity, uint64_t now)
{
	if (--identity->connections)
		return;
	identity->left = now;
	TAILQ_INSERT_TAIL(&table->lingering, identity, linger);
}

unsigned int identity_fight(struct identity *identity, uint64_t now)
{
	if (!identity->fights || now - identity->fight_since > RDV_LINGER) {
		identity->fights = 0;
		identity->fight_since = now;
	}
	return ++identity->fights;
}

uint64_t identities_run(struct identities *table, uint64_t now)
{
	struct identity *identity;

	while ((identity = TAILQ_FIRST(&table->lingering)) && now - identity->left >= RDV_LINGER)
		forget(table, identity);
	return identity ? identity->left + RDV_LINGER : NEVER;
}
