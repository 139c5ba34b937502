/* SPDX-License-Identifier: MIT */
/*
 * identity.h - what the broker remembers of a key, whatever its connections
 *
 * Pure.  An identity lives as long as it has connections and RDV_LINGER beyond, so
 * that nobody gets a fresh rate limit by connecting again.  The table is bounded: when it is
 * full the identity without connections that left first is forgotten.
 */
#ifndef RENDEZVOUS_IDENTITY_H
#define RENDEZVOUS_IDENTITY_H

#include <stdint.h>
#include <sys/queue.h>

#include "common/bucket.h"
#include "common/limits.h"
#include "common/table.h"

struct broker_node;
struct identities;

/**
 * struct identity
 * @receiver:	connection that gets its invitations, or NULL
 * @connections: of this key, held up to date by identity_hold()/identity_release()
 * @calls, @ringing: open sessions as caller, as callee
 * @invites:	rate of its invitations
 * @joins:	rate of its registrations
 * @fights, @fight_since: replacements of its receiver lately
 */
struct identity {
	struct table_entry entry;
	uint8_t key[KEY_SIZE];
	struct broker_node *receiver;
	unsigned int connections;
	unsigned int calls, ringing;
	struct bucket invites, joins;
	unsigned int fights;
	uint64_t fight_since;
	uint64_t left;				/* when it lost its last connection */
	TAILQ_ENTRY(identity) linger;		/* while connections is 0 */
};

/** identities_new() - @max: most of them. Return: identities_free(), or NULL without memory */
struct identities *identities_new(unsigned int max);
void identities_free(struct identities *table);

/** identity_find() - Return: NULL when nothing is known of the key */
struct identity *identity_find(struct identities *table, const uint8_t key[KEY_SIZE]);

/** identity_hold() - one more connection of a key. Return: NULL when table or memory is full */
struct identity *identity_hold(struct identities *table, const uint8_t key[KEY_SIZE]);

/** identity_release() - one connection less */
void identity_release(struct identities *table, struct identity *identity, uint64_t now);

/**
 * identity_fight() - the receiver was replaced by another connection
 * Return: replacements within RDV_LINGER, with this one
 */
unsigned int identity_fight(struct identity *identity, uint64_t now);

/** identities_run() - forget those that left long ago. Return: next deadline */
uint64_t identities_run(struct identities *table, uint64_t now);

#endif
