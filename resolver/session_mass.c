/* SPDX-License-Identifier: MIT */
/*
 * session_mass.c - the sockets of a held or guessing side (birthday.c says which and when)
 *
 * Held: BIRTHDAY_HELD sockets, each from a port of its own, in SYN_SENT towards the
 * peer's one endpoint; their first SYN dies behind our own NATs where
 * their distance is known.  Guessing: waves of connects from the lane's one
 * port; a wave that had its time is closed (which sends nothing) before the next.
 * Meeting: waves of sockets with ports of their own, all to one port of the peer (meet.c).
 * None of these is sent while a direct path is proven, and the next wave waits for a
 * path's proof, which takes a round trip, as it may be the last one needed.
 * Whatever becomes established is a path like others, and must prove itself: a guess may
 * well have met somebody else's open port, which speaks against nobody.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/log.h"
#include "resolver/birthday.h"
#include "resolver/meet.h"
#include "resolver/session_internal.h"

/* Sessions of one node that do this at once: the courtesy limit is for a host, not a session */
#define MASS_SESSIONS 1
/* descriptors that the process may have at least, or the other sessions would find none */
#define MASS_FILES 1024

static_assert(BIRTHDAY_HELD <= BIRTHDAY_WAVE, "one array serves both roles");

struct mass {
	struct session *session;
	struct dial dials[BIRTHDAY_WAVE];
	struct birthday birthday;	/* guessing side */
	struct event *timer;
	enum plan_mass role;
	bool started;
	struct birthday_wait wait;
	unsigned int left, wave;	/* MEET: sockets that may still be opened, waves begun */
	unsigned int waves;
	uint64_t due;			/* MEET: the next wave */
	uint64_t end;			/* nothing comes of it any more */
};

static unsigned int masses;		/* alive in this process */

static void on_dial(evutil_socket_t fd, short what, void *arg)
{
	struct dial *dial = arg;
	struct session *s = dial->session;

	(void)fd;
	(void)what;
	if (dial_error(dial)) {
		dial_close(dial);
		return;
	}
	session_note(s, dial->mass->role == PLAN_MASS_GUESS ? "a guess hit a port" : "a held port was hit");
	session_add_path(s, dial_take(dial), LOCAL_PATH_DIRECT, false);
}

static void hold(struct mass *mass)
{
	const struct plan *plan = &mass->session->plan;
	unsigned int i, open = 0, most = BIRTHDAY_HELD;
	uint32_t rule = mass->session->own.port_rule;

	if (rule != PUNCH__PORT_RULE__PORT_RULE_RANDOM && rule != PUNCH__PORT_RULE__PORT_RULE_PARITY)
		most = BIRTHDAY_HELD_NEAR;
	for (i = 0; i < most; i++) {
		if (!dial_connect(&mass->dials[i], 0, &plan->mass_remote, plan->mass_ttl, on_dial))
			open++;
	}
	ports_spent(mass->session->node->ports, open);
	session_note(mass->session, "holding %u ports", open);
}

static void guess(struct mass *mass, uint64_t now)
{
	struct session *s = mass->session;
	struct endpoint to = s->plan.mass_remote;
	unsigned int first, n, i;

	n = birthday_wave(&mass->birthday, now, &first);
	for (i = 0; i < n; i++) {
		dial_close(&mass->dials[i]);
		to.port = mass->birthday.guesses[first + i];
		dial_connect(&mass->dials[i], s->lanes[0].port->number, &to, 0, on_dial);
	}
	if (n)
		session_note(s, "guessing %u ports", n);
}

static uint32_t random32(void *arg)
{
	uint32_t value;

	(void)arg;
	secret_random(&value, sizeof(value));
	return value;
}

/* The next wave; sockets of a side that has no more of them stay for all waves of the other */
static void meet(struct mass *mass, uint64_t now)
{
	unsigned int i, n = mass->left < BIRTHDAY_WAVE ? mass->left : BIRTHDAY_WAVE, open = 0;
	struct session *s = mass->session;
	struct endpoint to = s->plan.mass_remote;

	if (now < mass->due)
		return;
	mass->wave++;
	mass->due = mass->wave < mass->waves ? mass->due + s->plan.mass_wave : NEVER;
	if (!n)
		return;
	to.port = meet_target(&s->far, random32(NULL));
	for (i = 0; i < BIRTHDAY_WAVE; i++)
		dial_close(&mass->dials[i]);
	for (i = 0; i < n; i++)
		open += !dial_connect(&mass->dials[i], 0, &to, s->plan.mass_ttl, on_dial);
	mass->left -= n;
	ports_spent(s->node->ports, open);
	session_note(s, "%u ports for one of the peer's", open);
}

/* Until when could a path that is being proven be so? @now or before: there is none, or it had its time */
static uint64_t proof_due(const struct session *s)
{
	uint64_t due = 0, end;
	unsigned int i;

	for (i = 0; i < SESSION_PATHS; i++) {
		if (!s->paths[i] || path_kind(s->paths[i]) == LOCAL_PATH_RELAY ||
		    path_state(s->paths[i]) != PATH_PROVING)
			continue;
		end = path_since(s->paths[i]) + s->rtt + BIRTHDAY_GRACE;
		if (end > due)
			due = end;
	}
	return due;
}

static bool is_proven(const struct session *s)
{
	unsigned int i;

	for (i = 0; i < SESSION_PATHS; i++)
		if (s->paths[i] && path_kind(s->paths[i]) != LOCAL_PATH_RELAY &&
		    path_state(s->paths[i]) >= PATH_PROVEN && path_state(s->paths[i]) != PATH_DEAD)
			return true;
	return false;
}

/* Are more SYNs perhaps needless? Return: when to ask again, 0: they are needed now */
static uint64_t put_off(struct mass *mass, uint64_t now)
{
	bool proven = is_proven(mass->session);

	/* Held ports that are late miss the first guesses: they wait for no proof */
	if (mass->role == PLAN_MASS_HOLD && (mass->started || !proven))
		return 0;
	return birthday_put_off(&mass->wait, proven, proof_due(mass->session), now);
}

/* Of all waves: those that were put off end later */
static uint64_t guess_end(const struct mass *mass)
{
	return clock_before(mass->session->go + mass->session->plan.window, birthday_end(&mass->birthday));
}

static void arm(struct mass *mass, uint64_t when)
{
	uint64_t now = clock_now(), wait = when > now ? when - now : 0;
	struct timeval tv = { .tv_sec = (time_t)(wait / SECOND), .tv_usec = (suseconds_t)(wait % SECOND) };

	event_add(mass->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct mass *mass = arg;
	uint64_t now = clock_now(), again;

	(void)fd;
	(void)what;
	if (now >= mass->end) {
		session_arm(mass->session, 0);
		return;
	}
	again = put_off(mass, now);
	if (again) {
		arm(mass, clock_before(mass->end, again));
		return;
	}
	switch (mass->role) {
	case PLAN_MASS_HOLD:
		if (!mass->started)
			hold(mass);
		arm(mass, mass->end);
		break;
	case PLAN_MASS_GUESS:
		guess(mass, now);
		mass->end = guess_end(mass);
		arm(mass, clock_before(mass->end, birthday_deadline(&mass->birthday)));
		break;
	default:
		meet(mass, now);
		arm(mass, clock_before(mass->end, mass->due));
		break;
	}
	mass->started = true;
}

void mass_start(struct session *s)
{
	struct mass *mass;
	struct rlimit files;
	unsigned int i;

	if (masses >= MASS_SESSIONS || !s->lanes[0].port || getrlimit(RLIMIT_NOFILE, &files) ||
	    files.rlim_cur < MASS_FILES)
		return;
	mass = calloc(1, sizeof(*mass));
	if (!mass)
		return;
	mass->timer = event_new(s->node->base, -1, 0, on_timer, mass);
	if (!mass->timer) {
		free(mass);
		return;
	}
	masses++;
	mass->session = s;
	mass->role = s->plan.mass;
	for (i = 0; i < BIRTHDAY_WAVE; i++) {
		mass->dials[i].session = s;
		mass->dials[i].mass = mass;
		mass->dials[i].fd = -1;
	}
	mass->end = s->go + s->plan.window;
	if (mass->role == PLAN_MASS_MEET) {
		mass->left = meet_sockets(&s->own, BIRTHDAY_WAVE);
		mass->waves = meet_waves(&s->own, &s->far, BIRTHDAY_WAVE);
		mass->due = s->go + s->plan.mass_start;
	}
	if (mass->role == PLAN_MASS_GUESS) {
		birthday_draw(&mass->birthday, s->plan.mass_remote.port,
			      s->far.port_rule == PUNCH__PORT_RULE__PORT_RULE_PARITY, s->far.port_low,
			      s->far.port_high, s->rtt, s->go + s->plan.mass_start, random32, NULL);
		mass->end = guess_end(mass);
	}
	s->mass = mass;
	arm(mass, s->go + s->plan.mass_start);
}

void mass_free(struct mass *mass)
{
	unsigned int i;

	if (!mass)
		return;
	for (i = 0; i < BIRTHDAY_WAVE; i++)
		dial_close(&mass->dials[i]);
	event_free(mass->timer);
	masses--;
	free(mass);
}

bool mass_active(const struct mass *mass)
{
	return mass && clock_now() < mass->end;
}
