/* SPDX-License-Identifier: MIT */
/*
 * fdtable.h - what the shim knows of single sockets: SO_COOKIE -> 64 bits
 *
 * A cookie is the same for all descriptors of a kernel socket and is never
 * used again, so no hook on close(), dup() or fork() keeps these tables right: an entry
 * of a socket that is gone is never found again and is overwritten in time.
 * No locks: any thread, after any fork.  Pure.  Cookie 0 is nobody's: it is never put, and never found.
 */
#ifndef PUNCH_SHIM_FDTABLE_H
#define PUNCH_SHIM_FDTABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FDTABLE_WAYS	8	/* places where one cookie may be; the eldest is overwritten */
#define FDTABLE_SETS	256	/* so 2,048 sockets; when more are alive the eldest lose their memory */

/**
 * struct fdtable_entry - one socket
 * @cookie:	0: free
 * @age:	of the table's clock when it was put
 */
struct fdtable_entry {
	_Atomic(uint64_t) cookie;
	_Atomic(uint64_t) value;
	_Atomic(uint32_t) age;
};

/**
 * struct fdtable - all zero: empty
 * @clock:	counts what was put; 0: nothing ever
 */
struct fdtable {
	_Atomic(uint32_t) clock;
	struct fdtable_entry entries[FDTABLE_SETS][FDTABLE_WAYS];
};

/** fdtable_empty() - was nothing ever put? Costs one load: the test before any system call */
static inline bool fdtable_empty(const struct fdtable *table)
{
	return atomic_load_explicit(&table->clock, memory_order_relaxed) == 0;
}

/** fdtable_put() - remember @value, or replace what there was; forgets the eldest of its set when that is full */
void fdtable_put(struct fdtable *table, uint64_t cookie, uint64_t value);

/** fdtable_get() - what was put. @value: out. Return: false when unknown; @value is in disorder then */
bool fdtable_get(const struct fdtable *table, uint64_t cookie, uint64_t *value);

/** fdtable_change() - replace the value by @to if it is still @from. Return: false when it is not, or unknown */
bool fdtable_change(struct fdtable *table, uint64_t cookie, uint64_t from, uint64_t to);

/** fdtable_remove() - forget. Return: false when it is unknown, or another thread was faster */
bool fdtable_remove(struct fdtable *table, uint64_t cookie);

#endif
