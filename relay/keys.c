/* SPDX-License-Identifier: MIT */
/*
 * keys.c - how much the nodes' keys use of the relay: pairs, and bytes a second
 *
 * The bytes are a GCRA (as in common/bucket.h, with tokens of different sizes): a key is busy until what was carried for
 * it has been paid for at its rate, and has more carried while that is not further ahead than RELAY_KEY_BURST.
 * So the last chunk may overshoot, and is paid for before the next one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/hash.h"
#include "relay/keys.h"
#include "relay/limits.h"

#define FORGET_AT_ONCE	4	/* keys without pairs looked at for each new one: more than it can add */

struct key_use {
	uint8_t key[KEY_SIZE];
	unsigned int pairs;
	uint64_t busy_until;
	SLIST_ENTRY(key_use) chain;
	TAILQ_ENTRY(key_use) idle;	/* while pairs is 0 */
};

SLIST_HEAD(key_chain, key_use);

static struct {
	unsigned int max, pairs, count;
	uint64_t rate;
	uint8_t seed[HASH_SEED_SIZE];
	size_t mask;
	struct key_chain *chains;
	TAILQ_HEAD(, key_use) idle;	/* longest idle first */
} keys;

int keys_open(unsigned int max, unsigned int pairs, uint64_t rate)
{
	size_t chains = 16;

	while (chains < max)
		chains *= 2;
	keys.chains = calloc(chains, sizeof(keys.chains[0]));
	if (!keys.chains)
		return -ENOMEM;
	keys.max = max;
	keys.pairs = pairs;
	keys.rate = rate;
	keys.mask = chains - 1;
	hash_seed(keys.seed);
	TAILQ_INIT(&keys.idle);
	return 0;
}

void keys_close(void)
{
	struct key_use *use;

	for (size_t i = 0; keys.chains && i <= keys.mask; i++)
		while ((use = SLIST_FIRST(&keys.chains[i]))) {
			SLIST_REMOVE_HEAD(&keys.chains[i], chain);
			free(use);
		}
	free(keys.chains);
	keys.chains = NULL;
	keys.count = 0;
}

static struct key_chain *chain_of(const uint8_t key[KEY_SIZE])
{
	return &keys.chains[hash_bytes(keys.seed, key, KEY_SIZE) & keys.mask];
}

static struct key_use *use_find(const uint8_t key[KEY_SIZE])
{
	struct key_use *use;

	SLIST_FOREACH(use, chain_of(key), chain)
		if (!memcmp(use->key, key, KEY_SIZE))
			return use;
	return NULL;
}

/* Those that owe nothing, and when there are too many the longest idle one in any case */
static void forget_idle(uint64_t now)
{
	struct key_use *use;

	for (int i = 0; i < FORGET_AT_ONCE && (use = TAILQ_FIRST(&keys.idle)); i++) {
		if (keys.count < keys.max && use->busy_until > now)
			break;
		TAILQ_REMOVE(&keys.idle, use, idle);
		SLIST_REMOVE(chain_of(use->key), use, key_use, chain);
		keys.count--;
		free(use);
	}
}

static int use_make(const uint8_t key[KEY_SIZE], struct key_use **use, uint64_t now)
{
	forget_idle(now);
	if (keys.count >= keys.max)
		return -ENOBUFS;
	*use = calloc(1, sizeof(**use));
	if (!*use)
		return -ENOMEM;
	memcpy((*use)->key, key, KEY_SIZE);
	SLIST_INSERT_HEAD(chain_of(key), *use, chain);
	TAILQ_INSERT_TAIL(&keys.idle, *use, idle);
	keys.count++;
	return 0;
}

int key_hold(const uint8_t key[KEY_SIZE], struct key_use **use, uint64_t now)
{
	int err = 0;

	*use = use_find(key);
	if (!*use)
		err = use_make(key, use, now);
	if (err)
		return err;
	if (keys.pairs && (*use)->pairs >= keys.pairs)
		return -EUSERS;
	if (!(*use)->pairs++)
		TAILQ_REMOVE(&keys.idle, *use, idle);
	return 0;
}

void key_release(struct key_use *use)
{
	if (!--use->pairs)
		TAILQ_INSERT_TAIL(&keys.idle, use, idle);
}

void keys_charge(struct key_use *const uses[2], size_t bytes, uint64_t now)
{
	for (int i = 0; keys.rate && i < 2; i++) {
		if (uses[i]->busy_until < now)
			uses[i]->busy_until = now;
		uses[i]->busy_until += bytes * SECOND / keys.rate;
	}
}

uint64_t keys_wait(struct key_use *const uses[2], uint64_t now)
{
	uint64_t busy = 0;

	for (int i = 0; keys.rate && i < 2; i++)
		if (uses[i]->busy_until > busy)
			busy = uses[i]->busy_until;
	return busy > now + RELAY_KEY_BURST ? busy - RELAY_KEY_BURST : 0;
}

unsigned int keys_count(void)
{
	return keys.count;
}
