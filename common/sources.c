/* SPDX-License-Identifier: MIT */
/*
 * sources.c - how much each address of the Internet may ask of a server
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/sources.h"
#include "common/table.h"

#define FORGET_AT_ONCE	4	/* idle sources looked at for each admission: more than can become idle by it */

struct source {
	struct table_entry entry;
	uint8_t prefix[SOURCE_PREFIX_SIZE];
	unsigned int open;
	struct bucket bucket, spent[SOURCES_PURSES];
	TAILQ_ENTRY(source) idle;	/* in sources->idle while open is 0 */
};

TAILQ_HEAD(source_idle, source);

struct sources {
	unsigned int max, open;
	struct rate rate;
	struct table *table;
	struct source_idle idle;	/* longest idle first */
};

struct sources *sources_new(unsigned int max, unsigned int open, const struct rate *rate)
{
	struct sources *sources = calloc(1, sizeof(*sources));

	if (!sources)
		return NULL;
	sources->table = table_new(max, TABLE_KEY(struct source, prefix));
	if (!sources->table) {
		free(sources);
		return NULL;
	}
	sources->max = max;
	sources->open = open;
	sources->rate = *rate;
	TAILQ_INIT(&sources->idle);
	return sources;
}

void sources_free(struct sources *sources)
{
	if (sources)
		table_free(sources->table, free);
	free(sources);
}

void source_prefix(const struct endpoint *from, uint8_t prefix[SOURCE_PREFIX_SIZE])
{
	memset(prefix, 0, SOURCE_PREFIX_SIZE);
	prefix[0] = from->family == AF_INET6 ? 6 : 4;
	memcpy(prefix + 1, from->address, from->family == AF_INET6 ? 8 : 4);
}

static void source_forget(struct sources *sources, struct source *source)
{
	TAILQ_REMOVE(&sources->idle, source, idle);
	table_remove(sources->table, &source->entry);
	free(source);
}

static bool is_unspent(const struct source *source, uint64_t now)
{
	for (int i = 0; i < SOURCES_PURSES; i++)
		if (!bucket_is_full(&source->spent[i], now))
			return false;
	return bucket_is_full(&source->bucket, now);
}

/* Idle sources whose bucket is full again carry no knowledge */
static void forget_idle(struct sources *sources, uint64_t now)
{
	struct source *source;

	for (int i = 0; i < FORGET_AT_ONCE && (source = TAILQ_FIRST(&sources->idle)); i++) {
		if (table_count(sources->table) < sources->max && !is_unspent(source, now))
			break;
		source_forget(sources, source);
	}
}

static struct source *source_make(struct sources *sources, const uint8_t prefix[SOURCE_PREFIX_SIZE])
{
	struct source *source;

	if (table_count(sources->table) >= sources->max)
		return NULL;
	source = calloc(1, sizeof(*source));
	if (!source)
		return NULL;
	memcpy(source->prefix, prefix, SOURCE_PREFIX_SIZE);
	table_add(sources->table, &source->entry);
	TAILQ_INSERT_TAIL(&sources->idle, source, idle);
	return source;
}

int sources_admit(struct sources *sources, const struct endpoint *from, uint64_t now)
{
	uint8_t prefix[SOURCE_PREFIX_SIZE];
	struct source *source;

	source_prefix(from, prefix);
	source = table_find(sources->table, prefix);
	if (!source) {
		forget_idle(sources, now);
		source = source_make(sources, prefix);
	}
	if (!source)
		return -ENOBUFS;
	if (source->open >= sources->open)
		return -EUSERS;
	if (!bucket_take(&source->bucket, &sources->rate, now))
		return -EAGAIN;
	if (!source->open++)
		TAILQ_REMOVE(&sources->idle, source, idle);
	return 0;
}

void sources_release(struct sources *sources, const struct endpoint *from, uint64_t now)
{
	uint8_t prefix[SOURCE_PREFIX_SIZE];
	struct source *source;

	source_prefix(from, prefix);
	source = table_find(sources->table, prefix);
	if (!source || !source->open)
		return;
	if (!--source->open)
		TAILQ_INSERT_TAIL(&sources->idle, source, idle);
	forget_idle(sources, now);
}

bool sources_spend(struct sources *sources, const struct endpoint *from, unsigned int purse, const struct rate *rate,
		   uint64_t now)
{
	uint8_t prefix[SOURCE_PREFIX_SIZE];
	struct source *source;

	source_prefix(from, prefix);
	source = table_find(sources->table, prefix);
	return source && bucket_take(&source->spent[purse], rate, now);
}

unsigned int sources_count(const struct sources *sources)
{
	return table_count(sources->table);
}
