/* SPDX-License-Identifier: MIT */
/*
 * peers.c - names and keys of the others
 *
 * File mode: the [peer] sections.  Quick mode: any name that ends in
 * ".punch"; its key is derived from the word, so a name is never looked up anywhere.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/log.h"
#include "common/standin.h"
#include "resolver/names.h"
#include "resolver/peers.h"
#include "resolver/state.h"

#define SUFFIX	".punch"	/* of every name in quick mode */
#define GUEST	"guest"		/* a caller in quick mode that has no name of its own */

/* "Bob.Punch." -> "bob". Return: 0, or -ENOENT when it is no name of quick mode */
static int quick_bare(char bare[LIMIT_NAME], const char *name)
{
	size_t size = strnlen(name, LIMIT_HOST), end = strlen(SUFFIX), i;

	if (size > 0 && name[size - 1] == '.')
		size--;
	if (size <= end || strncasecmp(name + size - end, SUFFIX, end) != 0)
		return -ENOENT;
	size -= end;
	if (size >= LIMIT_NAME)
		return -ENOENT;
	for (i = 0; i < size; i++)
		bare[i] = (char)tolower((unsigned char)name[i]);
	bare[size] = '\0';
	return conf_name_ok(bare) ? 0 : -ENOENT;
}

/* A slot for the name; a new one is saved, so that addresses given out outlive this process */
static uint32_t slot_of(struct node *node, const char *name)
{
	uint32_t slot = names_find(node->names, name);
	static struct log_limit limit;

	if (slot)
		return slot;
	slot = names_slot(node->names, name);
	if (slot)
		state_changed(node);
	else if (log_limited(&limit))
		log_warn("no stand-in address left for \"%s\": %d names are remembered", name, NAMES_MAX);
	return slot;
}

/* All but the slot, which only those who are meant get */
static int quick_derive(struct node *node, const char *bare, struct peer *peer)
{
	struct key key;
	int rc;

	rc = quick_key(&node->quick, bare, &key);
	if (rc < 0)
		return rc;
	memset(peer, 0, sizeof(*peer));
	snprintf(peer->name, sizeof(peer->name), "%s" SUFFIX, bare);
	memcpy(peer->key, key.public, KEY_SIZE);
	key_wipe(&key);
	return 0;
}

static int conf_peer_take(struct node *node, const struct conf_peer *found, struct peer *peer)
{
	memset(peer, 0, sizeof(*peer));
	snprintf(peer->name, sizeof(peer->name), "%s", found->name);
	peer->route = found->route;
	peer->encrypt = found->encrypt;
	peer->slot = slot_of(node, found->name);
	return key_parse(peer->key, found->key) < 0 ? -EKEYREJECTED : 0;
}

int peer_find(struct node *node, const char *name, const struct endpoint *target, struct peer *peer)
{
	const struct conf_peer *found = NULL;
	char bare[LIMIT_NAME];

	if (!*name && target->family && standin_slot(target)) {
		name = peer_name_of_slot(node, standin_slot(target));
		if (!name)
			return -ENOENT;
	}
	if (node->quick_mode) {
		if (quick_bare(bare, name) < 0 || quick_derive(node, bare, peer) < 0)
			return -ENOENT;
		peer->slot = slot_of(node, peer->name);
		return 0;
	}
	if (*name)
		found = conf_peer_find(&node->conf, name);
	else if (target->family)
		found = conf_peer_by_address(&node->conf, target);
	return found ? conf_peer_take(node, found, peer) : -ENOENT;
}

int peer_by_key(struct node *node, const uint8_t key[KEY_SIZE], struct peer *peer)
{
	uint8_t known[KEY_SIZE];
	unsigned int i;

	for (i = 0; i < node->conf.peer_count; i++) {
		if (key_parse(known, node->conf.peers[i].key) == 0 && memcmp(known, key, KEY_SIZE) == 0)
			return conf_peer_take(node, &node->conf.peers[i], peer);
	}
	return -ENOENT;
}

int peer_guest(struct node *node, const uint8_t key[KEY_SIZE], const char *name, struct peer *peer)
{
	char full[LIMIT_HOST], bare[LIMIT_NAME];

	snprintf(full, sizeof(full), "%s" SUFFIX, name);
	if (*name && quick_bare(bare, full) == 0 && quick_derive(node, bare, peer) == 0) {
		/* All who know the word may call; but a name is only shown for the key that belongs to it */
		if (memcmp(peer->key, key, KEY_SIZE) == 0) {
			peer->slot = slot_of(node, peer->name);
			return 0;
		}
		log_info("a caller named itself \"%s\" without that name's key: shown as " GUEST, bare);
	}
	memset(peer, 0, sizeof(*peer));
	snprintf(peer->name, sizeof(peer->name), GUEST);
	memcpy(peer->key, key, KEY_SIZE);
	peer->slot = slot_of(node, GUEST);
	return 0;
}

const char *peer_name_of_slot(const struct node *node, uint32_t slot)
{
	return names_of_slot(node->names, slot);
}
