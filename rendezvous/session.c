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

#include "common/hash.h"
#include "common/log.h"
#include "rendezvous/session.h"

#define CHAINS 65536	/* power of two, as many as RDV_SESSIONS */

static const char *const session_state_names[] = { "new", "seeking", "ringing", "away", "over" };
static_assert(sizeof(session_state_names) / sizeof(session_state_names[0]) == SESSION_STATE_COUNT,
	      "one name a state");

static const uint64_t session_patience[SESSION_STATE_COUNT] = {
	[SESSION_SEEKING] = RDV_SEEK_TIME,
	[SESSION_RINGING] = RDV_REPLY_TIME,
	[SESSION_AWAY] = RDV_AWAY_TIME,
};

SLIST_HEAD(session_chain, session);
TAILQ_HEAD(session_list, session);

struct sessions {
	unsigned int count;
	uint8_t seed[HASH_SEED_SIZE];
	struct session_list states[SESSION_STATE_COUNT];
	struct session_chain chains[CHAINS];
};

struct sessions *sessions_new(void)
{
	struct sessions *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	hash_seed(table->seed);
	for (int i = 0; i < SESSION_STATE_COUNT; i++)
		TAILQ_INIT(&table->states[i]);
	return table;
}

void sessions_free(struct sessions *table)
{
	struct session *session;

	for (int i = 0; table && i < SESSION_OVER; i++)
		while ((session = TAILQ_FIRST(&table->states[i])))
			session_free(table, session);
	free(table);
}

static struct session_chain *chain_of(struct sessions *table, const uint8_t id[SESSION_SIZE])
{
	return &table->chains[hash_bytes(table->seed, id, SESSION_SIZE) % CHAINS];
}

struct session *session_find(struct sessions *table, const uint8_t id[SESSION_SIZE])
{
	struct session *session;

	SLIST_FOREACH(session, chain_of(table, id), chain)
		if (!memcmp(session->call.session, id, SESSION_SIZE))
			return session;
	return NULL;
}

struct session *session_new(struct sessions *table, const struct broker_call *call)
{
	struct session *session;

	session = table->count < RDV_SESSIONS ? calloc(1, sizeof(*session)) : NULL;
	if (!session)
		return NULL;
	session->call = *call;
	SLIST_INSERT_HEAD(chain_of(table, call->session), session, chain);
	TAILQ_INSERT_TAIL(&table->states[SESSION_NEW], session, order);
	table->count++;
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

void session_free(struct sessions *table, struct session *session)
{
	union {
		const uint8_t *in;
		uint8_t *out;
	} kept = { .in = session->kept.body };

	session_set_state(table, session, SESSION_OVER, 0);
	TAILQ_REMOVE(&table->states[SESSION_OVER], session, order);
	SLIST_REMOVE(chain_of(table, session->call.session), session, session, chain);
	table->count--;
	free(kept.out);
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
	return table->count;
}
