/* SPDX-License-Identifier: MIT */
/*
 * peers.h - INTERFACE - names and keys of the others, and their stand-in slots
 *
 * A slot is found by SHA-256 of the name and probing; it is the same in each
 * run (names that collide are remembered in the saved state).
 */
#ifndef PUNCH_PEERS_H
#define PUNCH_PEERS_H

#include "common/local.h"
#include "resolver/node.h"

/**
 * struct peer - somebody we may dial or who may dial us
 * @name:	as configured; quick mode: "bob.punch"; a guest without a name: "guest"
 */
struct peer {
	char name[LIMIT_HOST];
	uint8_t key[KEY_SIZE];
	uint32_t slot;
	enum conf_route route;
	enum conf_encrypt encrypt;
};

/**
 * peer_find() - whom a program means
 * @name:	name or alias, or "" when only @target is known
 * @target:	stand-in or alias address
 * Return: 0, -ENOENT (no such peer), -EKEYREJECTED (its key is malformed)
 */
int peer_find(struct node *node, const char *name, const struct endpoint *target, struct peer *peer);

/** peer_by_key() - file mode: the [peer] with this key. Return: 0 or -ENOENT */
int peer_by_key(struct node *node, const uint8_t key[KEY_SIZE], struct peer *peer);

/** peer_guest() - quick mode: a caller that proved it knows the word, by the name it gave ("" allowed) */
int peer_guest(struct node *node, const uint8_t key[KEY_SIZE], const char *name, struct peer *peer);

/** peer_name_of_slot() - for reverse look-ups. Return: name or NULL */
const char *peer_name_of_slot(const struct node *node, uint32_t slot);

#endif
