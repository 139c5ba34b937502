/* SPDX-License-Identifier: MIT */
/*
 * places.c - a bounded number of places, shared fairly between the addresses of the Internet
 *
 * Sources are in lists by the number of places they hold, so that one with most is found at once.
 * A source that holds none is forgotten: there are never more sources than places.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/places.h"
#include "common/sources.h"

TAILQ_HEAD(place_list, place);

struct places_source {
	uint8_t prefix[SOURCE_PREFIX_SIZE];
	unsigned int held;
	struct place_list order;
	SLIST_ENTRY(places_source) chain;
	TAILQ_ENTRY(places_source) equals;	/* in holders[held] */
};

SLIST_HEAD(places_chain, places_source);
TAILQ_HEAD(places_holders, places_source);

struct places {
	unsigned int max, share, taken, most;	/* most: the largest number held by one source */
	unsigned int part;			/* of places_new_kept(); 0: of places_new() */
	uint64_t patience;
	uint8_t seed[HASH_SEED_SIZE];
	size_t mask;
	struct places_holders *holders;		/* by number; one above @share for an instant, while a loser leaves */
	struct places_chain chains[];
};

struct places *places_new(unsigned int max, unsigned int share, uint64_t patience)
{
	struct places *table;
	size_t chains = 16;

	while (chains < max)
		chains *= 2;
	table = calloc(1, sizeof(*table) + chains * sizeof(table->chains[0]));
	if (!table)
		return NULL;
	table->holders = calloc(share + 2, sizeof(table->holders[0]));
	if (!table->holders) {
		free(table);
		return NULL;
	}
	for (unsigned int i = 0; i < share + 2; i++)
		TAILQ_INIT(&table->holders[i]);
	table->max = max;
	table->share = share;
	table->patience = patience;
	table->mask = chains - 1;
	hash_seed(table->seed);
	return table;
}

struct places *places_new_kept(unsigned int max, unsigned int part)
{
	struct places *table = places_new(max, max / part + 1, NEVER);

	if (table)
		table->part = part;
	return table;
}

void places_free(struct places *table)
{
	if (table)
		free(table->holders);
	free(table);
}

static struct places_chain *chain_of(struct places *table, const uint8_t prefix[SOURCE_PREFIX_SIZE])
{
	return &table->chains[hash_bytes(table->seed, prefix, SOURCE_PREFIX_SIZE) & table->mask];
}

static struct places_source *source_find(struct places *table, const uint8_t prefix[SOURCE_PREFIX_SIZE])
{
	struct places_source *source;

	SLIST_FOREACH(source, chain_of(table, prefix), chain)
		if (!memcmp(source->prefix, prefix, SOURCE_PREFIX_SIZE))
			return source;
	return NULL;
}

static struct places_source *source_make(struct places *table, const uint8_t prefix[SOURCE_PREFIX_SIZE])
{
	struct places_source *source = calloc(1, sizeof(*source));

	if (!source)
		return NULL;
	memcpy(source->prefix, prefix, SOURCE_PREFIX_SIZE);
	TAILQ_INIT(&source->order);
	SLIST_INSERT_HEAD(chain_of(table, prefix), source, chain);
	return source;
}

/* The number that a source holds has changed from @before */
static void source_sort(struct places *table, struct places_source *source, unsigned int before)
{
	if (before)
		TAILQ_REMOVE(&table->holders[before], source, equals);
	if (source->held)
		TAILQ_INSERT_TAIL(&table->holders[source->held], source, equals);
	if (source->held > table->most)
		table->most = source->held;
	while (table->most && TAILQ_EMPTY(&table->holders[table->most]))
		table->most--;
}

/* Who gives way to a newcomer of a source (NULL: it holds nothing). Return: 0 or -errno of places_take() */
static int find_loser(struct places *table, const struct places_source *source, uint64_t now,
		      struct place **loser)
{
	unsigned int held = source ? source->held : 0;
	const struct places_source *of = source;
	struct place *oldest;

	if (table->part && table->taken >= table->max)
		return -ENOBUFS;
	if (table->part)
		return !held || held < (table->max - table->taken) / table->part ? 0 : -EUSERS;
	if (held < table->share && table->taken < table->max)
		return 0;
	if (held < table->share && held < table->most)
		of = TAILQ_FIRST(&table->holders[table->most]);
	oldest = TAILQ_FIRST(&of->order);
	if (of == source && now - oldest->since < table->patience)
		return held < table->share ? -ENOBUFS : -EUSERS;
	*loser = oldest;
	return 0;
}

int places_take(struct places *table, struct place *place, const struct endpoint *from, uint64_t now,
		struct place **loser)
{
	uint8_t prefix[SOURCE_PREFIX_SIZE];
	struct places_source *source;
	int err;

	*loser = NULL;
	source_prefix(from, prefix);
	source = source_find(table, prefix);
	err = find_loser(table, source, now, loser);
	if (!err && !source) {
		source = source_make(table, prefix);
		err = source ? 0 : -ENOMEM;
	}
	if (err) {
		*loser = NULL;
		return err;
	}
	place->table = table;
	place->source = source;
	place->since = now;
	TAILQ_INSERT_TAIL(&source->order, place, order);
	table->taken++;
	source->held++;
	source_sort(table, source, source->held - 1);
	if (*loser)
		places_leave(*loser);
	return 0;
}

bool places_inherit(struct place *heir, struct place *of, const struct endpoint *from)
{
	uint8_t prefix[SOURCE_PREFIX_SIZE];

	source_prefix(from, prefix);
	if (!of->source || memcmp(of->source->prefix, prefix, sizeof(prefix)))
		return false;
	heir->table = of->table;
	heir->source = of->source;
	heir->since = of->since;
	TAILQ_INSERT_BEFORE(of, heir, order);
	TAILQ_REMOVE(&of->source->order, of, order);
	of->source = NULL;
	return true;
}

void places_renew(struct place *place, uint64_t now)
{
	if (!place->source)
		return;
	place->since = now;
	TAILQ_REMOVE(&place->source->order, place, order);
	TAILQ_INSERT_TAIL(&place->source->order, place, order);
}

void places_leave(struct place *place)
{
	struct places_source *source = place->source;
	struct places *table = place->table;

	if (!source)
		return;
	place->source = NULL;
	TAILQ_REMOVE(&source->order, place, order);
	table->taken--;
	source->held--;
	source_sort(table, source, source->held + 1);
	if (source->held)
		return;
	SLIST_REMOVE(chain_of(table, source->prefix), source, places_source, chain);
	free(source);
}

unsigned int places_taken(const struct places *table)
{
	return table->taken;
}
