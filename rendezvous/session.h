/* SPDX-License-Identifier: MIT */
/*
 * session.h - the broker's table of sessions and their states
 *
 * Pure.  Only broker.c uses it; what the states mean is told there.
 */
#ifndef RENDEZVOUS_SESSION_H
#define RENDEZVOUS_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/places.h"
#include "common/table.h"
#include "rendezvous/broker.h"

enum session_state {
	SESSION_NEW,		/* being made; no deadline */
	SESSION_SEEKING,	/* the store was asked where the callee is; its answer or RDV_SEEK_TIME */
	SESSION_RINGING,	/* Invited was sent to a node of ours; its Reply, its end, or RDV_REPLY_TIME */
	SESSION_AWAY,		/* forwarded; the other server's word or RDV_AWAY_TIME */
	SESSION_OVER,		/* about to be freed */
	SESSION_STATE_COUNT
};

struct session {
	struct table_entry entry;
	enum session_state state;
	struct broker_call call;
	struct broker_node *caller;	/* NULL: a node of @server */
	struct broker_node *callee;	/* NULL: not known yet, or a node of another server */
	struct place place;		/* of the caller's address, here or there; broker.c takes it */
	char server[RDV_SERVER_ID];	/* of a caller that is not ours */
	uint32_t caller_rtt_us, hop_us;	/* of such a caller */
	uint8_t source[SOURCE_PREFIX_SIZE];	/* of a caller here or there */
	uint64_t deadline;
	struct broker_payload kept;	/* SEEKING: an own copy, in one piece at kept.body */
	TAILQ_ENTRY(session) order;	/* in the list of its state, which is in order of deadlines */
	LIST_ENTRY(session) of_caller, of_callee;	/* broker.c's, in lists of its nodes */
};

struct sessions;

/** sessions_new() - Return: sessions_free(), which frees all sessions too, or NULL without memory */
struct sessions *sessions_new(void);
void sessions_free(struct sessions *table);

/** session_find() - by name. Return: NULL when there is none */
struct session *session_find(struct sessions *table, const uint8_t id[SESSION_SIZE]);

/**
 * session_new() - in state NEW. The name must be free. Return: session_free(), or NULL when
 * memory or RDV_SESSIONS are used up
 */
struct session *session_new(struct sessions *table, const struct broker_call *call);

/** session_set_state() - along an edge of the table in session.c; starts the state's time */
void session_set_state(struct sessions *table, struct session *session, enum session_state state,
		       uint64_t now);

/** session_free() - to OVER and away, with its place */
void session_free(struct sessions *table, struct session *session);

/** session_keep() - copy a payload into @kept. Return: false without memory */
bool session_keep(struct session *session, const struct broker_payload *payload);

/** session_forget() - the payload that was kept is not needed any more */
void session_forget(struct session *session);

/** session_overdue() - Return: one in @state whose time is over, or NULL */
struct session *session_overdue(struct sessions *table, enum session_state state, uint64_t now);

/** sessions_deadline() - when the next one is overdue */
uint64_t sessions_deadline(const struct sessions *table);

/** sessions_count() - sessions now */
unsigned int sessions_count(const struct sessions *table);

#endif
