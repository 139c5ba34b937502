/* SPDX-License-Identifier: MIT */
/*
 * session.c - one attempt of two nodes to get one connected socket
 *
 * Theory of operation
 *
 *	caller                    rendezvous                    callee
 *	UPLINK, PORTS
 *	INVITED  --- Invite --------->|--- Invited --------------> PORTS
 *	         <-- Answered --------|<-- Reply ----------------- ANSWERED
 *	ANSWERED <-- Go --------------|--- Go ------------------->
 *	PUNCHING <================ attempts ====================> PUNCHING
 *	         <============= preambles on each path =========>
 *	NOMINATING --------------- nomination ------------------>
 *	COVERING <==== TLS, where it was settled so ==========> COVERING
 *	OVER                                                      OVER
 *
 * Both roles share everything between the descriptions and the nominated path
 * (session_paths.c).  One timer a session: session_advance() looks at the
 * clock, does what is due and arms the timer for the next deadline.  A result is
 * given exactly once; the session is freed in the next turn of the loop, so that no
 * callback finds it gone under its feet.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "resolver/doorbell_internal.h"
#include "resolver/drain.h"
#include "resolver/inlet.h"
#include "resolver/local_internal.h"
#include "resolver/parked.h"
#include "resolver/serverless.h"
#include "resolver/session_internal.h"
#include "resolver/splice.h"
#include "resolver/talk.h"

static const char *const state_names[] = {
	[SESSION_UPLINK] = "uplink",
	[SESSION_PORTS] = "ports",
	[SESSION_MEETING] = "meeting",
	[SESSION_INVITED] = "invited",
	[SESSION_ANSWERED] = "answered",
	[SESSION_PUNCHING] = "punching",
	[SESSION_NOMINATING] = "nominating",
	[SESSION_COVERING] = "covering",
	[SESSION_OVER] = "over",
};
static_assert(sizeof(state_names) / sizeof(*state_names) == SESSION_STATE_COUNT, "a name for each state");

#define TO(state) (1u << SESSION_##state)
/*
 * A caller goes back to UPLINK when the rendezvous was lost or said "try again", and when no path came of a try,
 * or one that carries nothing; from NOMINATING to PUNCHING when the chosen path died meanwhile.  A callee begins
 * in PORTS, and a nomination may reach it before its Go.  A bare path is OVER as soon as it is nominated.
 */
static const unsigned int allowed[] = {
	[SESSION_UPLINK] = TO(PORTS) | TO(MEETING) | TO(OVER),
	[SESSION_PORTS] = TO(UPLINK) | TO(INVITED) | TO(ANSWERED) | TO(OVER),
	[SESSION_MEETING] = TO(UPLINK) | TO(INVITED) | TO(OVER),
	[SESSION_INVITED] = TO(UPLINK) | TO(ANSWERED) | TO(OVER),
	[SESSION_ANSWERED] = TO(PUNCHING) | TO(COVERING) | TO(OVER),
	[SESSION_PUNCHING] = TO(UPLINK) | TO(NOMINATING) | TO(COVERING) | TO(OVER),
	[SESSION_NOMINATING] = TO(PUNCHING) | TO(COVERING) | TO(OVER),
	[SESSION_COVERING] = TO(UPLINK) | TO(OVER),
	[SESSION_OVER] = 0,
};
static_assert(sizeof(allowed) / sizeof(*allowed) == SESSION_STATE_COUNT, "edges of each state");

void session_set_state(struct session *s, enum session_state state)
{
	assert(allowed[s->state] & (1u << state));
	log_debug("session %02x%02x %s %s:%u: %s -> %s", s->id[0], s->id[1], s->caller ? "to" : "from",
		  s->peer.name, s->port, state_names[s->state], state_names[state]);
	s->state = state;
}

void session_note(struct session *s, const char *format, ...)
{
	char text[200];
	va_list args;

	if (!s->step && !log_enabled(LOG_LEVEL_DEBUG))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_debug("session %02x%02x: %s", s->id[0], s->id[1], text);
	if (s->step && s->state != SESSION_OVER)
		s->step(s->arg, clock_now() - s->started, text);
}

const char *session_via(const struct session *s)
{
	return s->uplink ? uplink_name(s->uplink) : s->node->serverless ? "the meeting" : "the rendezvous";
}

void session_arm(struct session *s, uint64_t when)
{
	uint64_t now = clock_now(), wait = when > now ? when - now : 0;
	struct timeval tv = { .tv_sec = (time_t)(wait / SECOND), .tv_usec = (suseconds_t)(wait % SECOND) };

	if (when == NEVER)
		event_del(s->timer);
	else
		event_add(s->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	session_advance(arg);
}

void session_advance(struct session *s)
{
	if (s->state == SESSION_OVER) {
		session_free(s);
		return;
	}
	if (s->caller)
		caller_advance(s);
	else
		callee_advance(s);
}

struct session *session_new(struct node *node, bool caller)
{
	struct sessions *sessions = node->sessions;
	struct session *s;
	unsigned int i;

	if (sessions->count >= SESSIONS_MAX + (caller ? 0 : SESSIONS_SPARE)) {
		errno = EAGAIN;
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->node = node;
	s->caller = caller;
	s->started = clock_now();
	for (i = 0; i < PLAN_ATTEMPTS; i++) {
		s->dials[i].session = s;
		s->dials[i].fd = -1;
	}
	for (i = 0; i < PLAN_LANES; i++) {
		s->lanes[i].session = s;
		s->lanes[i].fd = -1;
	}
	for (i = 0; i < SESSION_LEGS; i++)
		s->legs[i].session = s;
	s->timer = event_new(node->base, -1, 0, on_timer, s);
	if (!s->timer || ephemeral_make(&s->ephemeral)) {
		if (s->timer)
			event_free(s->timer);
		free(s);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&sessions->list, s, link);
	sessions->count++;
	return s;
}

/* Whoever waits longest; its turn may have to wait on, if what ended was of the other kind */
static void wake_queued(struct sessions *sessions)
{
	struct session *s;

	TAILQ_FOREACH(s, &sessions->list, link) {
		if (s->queued && s->state == SESSION_UPLINK) {
			session_arm(s, 0);
			return;
		}
	}
}

/* The mapping of a port may live and die with its probe connections */
static void lane_free(struct session *s, struct port *port)
{
	if (port && s->track.path.cookie && s->kind == LOCAL_PATH_DIRECT && s->track.path.local.port == port->number)
		tether_hold(s->node->sessions->tethers, port, &s->track);
	else
		port_free(port);
}

void session_free(struct session *s)
{
	unsigned int i;

	session_paths_close(s);
	talk_free(s->talk);
	if (s->waiter)
		ports_wait_cancel(s->waiter);
	for (i = 0; i < PLAN_LANES; i++)
		lane_free(s, s->lanes[i].port);
	ephemeral_wipe(&s->ephemeral);
	secret_wipe(&s->secret);
	body_free(&s->invitation);
	body_free(&s->answer);
	event_free(s->timer);
	TAILQ_REMOVE(&s->node->sessions->list, s, link);
	s->node->sessions->count--;
	wake_queued(s->node->sessions);
	free(s);
}

static void drop_ports(struct session *s)
{
	unsigned int i;

	for (i = 0; i < PLAN_LANES; i++) {
		port_free(s->lanes[i].port);
		s->lanes[i].port = NULL;
	}
}

void session_restart(struct session *s)
{
	session_set_state(s, SESSION_UPLINK);
	session_paths_close(s);
	/* Fresh ones: the NATs may still know the old pairs of ports, and a second try is to differ from the first */
	drop_ports(s);
	secret_wipe(&s->secret);
	ephemeral_wipe(&s->ephemeral);
	if (ephemeral_make(&s->ephemeral)) {
		session_fail(s, EIO, "%s: no new session key can be made", s->peer.name);
		return;
	}
	memset(&s->plan, 0, sizeof(s->plan));
	memset(&s->punch, 0, sizeof(s->punch));
	memset(&s->track, 0, sizeof(s->track));
	s->not_direct = NULL;
	s->uplink = NULL;
	s->route = s->wish;
	s->tried = 0;
	s->relay_problem[0] = '\0';
	s->resume = 0;
	s->patience = clock_now() + SESSION_UPLINK_PATIENCE;
	session_arm(s, 0);
}

/* Give the error, once, and let the session go */
void session_fail(struct session *s, int error, const char *format, ...)
{
	struct session_result result = { .error = error, .fd = -1 };
	va_list args;

	if (s->state == SESSION_OVER)
		return;
	va_start(args, format);
	vsnprintf(result.text, sizeof(result.text), format, args);
	va_end(args);
	result.setup_us = (uint32_t)(clock_now() - s->started);
	log_info("%s %s:%u failed: %s", s->caller ? "to" : "from", s->peer.name, s->port, result.text);
	session_set_state(s, SESSION_OVER);
	session_paths_close(s);
	session_arm(s, 0);
	if (s->done)
		s->done(s->arg, &result);
}

void session_cancel(struct session *s)
{
	s->done = NULL;
	s->step = NULL;
	if (s->state != SESSION_OVER)
		session_set_state(s, SESSION_OVER);
	session_paths_close(s);
	session_arm(s, 0);
}

/* A session that finds no descriptor in its midst fails late and for no reason that a user
 * could see: rather later than so */
bool sessions_room(const struct node *node, bool caller)
{
	unsigned int busy = 0, alike = 0, files;
	const struct session *s;
	struct rlimit limit;

	TAILQ_FOREACH(s, &node->sessions->list, link) {
		if (s->state == SESSION_UPLINK || s->state == SESSION_OVER)
			continue;
		busy++;
		alike += s->caller == caller;
	}
	if (alike >= (caller ? SESSIONS_CALLING : SESSIONS_CALLED))
		return false;
	if (!busy || getrlimit(RLIMIT_NOFILE, &limit))
		return true;
	files = SESSION_FILES_BASE + SESSION_FILES * (busy + 1) + parked_files(node->parked) +
		2 * doorbells_count(node->doorbells) + (node->serverless ? serverless_files(node->serverless) : 0) +
		2 * splices_count(node->splices) + drains_count(node->drains) + local_count(node->local);
	return files <= limit.rlim_cur;
}

struct session *session_find(struct sessions *sessions, const uint8_t *id, size_t size, bool caller)
{
	struct session *s;

	if (size != SESSION_SIZE)
		return NULL;
	TAILQ_FOREACH(s, &sessions->list, link)
		if (s->caller == caller && s->state != SESSION_OVER && !memcmp(s->id, id, SESSION_SIZE))
			return s;
	return NULL;
}

struct sessions *sessions_new(struct node *node)
{
	struct sessions *sessions = calloc(1, sizeof(*sessions));

	if (!sessions)
		return NULL;
	sessions->node = node;
	sessions->tethers = tethers_new(node);
	if (!sessions->tethers) {
		free(sessions);
		return NULL;
	}
	TAILQ_INIT(&sessions->list);
	return sessions;
}

void sessions_free(struct sessions *sessions)
{
	struct session *s;

	if (!sessions)
		return;
	while ((s = TAILQ_FIRST(&sessions->list)))
		session_free(s);
	tethers_free(sessions->tethers);
	free(sessions);
}

struct budget *sessions_budget(struct sessions *sessions)
{
	return &sessions->budget;
}

unsigned int sessions_count(const struct sessions *sessions)
{
	return sessions->count;
}

/* What the lost server knew of the session is lost with it */
static void lost_uplink(struct session *s)
{
	if (s->state == SESSION_ANSWERED) {
		/* Both sides know all they need, and both have lost the server or will hear of Go: start now */
		session_go(s, clock_now());
	} else if (s->caller && (s->state == SESSION_INVITED || s->state == SESSION_PORTS)) {
		s->uplink = NULL;
		s->patience = clock_now() + SESSION_UPLINK_PATIENCE;
		session_set_state(s, SESSION_UPLINK);
	}
	/* Maybe the network is another one: mappings of the old one are not to be in the next invitation */
	if (s->state == SESSION_UPLINK)
		drop_ports(s);
}

void session_on_uplink(struct node *node, struct uplink *uplink)
{
	if (uplink_state(uplink) == UPLINK_READY)
		inlets_refresh(node->inlets);
	struct session *s;

	TAILQ_FOREACH(s, &node->sessions->list, link) {
		if ((s->uplink == uplink || s->state == SESSION_UPLINK) && uplink_state(uplink) != UPLINK_READY)
			lost_uplink(s);
		if (s->state == SESSION_UPLINK)
			session_arm(s, 0);
	}
}

static void on_go(struct node *node, const Punch__Go *message)
{
	struct session *s = session_find(node->sessions, message->session.data, message->session.len, true);
	uint64_t wait = message->start_in_us;

	if (!s)
		s = session_find(node->sessions, message->session.data, message->session.len, false);
	if (!s || s->state != SESSION_ANSWERED)
		return;
	/* The farthest node is half a world away; a server that says otherwise lies */
	if (wait > SECOND)
		wait = SECOND;
	session_go(s, clock_now() + wait);
}

void session_on_message(struct node *node, struct uplink *uplink, const Punch__Message *message)
{
	struct session *s;

	switch (message->kind_case) {
	case PUNCH__MESSAGE__KIND_INVITED:
		callee_invited(node, uplink, NULL, message->invited);
		break;
	case PUNCH__MESSAGE__KIND_ANSWERED:
		s = session_find(node->sessions, message->answered->session.data,
				 message->answered->session.len, true);
		if (s && s->uplink == uplink && s->state == SESSION_INVITED)
			caller_answered(s, message->answered);
		break;
	case PUNCH__MESSAGE__KIND_GO:
		on_go(node, message->go);
		break;
	case PUNCH__MESSAGE__KIND_FAILED:
		s = session_find(node->sessions, message->failed->session.data,
				 message->failed->session.len, true);
		if (s && s->uplink == uplink && s->state == SESSION_INVITED)
			caller_failed(s, message->failed);
		break;
	default:
		log_debug("%s: unexpected message %d", uplink_name(uplink), (int)message->kind_case);
		break;
	}
}
