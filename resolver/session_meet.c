/* SPDX-License-Identifier: MIT */
/*
 * session_meet.c - sessions of nodes that have no server ([node] rendezvous = none)
 *
 * Theory of operation
 *
 * The caller connects from its port of the present bucket to the callee's, who holds it (meets.c), again
 * after each refusal, and from the next bucket's ports when that has come.  On the connection it says its
 * Invite, gets the Reply, both sealed, and from there on the connection is a path like others: it must prove itself, and
 * is nominated.  So invitation, answer, and the secret are those of a session with a server; only nobody carries
 * them, and there is one path.
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

#include "resolver/meets.h"
#include "resolver/session_internal.h"
#include "resolver/talk.h"
#include "resolver/timer.h"

#define MEET_ASK	(20 * MS)	/* until it is asked again whose turn it is: a meeting takes two round trips */
#define MEET_WAIT_MIN	(1 * MS)	/* after a refusal, see PUNCH_WAIT_MIN; to what the refusal took, or this at least: */
#define MEET_WAIT_SPAN	(10 * MS)
#define MEET_EAGER	16		/* so many tries; they see the holder renew its SYN twice. Then the span is doubled ... */
#define MEET_WAIT_MOST	(500 * MS)	/* ... with every fourth, up to this: a peer that is away is not to be bombarded */
#define MEET_EDGE	(1 * MS)	/* after a bucket's edge: timers are not exact */

struct meet {
	struct session *session;
	struct pal *pal;
	struct dial dial;
	struct talk *talk;
	struct event *timer;
	struct meeting_place where;
	uint64_t bucket;		/* of the dial */
	uint64_t since;
	unsigned int tries;		/* refused in this bucket */
	int error;			/* of the last try, 0 none has ended */
};

void meet_free(struct session *s)
{
	struct meet *meet = s->meet;

	if (!meet)
		return;
	s->meet = NULL;
	dial_close(&meet->dial);
	talk_free(meet->talk);
	if (meet->timer)
		event_free(meet->timer);
	if (s->node->meets)
		turns_end(meets_turns(s->node->meets), meet, false);
	OPENSSL_cleanse(&meet->where, sizeof(meet->where));
	free(meet);
}

/* ------------------------------------------------------------ caller: the answer */

static void on_answer(void *arg, struct talk *talk, const Punch__Message *message)
{
	struct meet *meet = arg;
	struct session *s = meet->session;
	Punch__Answered answered = PUNCH__ANSWERED__INIT;

	if (!message || message->kind_case != PUNCH__MESSAGE__KIND_REPLY || s->state != SESSION_INVITED) {
		session_note(s, "the meeting ended without an answer");
		meet_free(s);
		if (s->state == SESSION_INVITED)
			session_set_state(s, SESSION_UPLINK);
		s->resume = clock_now() + SESSION_RETRY;
		session_arm(s, clock_before(s->resume, s->deadline));
		return;
	}
	turns_end(meets_turns(s->node->meets), meet, true);
	meet->talk = NULL;	/* the answer may end the session, and the meet with it */
	answered.session = message->reply->session;
	answered.payload = message->reply->payload;
	caller_answered(s, &answered);
	if (s->state != SESSION_ANSWERED) {
		talk_free(talk);
		meet_free(s);
		return;
	}
	session_add_path(s, talk_release(talk), LOCAL_PATH_DIRECT, true);
	meet_free(s);
	session_go(s, clock_now());
}

int meet_send(struct session *s, const Punch__Message *message)
{
	return s->meet && s->meet->talk ? talk_send(s->meet->talk, message) : -ENOTCONN;
}

/* ------------------------------------------------------------ caller: the way there */

static void meet_go(struct meet *meet);

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	meet_go(arg);
}

/* Again after @wait, or in the next bucket if that comes first */
static void meet_wait(struct meet *meet, uint64_t wait)
{
	uint64_t left;

	meets_bucket(&left);
	timer_set(meet->timer, clock_before(wait, left + MEET_EDGE));
}

static void meet_refused(struct meet *meet, int error)
{
	unsigned int doubled = meet->tries > MEET_EAGER ? (meet->tries - MEET_EAGER) / 4 : 0;
	uint64_t took = clock_now() - meet->since, span, wait;
	uint32_t random;

	meet->error = error;
	meet->tries++;
	span = clock_before((took > MEET_WAIT_SPAN ? took : MEET_WAIT_SPAN) << (doubled < 16 ? doubled : 16), MEET_WAIT_MOST);
	secret_random(&random, sizeof(random));
	wait = MEET_WAIT_MIN + span * random / UINT32_MAX;
	meet_wait(meet, wait);
}

static void on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct dial *dial = arg;
	struct session *s = dial->session;
	struct meet *meet = s->meet;
	int error = dial_error(dial);

	(void)fd;
	(void)what;
	if (error) {
		dial_close(dial);
		meet_refused(meet, error);
		return;
	}
	event_del(meet->timer);
	meet->talk = talk_new(s->node->base, dial_take(dial), meet->where.caller_key, meet->where.callee_key, on_answer, meet);
	if (!meet->talk) {
		session_fail(s, ENOBUFS, "%s: out of memory", s->peer.name);
		return;
	}
	session_note(s, "connected");
	caller_invite(s);
	if (s->state != SESSION_INVITED)
		meet_free(s);
}

/* Where to in this bucket? Return: 0, -EAGAIN (later), -ENOSPC (next bucket), -EAFNOSUPPORT (never), -EIO */
static int meet_place(struct meet *meet, uint64_t bucket)
{
	struct session *s = meet->session;
	struct meeting_when when = { .bucket = bucket, .port = s->port };
	int place;

	if (!meet->pal->address.family)
		return -EAGAIN;
	if (meet->pal->address.family == AF_INET6 && s->family == AF_INET)
		return -EAFNOSUPPORT;
	place = turns_take(meets_turns(s->node->meets), s->peer.key, s->port, bucket, MEETING_PLACES, meet);
	if (place < 0)
		return place == -EBUSY ? -EAGAIN : place;
	if (!s->node->quick_mode)
		memcpy(when.caller, s->node->key.public, KEY_SIZE);
	memcpy(when.callee, s->peer.key, KEY_SIZE);
	when.place = (unsigned int)place;
	return meeting_place(&meet->pal->meeting, &when, &meet->where);
}

static void meet_go(struct meet *meet)
{
	struct session *s = meet->session;
	char text[ENDPOINT_TEXT_SIZE];
	uint64_t bucket = meets_bucket(NULL);
	struct endpoint to;
	int rc;

	if (meet->dial.fd >= 0 && meet->bucket == bucket) {
		meet_wait(meet, NEVER);
		return;
	}
	if (meet->bucket != bucket) {
		dial_close(&meet->dial);
		turns_end(meets_turns(s->node->meets), meet, false);
		meet->tries = 0;
	}
	rc = meet_place(meet, bucket);
	if (rc == -EAFNOSUPPORT) {
		session_fail(s, ENETUNREACH, "%s: its address %s is of IPv6, and the program's socket of IPv4", s->peer.name,
			     endpoint_format_address(&meet->pal->address, text));
		return;
	}
	if (rc) {
		meet_wait(meet, rc == -ENOSPC ? NEVER : MEET_ASK);
		return;
	}
	to = meet->pal->address;
	to.port = meet->where.callee_port;
	if (meet->bucket != bucket)
		session_note(s, "meeting %s at %s, from port %u", s->peer.name, endpoint_format(&to, text),
			     meet->where.caller_port);
	meet->bucket = bucket;
	meet->since = clock_now();
	rc = dial_connect(&meet->dial, meet->where.caller_port, &to, 0, on_connected);
	if (rc)
		meet_refused(meet, -rc);
	else
		meet_wait(meet, NEVER);
}

void meet_start(struct session *s)
{
	struct pal *pal = meets_pal(s->node->meets, s->peer.key);
	struct meet *meet;

	if (!pal) {
		session_fail(s, EHOSTUNREACH, "%s: [node] rendezvous = none, and [peer %s] has no address; write its public "
			     "address, or name a rendezvous", s->peer.name, s->peer.name);
		return;
	}
	if (s->route == PUNCH__ROUTE__ROUTE_RELAY) {
		session_fail(s, ENETUNREACH, "%s: route = relay, but [node] rendezvous = none: there is no relay",
			     s->peer.name);
		return;
	}
	meet = calloc(1, sizeof(*meet));
	if (meet)
		meet->timer = event_new(s->node->base, -1, 0, on_timer, meet);
	if (!meet || !meet->timer) {
		free(meet);
		session_fail(s, ENOBUFS, "%s: out of memory", s->peer.name);
		return;
	}
	meet->session = s;
	meet->pal = pal;
	meet->dial.session = s;
	meet->dial.fd = -1;
	s->meet = meet;
	session_set_state(s, SESSION_MEETING);
	session_arm(s, s->deadline);
	meet_go(meet);
}

bool sessions_meeting(const struct sessions *sessions, unsigned int i, struct meeting_view *view)
{
	const struct session *s;

	TAILQ_FOREACH(s, &sessions->list, link) {
		const struct meet *meet = s->meet;

		if (!meet || i--)
			continue;
		*view = (struct meeting_view){
			.peer = s->peer.name, .port = s->port, .local = meet->where.caller_port, .remote = meet->pal->address,
			.state = meet->talk ? "engaged" : meet->dial.fd >= 0 ? "opening" : "waiting", .since = s->started,
		};
		view->remote.port = meet->where.callee_port;
		return true;
	}
	return false;
}

/* Nobody came; what can be known of it from here */
void meet_no_show(struct session *s)
{
	const struct pal *pal = meets_pal(s->node->meets, s->peer.key);
	int error = s->meet ? s->meet->error : 0;

	if (pal && !pal->address.family)
		session_fail(s, EHOSTUNREACH, "%s: [peer %s] address = %s: %s", s->peer.name, s->peer.name, pal->host,
			     pal->problem[0] ? pal->problem : "no answer from DNS");
	else
		session_fail(s, ETIMEDOUT, "%s: did not come to %s port %u within %u s%s%s; does a program under punch serve "
			     "that port there, with our %s? Are both clocks right to %u s? NATs "
			     "that change port numbers need a rendezvous", s->peer.name, pal ? pal->host : "?", s->port,
			     (unsigned int)((s->deadline - s->started) / SECOND), error ? ": " : "",
			     error ? strerror(error) : "", s->node->quick_mode ?
			     "word, and our address in its PUNCH_RENDEZVOUS" : "key and address in its [peer]", MEETING_MARGIN);
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
