/* SPDX-License-Identifier: MIT */
/*
 * identity.c - what the broker remembers of a key, whatever its connections
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/table.h"
#include "rendezvous/identity.h"
#include "rendezvous/limits.h"

TAILQ_HEAD(identity_list, identity);

struct identities {
	unsigned int max;
	struct table *by_key;
	struct identity_list lingering;		/* left first comes first */
};

struct identities *identities_new(unsigned int max)
{
	struct identities *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->max = max;
	TAILQ_INIT(&table->lingering);
	table->by_key = table_new(max, TABLE_KEY(struct identity, key));
	if (table->by_key)
		return table;
	free(table);
	return NULL;
}

void identities_free(struct identities *table)
{
	if (table)
		table_free(table->by_key, free);
	free(table);
}

struct identity *identity_find(struct identities *table, const uint8_t key[KEY_SIZE])
{
	return table_find(table->by_key, key);
}

static void forget(struct identities *table, struct identity *identity)
{
	TAILQ_REMOVE(&table->lingering, identity, linger);
	table_remove(table->by_key, &identity->entry);
	free(identity);
}

static struct identity *make(struct identities *table, const uint8_t key[KEY_SIZE])
{
	struct identity *identity = TAILQ_FIRST(&table->lingering);

	if (table_count(table->by_key) >= table->max) {
		if (!identity)
			return NULL;
		forget(table, identity);
	}
	identity = calloc(1, sizeof(*identity));
	if (!identity)
		return NULL;
	memcpy(identity->key, key, KEY_SIZE);
	table_add(table->by_key, &identity->entry);
	TAILQ_INSERT_TAIL(&table->lingering, identity, linger);
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
