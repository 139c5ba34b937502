/* SPDX-License-Identifier: MIT */
/*
 * presence.h - which nodes this server has said it holds, and when it must say so again
 *
 * Pure: for stores that keep such knowledge elsewhere.
 */
#ifndef RENDEZVOUS_PRESENCE_H
#define RENDEZVOUS_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/limits.h"
#include "common/table.h"

/**
 * struct presence
 * @said:	when it was said last, 0 not yet
 * @announced:	the store has answered that it knows that this server got the node (so that saying it again must not
 *		take it from a newer server)
 */
struct presence {
	struct table_entry entry;
	uint8_t key[KEY_SIZE];
	uint64_t said;
	bool announced;
	TAILQ_ENTRY(presence) order;	/* said longest ago first */
};

struct presences;

/** presences_new(), presences_free() - the table. Return: NULL without memory */
struct presences *presences_new(void);
void presences_free(struct presences *table);

/** presence_add() - Return: the presence (an older one of the key is made new), or NULL without memory */
struct presence *presence_add(struct presences *table, const uint8_t key[KEY_SIZE]);

/** presence_find() - Return: NULL when there is none */
struct presence *presence_find(struct presences *table, const uint8_t key[KEY_SIZE]);

/** presence_remove() - it is freed */
void presence_remove(struct presences *table, struct presence *presence);

/** presence_said() - it was said just now */
void presence_said(struct presences *table, struct presence *presence, uint64_t now);

/** presence_due() - one that was said before @before, longest ago first. Return: NULL when there is none */
struct presence *presence_due(struct presences *table, uint64_t before);

/** presences_forgotten() - the store may have lost everything: all are due */
void presences_forgotten(struct presences *table);

#endif
