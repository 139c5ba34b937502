/* SPDX-License-Identifier: MIT */
/*
 * broker.c - who is online, who calls whom, and when both start
 *
 * Theory of operation
 * -------------------
 *
 * A node is a connection that proved a key and said Hello.  At most one node of a key, the receiver, gets the
 * key's invitations; nodes that only dial are many and replace nobody.
 *
 * A session is one call from Invite to Answered.  In the simple case both nodes are here:
 *
 *	caller               broker               callee
 *	  | Invite ------------> | Invited -----------> |     RINGING
 *	  | <---- Answered, Go   | <-------------- Reply |
 *	  |                      | Go ----------------> |     OVER
 *
 * Go lets both start at one instant.  A message needs half a round trip to its node, so the one that is nearer by
 * (far - near) / 2 is told to wait that long.  The payloads are signed and for the two nodes alone: the
 * broker reads nothing in them but whether the reply is empty, which means "say nothing of me"; the
 * caller then hears what it would hear if nobody were connected.
 *
 * With several servers and one store the callee may be on another one.  The caller's server asks the store
 * (SEEKING, the payload is kept meanwhile), then forwards the invitation (AWAY); the callee's
 * server has a session of its own for it (RINGING, without a local caller).  That one knows
 * both round-trip times and the way between the servers (hop), so it computes both waits: it
 * sends its node's Go at once and the caller's wait with the forwarded reply.
 *
 *	          SEEKING --found elsewhere--> AWAY
 *	             |  \--came here meanwhile--> RINGING
 *	any of them --answered, failed, time over, caller gone--> OVER
 *
 * Names of sessions are chosen by callers, at random; one that is in use is refused, so that nobody can
 * interfere with a session whose name he learnt.  Who may reply is decided by key, not by name.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/log.h"
#include "rendezvous/broker_internal.h"

struct broker *broker_new(const struct broker_ops *ops, void *ctx, unsigned int nodes, uint64_t now)
{
	struct broker *broker = calloc(1, sizeof(*broker));

	if (!broker)
		return NULL;
	broker->ops = ops;
	broker->ctx = ctx;
	broker->renewed = now;
	hash_seed(broker->seed);
	broker->identities = identities_new(RDV_KEYS);
	broker->sessions = sessions_new();
	broker->places = places_new_kept(nodes, RDV_NODES_PART);
	broker->calls = places_new_kept(RDV_OWN_SESSIONS, RDV_SESSIONS_PART);
	broker->remote_calls = places_new_kept(RDV_SESSIONS - RDV_OWN_SESSIONS, RDV_SESSIONS_PART);
	if (broker->identities && broker->sessions && broker->places && broker->calls && broker->remote_calls)
		return broker;
	broker_free(broker);
	return NULL;
}

/* ---------------------------------------------------------------- sessions */

/*
 * The name must be free. @places: of callers here or elsewhere. Return: NULL when the server has no room, or (@crowded)
 * none for another one of the caller's address
 */
static struct session *session_open(struct broker *broker, const struct broker_call *call, struct places *places,
				    const uint8_t source[SOURCE_PREFIX_SIZE], uint64_t now, bool *crowded)
{
	struct session *session = session_new(broker->sessions, call);
	struct place *loser;
	int err;

	*crowded = false;
	if (!session)
		return NULL;
	err = places_take_for(places, &session->place, source, now, &loser);
	if (err) {
		*crowded = err == -EUSERS;
		session_free(broker->sessions, session);
		return NULL;
	}
	memcpy(session->source, source, sizeof(session->source));
	return session;
}

/* As session_open(), of a node here */
static struct session *session_open_here(struct broker *broker, const struct broker_call *call,
					 struct broker_node *caller, uint64_t now, bool *crowded)
{
	uint8_t source[SOURCE_PREFIX_SIZE];
	struct session *session;

	source_prefix(&caller->from, source);
	session = session_open(broker, call, broker->calls, source, now, crowded);
	if (!session)
		return NULL;
	session->caller = caller;
	LIST_INSERT_HEAD(&caller->calls, session, of_caller);
	caller->identity->calls++;
	return session;
}

void session_end(struct broker *broker, struct session *session)
{
	if (session->caller) {
		LIST_REMOVE(session, of_caller);
		session->caller->identity->calls--;
	}
	if (session->callee) {
		LIST_REMOVE(session, of_callee);
		session->callee->identity->ringing--;
	}
	session_free(broker->sessions, session);
}

void node_failed(struct broker *broker, const struct broker_node *node, const uint8_t *session,
		 Punch__FailReason reason, bool retry, const char *text)
{
	const struct broker_failure failure = { .reason = reason, .text = text, .retry = retry };

	broker->stats.failed[reason]++;
	broker->ops->failed(node->peer, session, &failure);
}

/* The end that a caller hears of */
void session_fail(struct broker *broker, struct session *session, Punch__FailReason reason,
		  bool retry, const char *text)
{
	const struct broker_failure failure = { .reason = reason, .text = text, .retry = retry };

	if (session->caller)
		node_failed(broker, session->caller, session->call.session, reason, retry, text);
	else
		broker->ops->forward_failed(broker->ctx, session->server, &session->call, &failure);
	session_end(broker, session);
}

/* May a node that is not known now be here, or in the store, in a moment? */
static bool is_grace(const struct broker *broker, uint64_t now)
{
	return now - broker->renewed < RDV_GRACE;
}

/* One and the same for "unknown", "not connected" and "says nothing" */
static void session_offline(struct broker *broker, struct session *session, uint64_t now)
{
	session_fail(broker, session, PUNCH__FAIL_REASON__FAIL_OFFLINE,
		     is_grace(broker, now), "the peer is not connected to this rendezvous");
}

/* ---------------------------------------------------------------- from Invite to Reply */

/* The bucket of a callee for callers at that address, of this server or another one, and at some other addresses */
static struct bucket *rung_by(struct broker *broker, struct broker_node *callee, const struct session *session)
{
	return &callee->rung_by[hash_bytes(broker->seed, session->source, SOURCE_PREFIX_SIZE) % RDV_RING_SOURCES];
}

/* A callee's line is its own: strangers get a part of it, and one address not all of that. Return: NULL or why not */
static const char *cannot_ring(struct broker *broker, struct broker_node *callee, const struct session *session,
			       size_t size, uint64_t now)
{
	static const struct rate all = RDV_RING_RATE, each = RDV_RING_SOURCE_RATE;
	struct bucket *by = rung_by(broker, callee, session);
	uint32_t pieces = (uint32_t)(size / RDV_RING_PIECE) + 1;

	if (callee->identity->ringing >= RDV_RINGING)
		return "the peer has too many unanswered invitations";
	if (broker->ops->waiting(callee->peer) >= (bucket_is_full(by, now) ? RDV_RING_QUEUE_NEW : RDV_RING_QUEUE))
		return "more invitations are on their way to the peer than its connection carries now";
	if (!bucket_take_some(by, &each, pieces, now))
		return "too many invitations a second from this address to the peer";
	if (!bucket_take_some(&callee->rung, &all, pieces, now))
		return "too many invitations a second to the peer";
	return NULL;
}

static void session_ring(struct broker *broker, struct session *session, struct broker_node *callee,
			 const struct broker_payload *payload, const void *relays, uint64_t now)
{
	const char *refusal = cannot_ring(broker, callee, session, payload->body_size, now);
	uint32_t caller_rtt = session->caller_rtt_us;

	if (refusal) {
		session_fail(broker, session, PUNCH__FAIL_REASON__FAIL_LIMIT, true, refusal);
		return;
	}
	session->callee = callee;
	LIST_INSERT_HEAD(&callee->rings, session, of_callee);
	callee->identity->ringing++;
	session_set_state(broker->sessions, session, SESSION_RINGING, now);
	if (session->caller)
		caller_rtt = broker->ops->rtt_us(session->caller->peer);
	broker->ops->invited(callee->peer, &session->call, payload, relays, caller_rtt,
			     broker->ops->rtt_us(callee->peer));
	session_forget(session);	/* what was kept while the store was asked */
}

static struct broker_node *receiver_of(struct broker *broker, const uint8_t key[KEY_SIZE])
{
	struct identity *identity = identity_find(broker->identities, key);

	return identity ? identity->receiver : NULL;
}

/* Ours at once, otherwise the store knows */
static void session_start(struct broker *broker, struct session *session,
			  const struct broker_payload *payload, uint64_t now)
{
	struct broker_node *callee = receiver_of(broker, session->call.callee);
	int found;

	if (callee) {
		session_ring(broker, session, callee, payload, NULL, now);
		return;
	}
	found = session_keep(session, payload) ? broker->ops->find(broker->ctx, &session->call) : -ENOMEM;
	if (found > 0)
		session_set_state(broker->sessions, session, SESSION_SEEKING, now);
	else if (!found)
		session_offline(broker, session, now);
	else
		session_fail(broker, session, PUNCH__FAIL_REASON__FAIL_OFFLINE, true,
			     "the peer is not connected to this server, and the other servers cannot be asked now");
}

static const char *refusal_of(struct broker *broker, const struct broker_node *node,
			      const uint8_t session[SESSION_SIZE], uint64_t now)
{
	static const struct rate rate = RDV_INVITE_RATE;

	if (!bucket_take(&node->identity->invites, &rate, now))
		return "too many invitations a second from this key";
	if (node->identity->calls >= RDV_CALLS)
		return "too many unanswered invitations of this key";
	if (session_find(broker->sessions, session))
		return "this session exists already";
	return NULL;
}

void broker_invite(struct broker *broker, struct broker_node *node,
		   const uint8_t session_id[SESSION_SIZE], const uint8_t to[KEY_SIZE],
		   const struct broker_payload *payload, uint64_t now)
{
	const char *refusal = refusal_of(broker, node, session_id, now);
	struct session *session = NULL;
	struct broker_call call;
	bool crowded = false;

	broker->stats.invites++;
	memcpy(call.session, session_id, SESSION_SIZE);
	memcpy(call.caller, node->identity->key, KEY_SIZE);
	memcpy(call.callee, to, KEY_SIZE);
	if (!refusal)
		session = session_open_here(broker, &call, node, now, &crowded);
	if (crowded)
		refusal = "too many unanswered invitations from this address for what is free on this rendezvous";
	if (session)
		session_start(broker, session, payload, now);
	else
		node_failed(broker, node, session_id, PUNCH__FAIL_REASON__FAIL_LIMIT, true,
			    refusal ? refusal : "this rendezvous is full");
}

void broker_refuse(struct broker *broker, struct broker_node *node, const uint8_t session[SESSION_SIZE],
		   const char *text)
{
	broker->stats.invites++;
	node_failed(broker, node, session, PUNCH__FAIL_REASON__FAIL_LIMIT, true, text);
}

void broker_remote_invite(struct broker *broker, const struct broker_origin *origin,
			  const struct broker_call *call, const struct broker_payload *payload,
			  const void *relays, uint64_t now)
{
	struct broker_failure failure = {
		.reason = PUNCH__FAIL_REASON__FAIL_OFFLINE, .retry = true,
		.text = "the peer has just lost its connection to its rendezvous",
	};
	struct broker_node *callee = receiver_of(broker, call->callee);
	struct session *session = NULL;
	bool crowded;

	if (callee && !session_find(broker->sessions, call->session)) {
		session = session_open(broker, call, broker->remote_calls, origin->source, now, &crowded);
		failure.reason = PUNCH__FAIL_REASON__FAIL_LIMIT;
		failure.text = crowded ? "too many unanswered invitations from this address for what is free on the "
					 "peer's rendezvous" : "the peer's rendezvous is full";
	}
	if (!session) {
		broker->ops->forward_failed(broker->ctx, origin->server, call, &failure);
		return;
	}
	strncpy(session->server, origin->server, sizeof(session->server) - 1);
	session->caller_rtt_us = origin->rtt_us;
	session->hop_us = origin->hop_us;
	session_ring(broker, session, callee, payload, relays, now);
}

/* Return: 0 or -errno */
static int forward_call(struct broker *broker, const struct session *session, const char *server)
{
	struct broker_origin origin = { .rtt_us = broker->ops->rtt_us(session->caller->peer) };

	memcpy(origin.source, session->source, sizeof(origin.source));
	return broker->ops->forward_invite(broker->ctx, server, &session->call, &session->kept,
					   session->caller->peer, &origin);
}

void broker_found(struct broker *broker, const struct broker_call *call, const char *server,
		  int err, uint64_t now)
{
	struct session *session = session_find(broker->sessions, call->session);
	struct broker_node *callee;

	if (!session || session->state != SESSION_SEEKING ||
	    memcmp(&session->call, call, sizeof(*call)))
		return;		/* ended meanwhile */
	callee = receiver_of(broker, call->callee);
	if (callee) {
		session_ring(broker, session, callee, &session->kept, NULL, now);
		return;
	}
	if (!err && !server) {
		session_offline(broker, session, now);
		return;
	}
	if (!err)
		err = forward_call(broker, session, server);
	if (err)
		session_fail(broker, session, PUNCH__FAIL_REASON__FAIL_OFFLINE, true,
			     "the peer may be on another server, which cannot be reached now");
	else
		session_set_state(broker->sessions, session, SESSION_AWAY, now);
	if (!err)
		session_forget(session);
}

/* ---------------------------------------------------------------- from Reply to Go */

static uint32_t wait_us(uint64_t far, uint64_t way)
{
	uint64_t wait = far - way;

	return wait > RDV_GO_MAX_US ? RDV_GO_MAX_US : (uint32_t)wait;
}

static void session_answer(struct broker *broker, struct session *session,
			   const struct broker_payload *payload)
{
	uint32_t callee_rtt = broker->ops->rtt_us(session->callee->peer);
	uint32_t caller_rtt = session->caller ? broker->ops->rtt_us(session->caller->peer) :
			      session->caller_rtt_us;
	uint64_t to_caller = caller_rtt / 2 + (uint64_t)session->hop_us;
	uint64_t to_callee = callee_rtt / 2;
	uint64_t far = to_caller > to_callee ? to_caller : to_callee;

	if (session->caller) {
		broker->ops->answered(session->caller->peer, &session->call, payload, callee_rtt,
				      caller_rtt);
		broker->ops->go(session->caller->peer, &session->call, wait_us(far, to_caller));
	} else if (broker->ops->forward_reply(broker->ctx, session->server, &session->call, payload,
					      callee_rtt, wait_us(far, to_caller))) {
		/* Nobody hears of it: the caller's own time ends the session there */
		session_end(broker, session);
		return;
	}
	broker->ops->go(session->callee->peer, &session->call, wait_us(far, to_callee));
	broker->stats.answered++;
	session_end(broker, session);
}

void broker_reply(struct broker *broker, struct broker_node *node,
		  const uint8_t session_id[SESSION_SIZE], const struct broker_payload *payload,
		  uint64_t now)
{
	struct session *session = session_find(broker->sessions, session_id);

	/* Late replies are normal; so is a reply of a node that was not asked, when somebody guesses */
	if (!session || session->callee != node)
		return;
	if (payload->body_size)
		session_answer(broker, session, payload);
	else
		session_offline(broker, session, now);
}

static struct session *session_away(struct broker *broker, const struct broker_call *call)
{
	struct session *session = session_find(broker->sessions, call->session);

	if (!session || session->state != SESSION_AWAY ||
	    memcmp(session->call.callee, call->callee, KEY_SIZE))
		return NULL;
	return session;
}

void broker_remote_reply(struct broker *broker, const struct broker_call *call,
			 const struct broker_payload *payload, uint32_t callee_rtt_us,
			 uint32_t start_in_us)
{
	struct session *session = session_away(broker, call);
	void *peer;

	if (!session)
		return;
	peer = session->caller->peer;
	broker->ops->answered(peer, &session->call, payload, callee_rtt_us, broker->ops->rtt_us(peer));
	broker->ops->go(peer, &session->call, start_in_us > RDV_GO_MAX_US ? RDV_GO_MAX_US : start_in_us);
	broker->stats.answered++;
	session_end(broker, session);
}

void broker_remote_failed(struct broker *broker, const struct broker_call *call,
			  const struct broker_failure *failure, uint64_t now)
{
	struct session *session = session_away(broker, call);
	/* "says nothing" there is to sound like "unknown" here */
	bool is_offline = failure->reason == PUNCH__FAIL_REASON__FAIL_OFFLINE;

	if (session)
		session_fail(broker, session, failure->reason, failure->retry || (is_offline && is_grace(broker, now)),
			     failure->text);
}

void broker_store_up(struct broker *broker, uint64_t now)
{
	broker->renewed = now;
}

void broker_undelivered(struct broker *broker, const struct broker_call *call)
{
	struct session *session = session_away(broker, call);

	if (session)
		session_fail(broker, session, PUNCH__FAIL_REASON__FAIL_OFFLINE, true,
			     "the peer's server has gone; the peer will connect to another one");
}

/* ---------------------------------------------------------------- time */

uint64_t broker_run(struct broker *broker, uint64_t now)
{
	uint64_t next = identities_run(broker->identities, now);
	struct session *session;

	while ((session = session_overdue(broker->sessions, SESSION_SEEKING, now)))
		session_fail(broker, session, PUNCH__FAIL_REASON__FAIL_OFFLINE, true,
			     "the peer is not connected to this server, and the store does not answer");
	while ((session = session_overdue(broker->sessions, SESSION_RINGING, now)))
		session_fail(broker, session, PUNCH__FAIL_REASON__FAIL_TIMEOUT, false,
			     "the peer is connected but did not answer");
	while ((session = session_overdue(broker->sessions, SESSION_AWAY, now)))
		session_fail(broker, session, PUNCH__FAIL_REASON__FAIL_TIMEOUT, false,
			     "the peer's server did not answer");
	return clock_before(next, sessions_deadline(broker->sessions));
}

const struct broker_stats *broker_stats(struct broker *broker)
{
	broker->stats.sessions = sessions_count(broker->sessions);
	return &broker->stats;
}

void broker_free(struct broker *broker)
{
	if (!broker)
		return;
	sessions_free(broker->sessions);
	nodes_free(broker);
	identities_free(broker->identities);
	places_free(broker->places);
	places_free(broker->calls);
	places_free(broker->remote_calls);
	free(broker);
}
