/* SPDX-License-Identifier: MIT */
/*
 * session_serverless.c - sessions of nodes that have no server ([node] rendezvous = none)
 *
 * Theory of operation
 *
 * The caller connects from its port of the present bucket to the callee's, who holds it (serverless.c), again
 * after each refusal, and from the next bucket's ports when that has come.  On the connection it says its
 * Invite, gets the Reply, both sealed, and from there on the connection is a path like others:
 * it must prove itself, and is nominated.  So invitation, answer, and the secret are those of a
 * session with a server; only nobody carries them, and there is one path.
 *
 *	caller                                      callee (holds)
 *	UPLINK
 *	MEETING   ------------ SYN -------------->
 *	INVITED   ------------ Invite ----------->  ANSWERED
 *	ANSWERED  <----------- Reply, preamble ---  PUNCHING
 *	PUNCHING  ------------ preamble --------->
 *	NOMINATING ----------- nomination ------->  OVER
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "resolver/serverless.h"
#include "resolver/session_internal.h"
#include "resolver/talk.h"
#include "resolver/timer.h"

#define APPROACH_ASK	(20 * MS)	/* until it is asked again whose turn it is: a meeting takes two round trips */
/* after a refusal, see PUNCH_WAIT_MIN; to what the refusal took, or this at least: */
#define APPROACH_WAIT_MIN	(1 * MS)
#define APPROACH_WAIT_SPAN	(10 * MS)
/* so many tries; they see the holder renew its SYN twice. Then the span is doubled ... */
#define APPROACH_EAGER	16
/* ... with every fourth, up to this: a peer that is away is not to be bombarded */
#define APPROACH_WAIT_MOST	(500 * MS)
#define APPROACH_EDGE	(1 * MS)	/* after a bucket's edge: timers are not exact */

struct approach {
	struct session *session;
	struct pal *pal;
	struct dial dial;
	struct talk *talk;
	struct event *timer;
	struct meeting_place where;
	uint64_t bucket;		/* of the dial */
	int place;
	bool said;			/* the Invite: the callee counts the place as used, whatever becomes of it */
	uint64_t since;
	unsigned int tries;		/* refused in this bucket */
	int error;			/* of the last try, 0 none has ended */
};

void approach_free(struct session *s)
{
	struct approach *approach = s->approach;

	if (!approach)
		return;
	s->approach = NULL;
	dial_close(&approach->dial);
	talk_free(approach->talk);
	if (approach->timer)
		event_free(approach->timer);
	if (s->node->serverless)
		turns_end(serverless_turns(s->node->serverless), approach, approach->said ? approach->place : -1);
	OPENSSL_cleanse(&approach->where, sizeof(approach->where));
	free(approach);
}

/* ------------------------------------------------------------ caller: the answer */

static void on_answer(void *arg, struct talk *talk, const Punch__Message *message)
{
	struct approach *approach = arg;
	struct session *s = approach->session;
	Punch__Answered answered = PUNCH__ANSWERED__INIT;

	if (!message || message->kind_case != PUNCH__MESSAGE__KIND_REPLY || s->state != SESSION_INVITED) {
		session_note(s, "the meeting ended without an answer");
		approach_free(s);
		if (s->state == SESSION_INVITED)
			session_set_state(s, SESSION_UPLINK);
		s->resume = clock_now() + SESSION_RETRY;
		session_arm(s, clock_before(s->resume, s->deadline));
		return;
	}
	turns_end(serverless_turns(s->node->serverless), approach, approach->place);
	approach->talk = NULL;	/* the answer may end the session, and the approach with it */
	answered.session = message->reply->session;
	answered.payload = message->reply->payload;
	caller_answered(s, &answered);
	if (s->state != SESSION_ANSWERED) {
		talk_free(talk);
		approach_free(s);
		return;
	}
	session_add_path(s, talk_release(talk), LOCAL_PATH_DIRECT, true);
	approach_free(s);
	session_go(s, clock_now());
}

int approach_send(struct session *s, const Punch__Message *message)
{
	return s->approach && s->approach->talk ? talk_send(s->approach->talk, message) : -ENOTCONN;
}

/* ------------------------------------------------------------ caller: the way there */

static void approach_go(struct approach *approach);

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	approach_go(arg);
}

/* Again after @wait, or in the next bucket if that comes first */
static void approach_wait(struct approach *approach, uint64_t wait)
{
	uint64_t left;

	serverless_bucket(&left);
	timer_set(approach->timer, clock_before(wait, left + APPROACH_EDGE));
}

static void approach_refused(struct approach *approach, int error)
{
	unsigned int doubled = approach->tries > APPROACH_EAGER ? (approach->tries - APPROACH_EAGER) / 4 : 0;
	uint64_t took = clock_now() - approach->since, span, wait;
	uint32_t random;

	approach->error = error;
	approach->tries++;
	span = clock_before((took > APPROACH_WAIT_SPAN ? took : APPROACH_WAIT_SPAN) << (doubled < 16 ? doubled : 16),
			    APPROACH_WAIT_MOST);
	secret_random(&random, sizeof(random));
	wait = APPROACH_WAIT_MIN + span * random / UINT32_MAX;
	approach_wait(approach, wait);
}

static void on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct dial *dial = arg;
	struct session *s = dial->session;
	struct approach *approach = s->approach;
	int error = dial_error(dial);

	(void)fd;
	(void)what;
	if (error) {
		dial_close(dial);
		approach_refused(approach, error);
		return;
	}
	event_del(approach->timer);
	approach->talk = talk_new(s->node->base, dial_take(dial), approach->where.caller_key,
				  approach->where.callee_key, on_answer, approach);
	if (!approach->talk) {
		session_fail(s, ENOBUFS, "%s: out of memory", s->peer.name);
		return;
	}
	session_note(s, "connected");
	caller_invite(s);
	approach->said = s->state == SESSION_INVITED;
	if (!approach->said)
		approach_free(s);
}

/* Where to in this bucket? Return: 0, -EAGAIN (later), -ENOSPC (next bucket), -EAFNOSUPPORT (never), -EIO */
static int approach_place(struct approach *approach, uint64_t bucket)
{
	struct session *s = approach->session;
	struct meeting_when when = { .bucket = bucket, .port = s->port };
	int place;

	if (!approach->pal->address.family) {
		serverless_look_up(approach->pal, true);
		return -EAGAIN;
	}
	if (approach->pal->address.family == AF_INET6 && s->family == AF_INET)
		return -EAFNOSUPPORT;
	place = turns_take(serverless_turns(s->node->serverless), s->peer.key, s->port, bucket, MEETING_PLACES,
			   approach);
	if (place < 0)
		return place == -EBUSY ? -EAGAIN : place;
	if (!s->node->quick_mode)
		memcpy(when.caller, s->node->key.public, KEY_SIZE);
	memcpy(when.callee, s->peer.key, KEY_SIZE);
	when.place = turns_try((unsigned int)place, approach->tries, MEETING_PLACES);
	approach->place = (int)when.place;
	return meeting_place(&approach->pal->meeting, &when, &approach->where);
}

static void approach_go(struct approach *approach)
{
	struct session *s = approach->session;
	char text[ENDPOINT_TEXT_SIZE];
	uint64_t bucket = serverless_bucket(NULL);
	struct endpoint to;
	int rc;

	if (approach->dial.fd >= 0 && approach->bucket == bucket) {
		approach_wait(approach, NEVER);
		return;
	}
	if (approach->bucket != bucket) {
		dial_close(&approach->dial);
		turns_end(serverless_turns(s->node->serverless), approach, -1);
		approach->tries = 0;
	}
	rc = approach_place(approach, bucket);
	if (rc == -EAFNOSUPPORT) {
		session_fail(s, ENETUNREACH, "%s: its address %s is of IPv6, and the program's socket of IPv4",
			     s->peer.name, endpoint_format_address(&approach->pal->address, text));
		return;
	}
	if (rc) {
		approach_wait(approach, rc == -ENOSPC ? NEVER : APPROACH_ASK);
		return;
	}
	to = approach->pal->address;
	to.port = approach->where.callee_port;
	if (approach->bucket != bucket)
		session_note(s, "meeting %s at %s, from port %u", s->peer.name, endpoint_format(&to, text),
			     approach->where.caller_port);
	approach->bucket = bucket;
	approach->since = clock_now();
	rc = dial_connect(&approach->dial, approach->where.caller_port, &to, 0, on_connected);
	if (rc)
		approach_refused(approach, -rc);
	else
		approach_wait(approach, NEVER);
}

void approach_start(struct session *s)
{
	struct pal *pal = serverless_pal(s->node->serverless, s->peer.key);
	struct approach *approach;

	if (!pal) {
		session_fail(s, EHOSTUNREACH, "%s: [node] rendezvous = none, and [peer %s] has no address; write its "
			     "public address, or name a rendezvous", s->peer.name, s->peer.name);
		return;
	}
	if (s->route == PUNCH__ROUTE__ROUTE_RELAY) {
		session_fail(s, ENETUNREACH, "%s: route = relay, but [node] rendezvous = none: there is no relay",
			     s->peer.name);
		return;
	}
	approach = calloc(1, sizeof(*approach));
	if (approach)
		approach->timer = event_new(s->node->base, -1, 0, on_timer, approach);
	if (!approach || !approach->timer) {
		free(approach);
		session_fail(s, ENOBUFS, "%s: out of memory", s->peer.name);
		return;
	}
	approach->session = s;
	approach->pal = pal;
	approach->dial.session = s;
	approach->dial.fd = -1;
	s->approach = approach;
	session_set_state(s, SESSION_MEETING);
	session_arm(s, s->deadline);
	approach_go(approach);
}

bool sessions_meeting(const struct sessions *sessions, unsigned int i, struct meeting_view *view)
{
	const struct session *s;

	TAILQ_FOREACH(s, &sessions->list, link) {
		const struct approach *approach = s->approach;

		if (!approach || i--)
			continue;
		*view = (struct meeting_view){
			.peer = s->peer.name,
			.port = s->port,
			.local = approach->where.caller_port,
			.remote = approach->pal->address,
			.state = approach->talk ? "engaged" : approach->dial.fd >= 0 ? "opening" : "waiting",
			.since = s->started,
		};
		view->remote.port = approach->where.callee_port;
		return true;
	}
	return false;
}

/* Nobody came; what can be known of it from here */
void approach_no_show(struct session *s)
{
	const struct pal *pal = serverless_pal(s->node->serverless, s->peer.key);
	int error = s->approach ? s->approach->error : 0;

	if (pal && !pal->address.family)
		session_fail(s, EHOSTUNREACH, "%s: [peer %s] address = %s: %s", s->peer.name, s->peer.name, pal->host,
			     pal->problem[0] ? pal->problem : "no answer from DNS");
	else
		session_fail(s, ETIMEDOUT,
			     "%s: did not come to %s port %u within %u s%s%s; does a program under punch "
			     "serve that port there, with our %s? Are both clocks right to %u s? NATs that change port "
			     "numbers need a rendezvous, a firewall must let TCP %u to %u in",
			     s->peer.name, pal ? pal->host : "?", s->port,
			     (unsigned int)((s->deadline - s->started) / SECOND), error ? ": " : "",
			     error ? strerror(error) : "",
			     s->node->quick_mode ? "word, and our address in its PUNCH_RENDEZVOUS" :
						   "key and address in its [peer]",
			     MEETING_MARGIN, MEETING_PORT_LOW, MEETING_PORT_LOW + MEETING_PORT_COUNT - 1);
}

/* ------------------------------------------------------------ callee */

void callee_met(struct node *node, struct talk *talk, const Punch__Invite *invite, const uint8_t from[KEY_SIZE])
{
	Punch__Invited invited = PUNCH__INVITED__INIT;

	invited.session = invite->session;
	if (from)
		invited.from = convert_bytes(from, KEY_SIZE);
	invited.payload = invite->payload;
	callee_invited(node, NULL, talk, &invited);
}

void callee_go(struct session *s)
{
	struct talk *talk = s->talk;

	s->talk = NULL;
	session_add_path(s, talk_release(talk), LOCAL_PATH_DIRECT, false);
	session_go(s, clock_now());
}
