/* SPDX-License-Identifier: MIT */
/*
 * broker_nodes.c - who is online, and which connection of a key receives
 */
#include <errno.h>
#include <stdlib.h>

#include "common/log.h"
#include "rendezvous/broker_internal.h"

static void broker_replace(struct broker *broker, struct broker_node *old, const char *by, uint64_t now)
{
	static struct log_limit limit;
	unsigned int fights = identity_fight(old->identity, now);
	const uint8_t *key = old->identity->key;

	if (fights >= RDV_FIGHT && log_limited(&limit))
		log_warn("key %02x%02x%02x%02x...: %s and %s take it from each other (%u times in %u s): "
			 "two hosts, or two users of one, with one key; give each its own (punchctl keygen)",
			 key[0], key[1], key[2], key[3], broker->ops->describe(old->peer), by, fights,
			 (unsigned int)(RDV_LINGER / SECOND));
	broker->stats.replaced++;
	node_failed(broker, old, NULL, PUNCH__FAIL_REASON__FAIL_REPLACED, false,
		    "the same key connected again; if that was another host or user, give each its own key");
	broker->ops->drop(old->peer);
}

static void node_free(struct broker *broker, struct broker_node *node, uint64_t now)
{
	struct session *session;

	while ((session = LIST_FIRST(&node->calls)))
		session_end(broker, session);
	while ((session = LIST_FIRST(&node->rings)))
		session_fail(broker, session, PUNCH__FAIL_REASON__FAIL_OFFLINE, true,
			     "the peer has just lost its connection to this rendezvous");
	if (node->identity->receiver == node)
		node->identity->receiver = NULL;
	broker->stats.nodes--;
	broker->stats.receivers -= node->receives;
	identity_release(broker->identities, node->identity, now);
	places_leave(&node->place);
	LIST_REMOVE(node, all);
	free(node);
}

void nodes_free(struct broker *broker)
{
	struct broker_node *node;

	while ((node = LIST_FIRST(&broker->nodes))) {
		places_leave(&node->place);
		LIST_REMOVE(node, all);
		free(node);
	}
}

static int refuse_join(struct broker *broker, void *peer, int err, const char *text)
{
	const struct broker_node node = { .peer = peer };

	node_failed(broker, &node, NULL, PUNCH__FAIL_REASON__FAIL_LIMIT, true, text);
	return err;
}

/* A key may register as often as honest nodes on bad networks do. Return: 0, or -EAGAIN, told */
static int check_rate(struct broker *broker, struct identity *identity, void *peer, uint64_t now)
{
	static const struct rate rate = RDV_JOIN_RATE;
	static struct log_limit limit;
	const uint8_t *key = identity->key;

	if (bucket_take(&identity->joins, &rate, now))
		return 0;
	if (log_limited(&limit))
		log_warn("key %02x%02x%02x%02x...: registers more than %u times a second, now from %s: refused",
			 key[0], key[1], key[2], key[3], rate.per_second, broker->ops->describe(peer));
	return refuse_join(broker, peer, -EAGAIN, "this key registers too often: does a program connect in a loop?");
}

/*
 * A place for a node of @from.  One that is there already and has lost its connection, maybe
 * without our knowledge, needs no new one: @old, which it replaces, leaves it its own.  Only at
 * the same address, else a share could be carried from one to the next.
 * Return: 0, or -errno of broker_join(), told
 */
static int take_place(struct broker *broker, struct broker_node *node, struct broker_node *old,
		      const struct endpoint *from, uint64_t now)
{
	static struct log_limit limit;
	struct place *loser;
	int err;

	if (old && places_inherit(&node->place, &old->place, from))
		return 0;
	err = places_take(broker->places, &node->place, from, now, &loser);
	if (err == -EUSERS && log_limited(&limit))
		log_warn("%s: refused, with %u nodes here its address has too many of them",
			 broker->ops->describe(node->peer), places_taken(broker->places));
	if (err == -EUSERS)
		return refuse_join(broker, node->peer, err,
				   "too many nodes at this address for what is free on this rendezvous");
	return err ? refuse_join(broker, node->peer, err, "this rendezvous is full") : 0;
}

static void receive_begin(struct broker *broker, struct broker_node *node, uint64_t now)
{
	struct broker_node *old = node->identity->receiver;

	node->receives = true;
	broker->stats.receivers++;
	node->identity->receiver = node;
	if (old) {
		broker_replace(broker, old, broker->ops->describe(node->peer), now);
		node_free(broker, old, now);
	}
	broker->ops->announce(broker->ctx, node->identity->key);
}

int broker_join(struct broker *broker, void *peer, const uint8_t key[KEY_SIZE], const struct endpoint *from,
		bool receive, uint64_t now, struct broker_node **node)
{
	struct identity *identity = identity_find(broker->identities, key);
	struct broker_node *new;
	int err;

	if (identity && identity->connections >= RDV_PER_KEY)
		return refuse_join(broker, peer, -EUSERS, "too many connections of this key");
	if (identity && check_rate(broker, identity, peer, now))
		return -EAGAIN;
	new = calloc(1, sizeof(*new));
	identity = new ? identity_hold(broker->identities, key) : NULL;
	if (!identity) {
		free(new);
		return refuse_join(broker, peer, -ENOMEM, "this rendezvous is full");
	}
	new->peer = peer;
	new->identity = identity;
	new->from = *from;
	err = take_place(broker, new, receive ? identity->receiver : NULL, from, now);
	if (err) {
		identity_release(broker->identities, identity, now);
		free(new);
		return err;
	}
	LIST_INSERT_HEAD(&broker->nodes, new, all);
	broker->stats.nodes++;
	if (receive)
		receive_begin(broker, new, now);
	*node = new;
	return 0;
}

int broker_receive(struct broker *broker, struct broker_node *node, bool receive, uint64_t now)
{
	if (node->receives == receive)
		return 0;
	/* The store is asked as for a new connection */
	if (receive && check_rate(broker, node->identity, node->peer, now))
		return -EAGAIN;
	if (receive) {
		receive_begin(broker, node, now);
		return 0;
	}
	/* What rings already may still be answered */
	node->receives = false;
	broker->stats.receivers--;
	node->identity->receiver = NULL;
	broker->ops->withdraw(broker->ctx, node->identity->key);
	return 0;
}

void broker_leave(struct broker *broker, struct broker_node *node, uint64_t now)
{
	if (node->identity->receiver == node)
		broker->ops->withdraw(broker->ctx, node->identity->key);
	node_free(broker, node, now);
}

void broker_lost(struct broker *broker, const uint8_t key[KEY_SIZE], const char *server, uint64_t now)
{
	struct identity *identity = identity_find(broker->identities, key);
	struct broker_node *node = identity ? identity->receiver : NULL;

	if (!node)
		return;
	broker_replace(broker, node, server, now);
	node_free(broker, node, now);
}
