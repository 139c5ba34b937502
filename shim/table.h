/* SPDX-License-Identifier: MIT */
/*
 * table.h - what the shim knows of single sockets: SO_COOKIE -> 64 bits
 *
 * A cookie is the same for all descriptors of a kernel socket and is never
 * used again, so no hook on close(), dup() or fork() keeps these tables right: an entry
 * of a socket that is gone is never found again and is overwritten in time.
 * No locks: any thread, after any fork.  Pure.
 */
#ifndef PUNCH_SHIM_TABLE_H
#define PUNCH_SHIM_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TABLE_WAYS	8	/* places where one cookie may be; the eldest is overwritten */
#define TABLE_SETS	256	/* so 2,048 sockets; when more are alive the eldest lose their memory */

struct table_entry {
	_Atomic(uint64_t) cookie;	/* 0: free */
	_Atomic(uint64_t) value;
	_Atomic(uint32_t) age;		/* of the table's clock when it was put */
};

struct table {
	_Atomic(uint32_t) clock;	/* 0: nothing was ever put */
	struct table_entry entries[TABLE_SETS][TABLE_WAYS];
};

/** table_empty() - was nothing ever put? Costs one load: the test before any system call */
static inline bool table_empty(const struct table *table)
{
	return atomic_load_explicit(&table->clock, memory_order_relaxed) == 0;
}

/** table_put() - remember, or replace */
void table_put(struct table *table, uint64_t cookie, uint64_t value);

/** table_get() - Return: false when unknown */
bool table_get(const struct table *table, uint64_t cookie, uint64_t *value);

/** table_change() - replace the value if it is still @from. Return: false when it is not, or unknown */
bool table_change(struct table *table, uint64_t cookie, uint64_t from, uint64_t to);

/** table_remove() - forget */
void table_remove(struct table *table, uint64_t cookie);

#endif
