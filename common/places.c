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
#include "common/places.h"
#include "common/table.h"

TAILQ_HEAD(place_list, place);

struct places_source {
	struct table_entry entry;
	uint8_t prefix[SOURCE_PREFIX_SIZE];
	unsigned int held;
	struct place_list order;
	TAILQ_ENTRY(places_source) equals;	/* in holders[held] */
};

TAILQ_HEAD(places_holders, places_source);

struct places {
	unsigned int max, share, taken, most;	/* most: the largest number held by one source */
	unsigned int part;			/* of places_new_kept(); 0: of places_new() */
	uint64_t patience;
	struct table *sources;
	struct places_holders *holders;		/* by number; one above @share for an instant, while a loser leaves */
};

struct places *places_new(unsigned int max, unsigned int share, uint64_t patience)
{
	struct places *places = calloc(1, sizeof(*places));

	if (!places)
		return NULL;
	places->sources = table_new(max, TABLE_KEY(struct places_source, prefix));
	places->holders = calloc(share + 2, sizeof(places->holders[0]));
	if (!places->sources || !places->holders) {
		places_free(places);
		return NULL;
	}
	for (unsigned int i = 0; i < share + 2; i++)
		TAILQ_INIT(&places->holders[i]);
	places->max = max;
	places->share = share;
	places->patience = patience;
	return places;
}

struct places *places_new_kept(unsigned int max, unsigned int part)
{
	struct places *places = places_new(max, max / part + 1, NEVER);

	if (places)
		places->part = part;
	return places;
}

unsigned int places_fit(unsigned int most, unsigned int of, unsigned int part)
{
	unsigned int fit = of / part < most ? of / part : most;

	return fit ? fit : 1;
}

void places_free(struct places *places)
{
	if (!places)
		return;
	table_free(places->sources, NULL);
	free(places->holders);
	free(places);
}

static struct places_source *source_make(struct places *places, const uint8_t prefix[SOURCE_PREFIX_SIZE])
{
	struct places_source *source = calloc(1, sizeof(*source));

	if (!source)
		return NULL;
	memcpy(source->prefix, prefix, SOURCE_PREFIX_SIZE);
	TAILQ_INIT(&source->order);
	table_add(places->sources, &source->entry);
	return source;
}

/* The number that a source holds has changed from @before */
static void source_sort(struct places *places, struct places_source *source, unsigned int before)
{
	if (before)
		TAILQ_REMOVE(&places->holders[before], source, equals);
	if (source->held)
		TAILQ_INSERT_TAIL(&places->holders[source->held], source, equals);
	if (source->held > places->most)
		places->most = source->held;
	while (places->most && TAILQ_EMPTY(&places->holders[places->most]))
		places->most--;
}

/* Who gives way to a newcomer of a source (NULL: it holds nothing). Return: 0 or -errno of places_take() */
static int find_loser(struct places *places, const struct places_source *source, uint64_t now,
		      struct place **loser)
{
	unsigned int held = source ? source->held : 0;
	const struct places_source *of = source;
	struct place *oldest;

	if (places->part && places->taken >= places->max)
		return -ENOBUFS;
	if (places->part)
		return !held || held < (places->max - places->taken) / places->part ? 0 : -EUSERS;
	if (held < places->share && places->taken < places->max)
		return 0;
	if (held < places->share && held < places->most)
		of = TAILQ_FIRST(&places->holders[places->most]);
	oldest = TAILQ_FIRST(&of->order);
	if (of == source && now - oldest->since < places->patience)
		return held < places->share ? -ENOBUFS : -EUSERS;
	*loser = oldest;
	return 0;
}

int places_take_for(struct places *places, struct place *place, const uint8_t prefix[SOURCE_PREFIX_SIZE], uint64_t now,
		    struct place **loser)
{
	struct places_source *source;
	int err;

	*loser = NULL;
	source = table_find(places->sources, prefix);
	err = find_loser(places, source, now, loser);
	if (!err && !source) {
		source = source_make(places, prefix);
		err = source ? 0 : -ENOMEM;
	}
	if (err) {
		*loser = NULL;
		return err;
	}
	place->table = places;
	place->source = source;
	place->since = now;
	TAILQ_INSERT_TAIL(&source->order, place, order);
	places->taken++;
	source->held++;
	source_sort(places, source, source->held - 1);
	if (*loser)
		places_leave(*loser);
	return 0;
}

int places_take(struct places *places, struct place *place, const struct endpoint *from, uint64_t now,
		struct place **loser)
{
	uint8_t prefix[SOURCE_PREFIX_SIZE];

	source_prefix(from, prefix);
	return places_take_for(places, place, prefix, now, loser);
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
	struct places *places = place->table;

	if (!source)
		return;
	place->source = NULL;
	TAILQ_REMOVE(&source->order, place, order);
	places->taken--;
	source->held--;
	source_sort(places, source, source->held + 1);
	if (source->held)
		return;
	table_remove(places->sources, &source->entry);
	free(source);
}

unsigned int places_taken(const struct places *places)
{
	return places->taken;
}
