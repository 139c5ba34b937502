/* SPDX-License-Identifier: MIT */
/*
 * memory.c - which tactic opened the NATs of two networks, to try it first the next time
 *
 * A network is its public address without the last byte (an IPv6 /48) and its NAT's mapping: homes
 * behind one carrier's NAT share an experience, and a NAT that was exchanged has none.
 * What failed is remembered for minutes only; it shortens the wait for a direct path, and forbids nothing.
 */
#include "resolver/memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/secret.h"

static const struct endpoint *public_of(const struct description *d)
{
	unsigned int i;

	for (i = 0; i < d->count; i++)
		if (d->candidates[i].type == PUNCH__CANDIDATE_TYPE__CANDIDATE_REFLEXIVE)
			return &d->candidates[i].endpoint;
	return NULL;
}

static bool key_of(const struct description *caller, const struct description *callee, uint8_t key[MEMORY_KEY])
{
	const struct description *sides[] = { caller, callee };
	uint8_t text[2 * (1 + 6 + 1)], hash[HASH_SIZE];
	unsigned int i, n = 0;

	memset(text, 0, sizeof(text));
	for (i = 0; i < 2; i++) {
		const struct endpoint *ep = public_of(sides[i]);
		unsigned int size;

		if (!ep)
			return false;
		size = ep->family == AF_INET ? 3 : 6;
		text[n] = (uint8_t)size;
		memcpy(text + n + 1, ep->address, size);
		text[n + 7] = (uint8_t)sides[i]->mapping;
		n += 8;
	}
	if (secret_hash(text, n, hash))
		return false;
	memcpy(key, hash, MEMORY_KEY);
	return true;
}

uint32_t memory_first(const struct memory *memory, const struct description *caller, const struct description *callee,
		      uint64_t now)
{
	uint8_t key[MEMORY_KEY];
	unsigned int i;

	if (!key_of(caller, callee, key))
		return PUNCH__FIRST__FIRST_UNKNOWN;
	for (i = 0; i < MEMORY_MAX; i++)
		if (memory->entries[i].first && memory->entries[i].until > now &&
		    !memcmp(memory->entries[i].key, key, MEMORY_KEY))
			return memory_kept(&memory->entries[i]) ? memory->entries[i].first :
								  PUNCH__FIRST__FIRST_UNKNOWN;
	return PUNCH__FIRST__FIRST_UNKNOWN;
}

static bool put(struct memory *memory, const struct memory_entry *entry, uint64_t now)
{
	struct memory_entry *e = &memory->entries[0];
	bool same;
	unsigned int i;

	for (i = 0; i < MEMORY_MAX; i++) {
		struct memory_entry *other = &memory->entries[i];

		if (other->first && !memcmp(other->key, entry->key, MEMORY_KEY)) {
			e = other;
			break;
		}
		if (e->first && (!other->first || other->until < e->until))
			e = other;
	}
	/* The same again within a day is not worth a write */
	same = e->first == entry->first && e->failures == entry->failures && !memcmp(e->key, entry->key, MEMORY_KEY) &&
	       e->until > now && e->until + 86400 > entry->until;
	if (!same)
		*e = *entry;
	return !same;
}

bool memory_kept(const struct memory_entry *entry)
{
	return entry->first && (entry->first != PUNCH__FIRST__FIRST_RELAY || entry->failures >= MEMORY_FAILURES);
}

/* Return: true when something has changed that is worth keeping */
static bool learn(struct memory *memory, struct memory_entry *entry, uint64_t now)
{
	struct memory_entry *old = NULL;
	unsigned int i;

	if (entry->first != PUNCH__FIRST__FIRST_RELAY)
		return put(memory, entry, now);
	for (i = 0; i < MEMORY_MAX && !old; i++)
		if (memory->entries[i].first && memory->entries[i].until > now &&
		    !memcmp(memory->entries[i].key, entry->key, MEMORY_KEY))
			old = &memory->entries[i];
	entry->failures = old && old->failures ? MEMORY_FAILURES : 1;
	if (entry->failures < MEMORY_FAILURES && old) {
		old->failures = entry->failures;	/* what worked before is tried first once more */
		return false;
	}
	return put(memory, entry, now) && memory_kept(entry);
}

/* The same from the other end */
static uint32_t turned(uint32_t first)
{
	return first == PUNCH__FIRST__FIRST_CALLER_OPENS ? PUNCH__FIRST__FIRST_CALLEE_OPENS :
	       first == PUNCH__FIRST__FIRST_CALLEE_OPENS ? PUNCH__FIRST__FIRST_CALLER_OPENS : first;
}

bool memory_learn(struct memory *memory, const struct description *caller, const struct description *callee,
		  uint32_t first, uint64_t now)
{
	uint64_t until = now + (first == PUNCH__FIRST__FIRST_RELAY ? MEMORY_FAILED : MEMORY_WORKED);
	struct memory_entry there = { .first = first, .until = until },
			    back = { .first = turned(first), .until = until };
	bool new_there, new_back;

	if (!first || !key_of(caller, callee, there.key) || !key_of(callee, caller, back.key))
		return false;
	new_there = learn(memory, &there, now);
	new_back = memcmp(there.key, back.key, MEMORY_KEY) && learn(memory, &back, now);
	return new_there || new_back;
}

void memory_restore(struct memory *memory, const struct memory_entry *entry, uint64_t now)
{
	struct memory_entry restored = *entry;

	if (entry->first > PUNCH__FIRST__FIRST_UNKNOWN && entry->first <= PUNCH__FIRST__FIRST_RELAY &&
	    entry->until > now && entry->until <= now + MEMORY_WORKED) {
		restored.failures = entry->first == PUNCH__FIRST__FIRST_RELAY ? MEMORY_FAILURES : 0;
		put(memory, &restored, now);
	}
}
