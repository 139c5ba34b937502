/* SPDX-License-Identifier: MIT */
/*
 * fdtable.c - what the shim knows of single sockets: SO_COOKIE -> 64 bits
 *
 * A writer owns a place by swapping its cookie for BUSY; a reader looks at
 * the cookie before and after it reads the value.
 */
#include <stddef.h>

#include "shim/fdtable.h"

#define BUSY	UINT64_MAX	/* the kernel counts cookies up from 1 */
#define SPINS	1000		/* a place is busy for nanoseconds; for ever in a child forked in that moment */

static struct fdtable_entry *set_of(const struct fdtable *table, uint64_t cookie)
{
	/* cookies are consecutive numbers, per processor: the low bits spread well */
	union {
		const struct fdtable *in;
		struct fdtable *out;
	} any = { .in = table };	/* one look-up serves readers and writers */

	return any.out->entries[cookie % FDTABLE_SETS];
}

static struct fdtable_entry *find(const struct fdtable *table, uint64_t cookie)
{
	struct fdtable_entry *set = set_of(table, cookie);
	unsigned int spins, i;
	bool busy = cookie != 0;

	for (spins = 0; busy && spins < SPINS; spins++) {
		busy = false;
		for (i = 0; i < FDTABLE_WAYS; i++) {
			uint64_t held = atomic_load_explicit(&set[i].cookie, memory_order_acquire);

			if (held == cookie)
				return &set[i];
			busy = busy || held == BUSY;	/* may be ours: look again */
		}
	}
	return NULL;
}

/* A free place, else the eldest */
static struct fdtable_entry *choose(struct fdtable *table, uint64_t cookie, uint32_t now)
{
	struct fdtable_entry *set = set_of(table, cookie), *best = NULL;
	uint32_t best_age = 0;
	unsigned int i;

	for (i = 0; i < FDTABLE_WAYS; i++) {
		uint64_t held = atomic_load_explicit(&set[i].cookie, memory_order_relaxed);
		uint32_t age = now - atomic_load_explicit(&set[i].age, memory_order_relaxed);

		if (held == 0)
			return &set[i];
		if (held != BUSY && (!best || age > best_age)) {
			best = &set[i];
			best_age = age;
		}
	}
	return best;
}

void fdtable_put(struct fdtable *table, uint64_t cookie, uint64_t value)
{
	uint32_t now = atomic_fetch_add(&table->clock, 1) + 1;
	struct fdtable_entry *entry = find(table, cookie);
	unsigned int tries;

	if (now == 0)	/* the clock went round: never empty again */
		atomic_fetch_add(&table->clock, 1);
	for (tries = 0; cookie && tries < FDTABLE_WAYS; tries++) {
		uint64_t held;

		if (!entry)
			entry = choose(table, cookie, now);
		if (!entry)
			return;		/* each place is being written by somebody else: forget this one */
		held = atomic_load(&entry->cookie);
		if (held != BUSY && atomic_compare_exchange_strong(&entry->cookie, &held, BUSY)) {
			atomic_store(&entry->value, value);
			atomic_store(&entry->age, now);
			atomic_store(&entry->cookie, cookie);
			return;
		}
		entry = NULL;
	}
}

bool fdtable_get(const struct fdtable *table, uint64_t cookie, uint64_t *value)
{
	const struct fdtable_entry *entry;

	do {
		entry = find(table, cookie);
		if (!entry)
			return false;
		*value = atomic_load(&entry->value);
	} while (atomic_load(&entry->cookie) != cookie);
	return true;
}

bool fdtable_change(struct fdtable *table, uint64_t cookie, uint64_t from, uint64_t to)
{
	struct fdtable_entry *entry = find(table, cookie);
	uint64_t held = cookie;
	bool changed;

	if (!entry || !atomic_compare_exchange_strong(&entry->cookie, &held, BUSY))
		return false;
	changed = atomic_compare_exchange_strong(&entry->value, &from, to);
	atomic_store(&entry->cookie, cookie);
	return changed;
}

bool fdtable_remove(struct fdtable *table, uint64_t cookie)
{
	struct fdtable_entry *entry = find(table, cookie);

	return entry && atomic_compare_exchange_strong(&entry->cookie, &cookie, 0);
}
