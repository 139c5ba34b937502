/* SPDX-License-Identifier: MIT */
/*
 * sources.c - how much each address of the Internet may ask of a server
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/hash.h"
#include "common/sources.h"

#define FORGET_AT_ONCE	4	/* idle sources looked at for each admission: more than can become idle by it */

struct source {
	uint8_t prefix[SOURCE_PREFIX_SIZE];
	unsigned int open;
	struct bucket bucket, spent;
	SLIST_ENTRY(source) chain;
	TAILQ_ENTRY(source) idle;	/* in sources->idle while open is 0 */
};

SLIST_HEAD(source_chain, source);
TAILQ_HEAD(source_idle, source);

struct sources {
	unsigned int max, open, count;
	struct rate rate;
	uint8_t seed[HASH_SEED_SIZE];
	size_t mask;
	struct source_idle idle;	/* longest idle first */
	struct source_chain chains[];
};

struct sources *sources_new(unsigned int max, unsigned int open, const struct rate *rate)
{
	struct sources *sources;
	size_t chains = 16;

	while (chains < max)
		chains *= 2;
	sources = calloc(1, sizeof(*sources) + chains * sizeof(sources->chains[0]));
	if (!sources)
		return NULL;
	sources->max = max;
	sources->open = open;
	sources->rate = *rate;
	sources->mask = chains - 1;
	hash_seed(sources->seed);
	TAILQ_INIT(&sources->idle);
	return sources;
}

void sources_free(struct sources *sources)
{
	struct source *source;

	if (!sources)
		return;
	for (size_t i = 0; i <= sources->mask; i++)
		while ((source = SLIST_FIRST(&sources->chains[i]))) {
			SLIST_REMOVE_HEAD(&sources->chains[i], chain);
			free(source);
		}
	free(sources);
}

void source_prefix(const struct endpoint *from, uint8_t prefix[SOURCE_PREFIX_SIZE])
{
	memset(prefix, 0, SOURCE_PREFIX_SIZE);
	prefix[0] = from->family == AF_INET6 ? 6 : 4;
	memcpy(prefix + 1, from->address, from->family == AF_INET6 ? 8 : 4);
}

static struct source_chain *chain_of(struct sources *sources, const uint8_t prefix[SOURCE_PREFIX_SIZE])
{
	return &sources->chains[hash_bytes(sources->seed, prefix, SOURCE_PREFIX_SIZE) & sources->mask];
}

static struct source *source_find(struct sources *sources, const uint8_t prefix[SOURCE_PREFIX_SIZE])
{
	struct source *source;

	SLIST_FOREACH(source, chain_of(sources, prefix), chain)
		if (!memcmp(source->prefix, prefix, SOURCE_PREFIX_SIZE))
			return source;
	return NULL;
}

static void source_forget(struct sources *sources, struct source *source)
{
	TAILQ_REMOVE(&sources->idle, source, idle);
	SLIST_REMOVE(chain_of(sources, source->prefix), source, source, chain);
	sources->count--;
	free(source);
}

/* Idle sources whose bucket is full again carry no knowledge */
static void forget_idle(struct sources *sources, uint64_t now)
{
	struct source *source;

	for (int i = 0; i < FORGET_AT_ONCE && (source = TAILQ_FIRST(&sources->idle)); i++) {
		if (sources->count < sources->max &&
		    (!bucket_is_full(&source->bucket, now) || !bucket_is_full(&source->spent, now)))
			break;
		source_forget(sources, source);
	}
}

static struct source *source_make(struct sources *sources, const uint8_t prefix[SOURCE_PREFIX_SIZE])
{
	struct source *source;

	if (sources->count >= sources->max)
		return NULL;
	source = calloc(1, sizeof(*source));
	if (!source)
		return NULL;
	memcpy(source->prefix, prefix, SOURCE_PREFIX_SIZE);
	SLIST_INSERT_HEAD(chain_of(sources, prefix), source, chain);
	TAILQ_INSERT_TAIL(&sources->idle, source, idle);
	sources->count++;
	return source;
}

int sources_admit(struct sources *sources, const struct endpoint *from, uint64_t now)
{
	uint8_t prefix[SOURCE_PREFIX_SIZE];
	struct source *source;

	source_prefix(from, prefix);
	source = source_find(sources, prefix);
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
	source = source_find(sources, prefix);
	if (!source || !source->open)
		return;
	if (!--source->open)
		TAILQ_INSERT_TAIL(&sources->idle, source, idle);
	forget_idle(sources, now);
}

bool sources_spend(struct sources *sources, const struct endpoint *from, const struct rate *rate, uint64_t now)
{
	uint8_t prefix[SOURCE_PREFIX_SIZE];
	struct source *source;

	source_prefix(from, prefix);
	source = source_find(sources, prefix);
	return source && bucket_take(&source->spent, rate, now);
}

unsigned int sources_count(const struct sources *sources)
{
	return sources->count;
}
