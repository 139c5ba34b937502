/* SPDX-License-Identifier: MIT */
/*
 * names.c - which stand-in slot belongs to which peer's name
 *
 * Names are never taken out: an address that a program still holds must not
 * come to mean somebody else while this resolver runs.  A search goes over
 * one array of 32-bit numbers, 16 KiB when full: 1 us.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/limits.h"
#include "common/secret.h"
#include "common/standin.h"
#include "resolver/names.h"

struct names {
	unsigned int count;
	uint32_t preferred[NAMES_MAX];	/* of each name: compared before the text */
	uint32_t slots[NAMES_MAX];
	char *texts[NAMES_MAX];
};

struct names *names_new(void)
{
	return calloc(1, sizeof(struct names));
}

void names_free(struct names *names)
{
	unsigned int i;

	if (!names)
		return;
	for (i = 0; i < names->count; i++)
		free(names->texts[i]);
	free(names);
}

uint32_t names_preferred(const char *name)
{
	uint8_t hash[HASH_SIZE];
	char lower[LIMIT_HOST];
	uint32_t number;
	size_t i;

	for (i = 0; i < sizeof(lower) - 1 && name[i]; i++)
		lower[i] = (char)tolower((unsigned char)name[i]);
	if (secret_hash(lower, i, hash) < 0)
		return 0;
	number = (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8 | hash[3];
	return number % (STANDIN_SLOTS - 2) + 1;
}

static int find(const struct names *names, const char *name, uint32_t preferred)
{
	unsigned int i;

	for (i = 0; i < names->count; i++) {
		if (names->preferred[i] == preferred && strcasecmp(names->texts[i], name) == 0)
			return (int)i;
	}
	return -1;
}

const char *names_of_slot(const struct names *names, uint32_t slot)
{
	unsigned int i;

	for (i = 0; i < names->count; i++) {
		if (names->slots[i] == slot)
			return names->texts[i];
	}
	return NULL;
}

static bool name_fits(const char *name)
{
	return *name && strlen(name) < LIMIT_HOST;
}

static int add(struct names *names, const char *name, uint32_t preferred, uint32_t slot)
{
	char *text;

	if (names->count == NAMES_MAX)
		return -ENOSPC;
	text = strdup(name);
	if (!text)
		return -ENOMEM;
	names->preferred[names->count] = preferred;
	names->slots[names->count] = slot;
	names->texts[names->count++] = text;
	return 0;
}

uint32_t names_find(const struct names *names, const char *name)
{
	int i = name_fits(name) ? find(names, name, names_preferred(name)) : -1;

	return i < 0 ? 0 : names->slots[i];
}

uint32_t names_slot(struct names *names, const char *name)
{
	uint32_t preferred, slot;
	int i;

	if (!name_fits(name))
		return 0;
	preferred = names_preferred(name);
	if (!preferred)
		return 0;
	i = find(names, name, preferred);
	if (i >= 0)
		return names->slots[i];
	/* NAMES_MAX is below the number of slots: there is always a free one */
	for (slot = preferred; names_of_slot(names, slot);)
		slot = slot % (STANDIN_SLOTS - 2) + 1;
	return add(names, name, preferred, slot) < 0 ? 0 : slot;
}

int names_restore(struct names *names, const char *name, uint32_t slot)
{
	uint32_t preferred;

	if (!name_fits(name) || slot < 1 || slot > STANDIN_SLOTS - 2)
		return -EINVAL;
	preferred = names_preferred(name);
	if (find(names, name, preferred) >= 0 || names_of_slot(names, slot))
		return -EEXIST;
	return add(names, name, preferred, slot);
}

bool names_get(const struct names *names, unsigned int i, const char **name, uint32_t *slot)
{
	if (i >= names->count)
		return false;
	*name = names->texts[i];
	*slot = names->slots[i];
	return true;
}
