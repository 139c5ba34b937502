/* SPDX-License-Identifier: MIT */
/*
 * keys.c - how much the nodes' keys use of the relay: pairs, and bytes a second
 *
 * The bytes are a GCRA (as in common/bucket.h, with tokens of different sizes): a key is busy until
 * what was carried for it has been paid for at its rate, and has more carried while that is not
 * further ahead than RELAY_KEY_BURST.  So the last chunk may overshoot, and is paid for before the next one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/table.h"
#include "relay/keys.h"
#include "relay/limits.h"

#define FORGET_AT_ONCE	4	/* keys without pairs looked at for each new one: more than it can add */

struct key_use {
	struct table_entry entry;
	uint8_t key[KEY_SIZE];
	unsigned int pairs;
	uint64_t busy_until;
	TAILQ_ENTRY(key_use) idle;	/* while pairs is 0 */
};

static struct {
	unsigned int max, pairs;
	uint64_t rate;
	struct table *table;
	TAILQ_HEAD(, key_use) idle;	/* longest idle first */
} keys;

int keys_open(unsigned int max, unsigned int pairs, uint64_t rate)
{
	keys.table = table_new(max, TABLE_KEY(struct key_use, key));
	if (!keys.table)
		return -ENOMEM;
	keys.max = max;
	keys.pairs = pairs;
	keys.rate = rate;
	TAILQ_INIT(&keys.idle);
	return 0;
}

void keys_close(void)
{
	table_free(keys.table, free);
	keys.table = NULL;
}

/* Those that owe nothing, and when there are too many the longest idle one in any case */
static void forget_idle(uint64_t now)
{
	struct key_use *use;

	for (int i = 0; i < FORGET_AT_ONCE && (use = TAILQ_FIRST(&keys.idle)); i++) {
		if (table_count(keys.table) < keys.max && use->busy_until > now)
			break;
		TAILQ_REMOVE(&keys.idle, use, idle);
		table_remove(keys.table, &use->entry);
		free(use);
	}
}

static int use_make(const uint8_t key[KEY_SIZE], struct key_use **use, uint64_t now)
{
	forget_idle(now);
	if (table_count(keys.table) >= keys.max)
		return -ENOBUFS;
	*use = calloc(1, sizeof(**use));
	if (!*use)
		return -ENOMEM;
	memcpy((*use)->key, key, KEY_SIZE);
	table_add(keys.table, &(*use)->entry);
	TAILQ_INSERT_TAIL(&keys.idle, *use, idle);
	return 0;
}

int key_hold(const uint8_t key[KEY_SIZE], struct key_use **use, uint64_t now)
{
	int err = 0;

	*use = table_find(keys.table, key);
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
	return table_count(keys.table);
}
