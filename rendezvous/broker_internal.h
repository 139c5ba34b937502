/* SPDX-License-Identifier: MIT */
/*
 * broker_internal.h - what broker.c (sessions) and broker_nodes.c (who is online) share; for nobody else
 */
#ifndef RENDEZVOUS_BROKER_INTERNAL_H
#define RENDEZVOUS_BROKER_INTERNAL_H

#include "common/hash.h"
#include "common/places.h"
#include "rendezvous/broker.h"
#include "rendezvous/identity.h"
#include "rendezvous/session.h"

struct broker_node {
	void *peer;
	struct identity *identity;
	bool receives;
	struct endpoint from;
	struct place place;
	LIST_HEAD(, session) calls, rings;
	struct bucket rung, rung_by[RDV_RING_SOURCES];	/* its invitations; @rung_by: of callers at some addresses */
	LIST_ENTRY(broker_node) all;
};

struct broker {
	const struct broker_ops *ops;
	void *ctx;
	uint64_t renewed;		/* the start, or when the store came back: nodes, or servers, find their way */
	struct identities *identities;
	struct sessions *sessions;
	struct places *places;		/* of the nodes */
	struct places *calls;		/* of their sessions as callers */
	struct places *remote_calls;	/* of sessions whose callers are nodes of other servers */
	uint8_t seed[HASH_SEED_SIZE];	/* which addresses share a bucket of a callee */
	struct broker_stats stats;
	LIST_HEAD(, broker_node) nodes;
};

/** session_end() - take a session from its nodes and free it */
void session_end(struct broker *broker, struct session *session);

/** session_fail() - the end that a caller hears of, here or on another server */
void session_fail(struct broker *broker, struct session *session, Punch__FailReason reason,
		  bool retry, const char *text);

/** node_failed() - send Failed. @session: NULL when the connection is meant */
void node_failed(struct broker *broker, const struct broker_node *node, const uint8_t *session,
		 Punch__FailReason reason, bool retry, const char *text);

/** nodes_free() - all that have not left */
void nodes_free(struct broker *broker);

#endif
