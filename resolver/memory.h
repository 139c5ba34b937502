/* SPDX-License-Identifier: MIT */
/*
 * memory.h - which tactic opened the NATs of two networks, to try it first the next time
 *
 * Pure: no files, time is an argument.
 */
#ifndef PUNCH_MEMORY_H
#define PUNCH_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/convert.h"

#define MEMORY_MAX	128		/* pairs of networks; the one that ends first gives way */
#define MEMORY_KEY	16		/* bytes of SHA-256 */
/* s: a network's NAT is seldom exchanged, and another address is another network */
#define MEMORY_WORKED	(7 * 86400)
/* in a row, before a pair is doubted: one may be a lost packet or a busy host */
#define MEMORY_FAILURES	2
#define MEMORY_FAILED	600		/* s: then a direct path is hoped for again at full length */

/**
 * struct memory_entry - one pair of networks
 * @first:	Punch__First, from the caller's and callee's view; 0: unused
 * @until:	Unix time
 * @failures:	since then nothing has worked so often; not kept on the disk
 */
struct memory_entry {
	uint8_t key[MEMORY_KEY];
	uint32_t first;
	uint64_t until;
	unsigned int failures;
};

/** struct memory - zeroed: nothing is remembered */
struct memory {
	struct memory_entry entries[MEMORY_MAX];
};

/**
 * memory_first() - what to try first
 * Return: Punch__First; FIRST_UNKNOWN where nothing is known, or a public address of one side is not
 */
uint32_t memory_first(const struct memory *memory, const struct description *caller, const struct description *callee,
		      uint64_t now);

/**
 * memory_learn() - what worked between two networks, or FIRST_RELAY where nothing did, which is believed the
 * second time; known for both directions
 * Return: true when something has changed that is worth keeping
 */
bool memory_learn(struct memory *memory, const struct description *caller, const struct description *callee,
		  uint32_t first, uint64_t now);

/** memory_kept() - is the entry worth a place on the disk? */
bool memory_kept(const struct memory_entry *entry);

/** memory_restore() - an entry from the disk; what cannot be is ignored */
void memory_restore(struct memory *memory, const struct memory_entry *entry, uint64_t now);

#endif
