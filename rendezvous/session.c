/* SPDX-License-Identifier: MIT */
/*
 * session.c - the broker's table of sessions and their states
 *
 * All sessions in a state have the same patience, so each state has a list in
 * order of deadlines and no heap is needed.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "rendezvous/session.h"

static const char *const session_state_names[] = { "new", "seeking", "ringing", "away", "over" };
static_assert(sizeof(session_state_names) / sizeof(session_state_names[0]) == SESSION_STATE_COUNT,
	      "one name a state");

static const uint64_t session_patience[SESSION_STATE_COUNT] = {
	[SESSION_SEEKING] = RDV_SEEK_TIME,
	[SESSION_RINGING] = RDV_REPLY_TIME,
	[SESSION_AWAY] = RDV_AWAY_TIME,
};

TAILQ_HEAD(session_list, session);

struct sessions {
	struct table *by_id;
	struct session_list states[SESSION_STATE_COUNT];
};

struct sessions *sessions_new(void)
{
	struct sessions *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	for (int i = 0; i < SESSION_STATE_COUNT; i++)
		TAILQ_INIT(&table->states[i]);
	table->by_id = table_new(RDV_SESSIONS, TABLE_KEY(struct session, call.session));
	if (table->by_id)
		return table;
	free(table);
	return NULL;
}

void sessions_free(struct sessions *table)
{
	struct session *session;

	for (int i = 0; table && i < SESSION_OVER; i++)
		while ((session = TAILQ_FIRST(&table->states[i])))
			session_free(table, session);
	if (table)
		table_free(table->by_id, NULL);
	free(table);
}

struct session *session_find(struct sessions *table, const uint8_t id[SESSION_SIZE])
{
	return table_find(table->by_id, id);
}

struct session *session_new(struct sessions *table, const struct broker_call *call)
{
	struct session *session;

	session = table_count(table->by_id) < RDV_SESSIONS ? calloc(1, sizeof(*session)) : NULL;
	if (!session)
		return NULL;
	session->call = *call;
	table_add(table->by_id, &session->entry);
	TAILQ_INSERT_TAIL(&table->states[SESSION_NEW], session, order);
	return session;
}

static bool is_edge(enum session_state from, enum session_state to)
{
	static const bool edges[SESSION_STATE_COUNT][SESSION_STATE_COUNT] = {
		[SESSION_NEW] = {
			[SESSION_SEEKING] = true, [SESSION_RINGING] = true, [SESSION_OVER] = true,
		},
		[SESSION_SEEKING] = {
			[SESSION_RINGING] = true, [SESSION_AWAY] = true, [SESSION_OVER] = true,
		},
		[SESSION_RINGING] = { [SESSION_OVER] = true },
		[SESSION_AWAY] = { [SESSION_OVER] = true },
	};

	return edges[from][to];
}

void session_set_state(struct sessions *table, struct session *session, enum session_state state,
		       uint64_t now)
{
	assert(is_edge(session->state, state));
	log_debug("session %02x%02x%02x%02x: %s -> %s", session->call.session[0],
		  session->call.session[1], session->call.session[2], session->call.session[3],
		  session_state_names[session->state], session_state_names[state]);
	TAILQ_REMOVE(&table->states[session->state], session, order);
	session->state = state;
	session->deadline = now + session_patience[state];
	TAILQ_INSERT_TAIL(&table->states[state], session, order);
}

void session_forget(struct session *session)
{
	union {
		const uint8_t *in;
		uint8_t *out;
	} kept = { .in = session->kept.body };

	free(kept.out);
	session->kept = (struct broker_payload){ 0 };
}

void session_free(struct sessions *table, struct session *session)
{
	session_set_state(table, session, SESSION_OVER, 0);
	TAILQ_REMOVE(&table->states[SESSION_OVER], session, order);
	table_remove(table->by_id, &session->entry);
	places_leave(&session->place);
	session_forget(session);
	free(session);
}

bool session_keep(struct session *session, const struct broker_payload *payload)
{
	uint8_t *copy = malloc(payload->body_size + payload->signature_size + 1);

	if (!copy)
		return false;
	if (payload->body_size)
		memcpy(copy, payload->body, payload->body_size);
	if (payload->signature_size)
		memcpy(copy + payload->body_size, payload->signature, payload->signature_size);
	session->kept = *payload;
	session->kept.body = copy;
	session->kept.signature = copy + payload->body_size;
	return true;
}

struct session *session_overdue(struct sessions *table, enum session_state state, uint64_t now)
{
	struct session *session = TAILQ_FIRST(&table->states[state]);

	return session && session->deadline <= now ? session : NULL;
}

uint64_t sessions_deadline(const struct sessions *table)
{
	const struct session *session;
	uint64_t next = NEVER;

	for (int i = SESSION_SEEKING; i < SESSION_OVER; i++) {
		session = TAILQ_FIRST(&table->states[i]);
		if (session)
			next = clock_before(next, session->deadline);
	}
	return next;
}

unsigned int sessions_count(const struct sessions *table)
{
	return table_count(table->by_id);
}
