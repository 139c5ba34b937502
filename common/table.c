/* SPDX-License-Identifier: MIT */
/*
 * table.c - a hash table of structs that somebody else owns, for keys that strangers choose
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/table.h"

#define CHAINS_LEAST	16

LIST_HEAD(table_chain, table_entry);

struct table {
	size_t key_at, key_size, mask;
	unsigned int count;
	uint8_t seed[HASH_SEED_SIZE];
	struct table_chain chains[];
};

struct table *table_new(size_t many, size_t key_at, size_t key_size)
{
	struct table *table;
	size_t chains = CHAINS_LEAST;

	while (chains < many)
		chains *= 2;
	table = calloc(1, sizeof(*table) + chains * sizeof(table->chains[0]));
	if (!table)
		return NULL;
	table->key_at = key_at;
	table->key_size = key_size;
	table->mask = chains - 1;
	hash_seed(table->seed);
	return table;
}

void table_free(struct table *table, void (*entry_free)(void *entry))
{
	struct table_entry *entry;

	for (size_t i = 0; table && entry_free && i <= table->mask; i++)
		while ((entry = LIST_FIRST(&table->chains[i]))) {
			LIST_REMOVE(entry, chain);
			entry_free(entry);
		}
	free(table);
}

static const uint8_t *key_of(const struct table *table, const struct table_entry *entry)
{
	return (const uint8_t *)entry + table->key_at;
}

static size_t chain_of(const struct table *table, const void *key)
{
	return (size_t)hash_bytes(table->seed, key, table->key_size) & table->mask;
}

void *table_find(const struct table *table, const void *key)
{
	struct table_entry *entry;

	LIST_FOREACH(entry, &table->chains[chain_of(table, key)], chain)
		if (!memcmp(key_of(table, entry), key, table->key_size))
			return entry;
	return NULL;
}

void table_add(struct table *table, struct table_entry *entry)
{
	LIST_INSERT_HEAD(&table->chains[chain_of(table, key_of(table, entry))], entry, chain);
	table->count++;
}

void table_remove(struct table *table, struct table_entry *entry)
{
	LIST_REMOVE(entry, chain);
	table->count--;
}

unsigned int table_count(const struct table *table)
{
	return table->count;
}
