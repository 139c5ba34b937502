/* SPDX-License-Identifier: MIT */
/*
 * names.h - which stand-in slot belongs to which peer's name
 */
#ifndef PUNCH_NAMES_H
#define PUNCH_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"

#define NAMES_MAX	4096	/* file mode: at most CONF_PEERS of them; quick mode: whom one user ever dialled */

struct names;

/** names_new() - empty. Return: NULL when out of memory; names_free() */
struct names *names_new(void);
void names_free(struct names *names);

/**
 * names_slot() - the slot of a name, given now when it has none
 *
 * The slot is the first free one from names_preferred() on, so it is the same in each run
 * but for names that collide; those are saved (state.c).
 *
 * @name:	upper and lower case are the same
 * Return: slot, or 0 when the table is full or the name is empty or too long
 */
uint32_t names_slot(struct names *names, const char *name);

/** names_find() - as names_slot(), but gives nothing out. Return: slot or 0 */
uint32_t names_find(const struct names *names, const char *name);

/** names_preferred() - where a name's slot is without collisions: SHA-256 of it, 1 .. STANDIN_SLOTS - 2 */
uint32_t names_preferred(const char *name);

/** names_of_slot() - Return: the name as first given, owned by the table, or NULL */
const char *names_of_slot(const struct names *names, uint32_t slot);

/** names_restore() - a saved pair. Return: 0, -EINVAL (range, form), -EEXIST (name or slot is taken), -ENOSPC */
int names_restore(struct names *names, const char *name, uint32_t slot);

/** names_get() - iterate. Return: false when @i is past the end */
bool names_get(const struct names *names, unsigned int i, const char **name, uint32_t *slot);

#endif
