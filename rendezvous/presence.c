/* SPDX-License-Identifier: MIT */
/*
 * presence.c - which nodes this server has said it holds, and when it must say so again
 */
#include <stdlib.h>
#include <string.h>

#include "rendezvous/limits.h"
#include "rendezvous/presence.h"

TAILQ_HEAD(presence_list, presence);

struct presences {
	struct table *by_key;
	struct presence_list order;
};

struct presences *presences_new(void)
{
	struct presences *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	TAILQ_INIT(&table->order);
	table->by_key = table_new(RDV_NODES, TABLE_KEY(struct presence, key));
	if (table->by_key)
		return table;
	free(table);
	return NULL;
}

struct presence *presence_find(struct presences *table, const uint8_t key[KEY_SIZE])
{
	return table_find(table->by_key, key);
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
		table_add(table->by_key, &presence->entry);
	}
	presence->said = 0;
	presence->announced = false;
	TAILQ_INSERT_HEAD(&table->order, presence, order);
	return presence;
}

void presence_remove(struct presences *table, struct presence *presence)
{
	table_remove(table->by_key, &presence->entry);
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
	if (table)
		table_free(table->by_key, free);
	free(table);
}
