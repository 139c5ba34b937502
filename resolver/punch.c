/* SPDX-License-Identifier: MIT */
/*
 * punch.c - the attempts of one side: when to connect, when to try again
 *
 * Theory of operation
 *
 * Each attempt is one connect() from the lane's local port to one remote
 * endpoint.  What was measured decides the rules:
 *
 *  - A SYN that has not been answered is never abandoned: renewing a socket
 *    in SYN_SENT before a round trip has passed wedges both ends in SYN_RECEIVED (0-7 %
 *    success at 25 ms).  So CONNECTING ends only by a result.
 *  - An RST (or ICMP unreachable) means that our SYN met a NAT whose mapping
 *    was not open yet: again from the same port after a wait uniform between 1 ms and the time
 *    the answer took.  A fixed wait falls into lockstep with the far end; this one
 *    succeeded in 99-100 of 100 tries in every cell measured.
 *  - Only the first SYN of an opener has a low TTL; by the time of a retry the far end's mapping is open.
 *  - EADDRNOTAVAIL from connect() says that the four-tuple exists: the far
 *    end's SYN reached our listener on that port first.
 */
#include "resolver/punch.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/log.h"

static const char *const state_names[] = {
	[ATTEMPT_WAITING] = "waiting",
	[ATTEMPT_CONNECTING] = "connecting",
	[ATTEMPT_ESTABLISHED] = "established",
	[ATTEMPT_ACCEPTED] = "accepted",
	[ATTEMPT_FAILED] = "failed",
};
static_assert(sizeof(state_names) / sizeof(*state_names) == ATTEMPT_STATE_COUNT, "a name for each state");

#define TO(state) (1u << ATTEMPT_##state)
static const unsigned int allowed[] = {
	[ATTEMPT_WAITING] = TO(CONNECTING) | TO(FAILED),
	[ATTEMPT_CONNECTING] = TO(WAITING) | TO(ESTABLISHED) | TO(ACCEPTED) | TO(FAILED),
	[ATTEMPT_ESTABLISHED] = 0,
	[ATTEMPT_ACCEPTED] = 0,
	[ATTEMPT_FAILED] = 0,
};
static_assert(sizeof(allowed) / sizeof(*allowed) == ATTEMPT_STATE_COUNT, "edges of each state");

static void attempt_set_state(struct attempt *a, enum attempt_state state)
{
	char text[ENDPOINT_TEXT_SIZE];

	assert(allowed[a->state] & (1u << state));
	if (log_enabled(LOG_LEVEL_DEBUG))
		log_debug("attempt %s %s lane %u try %u: %s -> %s%s%s", tactic_name(a->plan.tactic),
			  endpoint_format(&a->plan.remote, text), a->plan.lane, a->tries,
			  state_names[a->state], state_names[state],
			  a->error ? ": " : "", a->error ? strerror(a->error) : "");
	a->state = state;
}

void punch_start(struct punch *punch, const struct plan *plan, uint64_t go, uint64_t until,
		 uint32_t (*random)(void *arg), void *arg)
{
	unsigned int i;

	memset(punch, 0, sizeof(*punch));
	punch->count = plan->count;
	punch->until = until;
	punch->random = random;
	punch->random_arg = arg;
	for (i = 0; i < plan->count; i++) {
		punch->attempts[i].plan = plan->attempts[i];
		punch->attempts[i].state = ATTEMPT_WAITING;
		punch->attempts[i].due = go + plan->attempts[i].start;
	}
}

int punch_next(struct punch *punch, uint64_t now, uint8_t *ttl)
{
	unsigned int i;

	for (i = 0; i < punch->count; i++) {
		struct attempt *a = &punch->attempts[i];

		if (a->state != ATTEMPT_WAITING)
			continue;
		if (a->due >= punch->until) {
			attempt_set_state(a, ATTEMPT_FAILED);
			continue;
		}
		if (a->due > now)
			continue;
		*ttl = a->tries ? 0 : a->plan.ttl;
		a->tries++;
		a->since = now;
		attempt_set_state(a, ATTEMPT_CONNECTING);
		return (int)i;
	}
	return -1;
}

/* Does the far end's NAT answer like that before its mapping is open? */
static bool is_early(int error, uint64_t took)
{
	switch (error) {
	case ECONNREFUSED:
	case ECONNRESET:
		return true;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EACCES:
	case ENOPROTOOPT:
	case EPROTO:
		/* as answers on the wire; took is 0 when connect() itself refused */
		return took > 0 && took < PUNCH_ICMP_SLOW;
	default:
		return false;
	}
}

void punch_result(struct punch *punch, int index, int error, uint64_t now)
{
	struct attempt *a;
	unsigned int most;
	uint64_t took, span;

	assert(index >= 0 && (unsigned int)index < punch->count);
	a = &punch->attempts[index];
	assert(a->state == ATTEMPT_CONNECTING);
	most = a->plan.tactic == TACTIC_LAN || a->plan.tactic == TACTIC_MAPPED ? PUNCH_TRIES_LAN : PUNCH_TRIES;
	took = now - a->since;
	a->error = error;
	if (!error) {
		attempt_set_state(a, ATTEMPT_ESTABLISHED);
	} else if (error == EADDRNOTAVAIL) {
		attempt_set_state(a, ATTEMPT_ACCEPTED);
	} else if (is_early(error, took) && a->tries < most) {
		span = took > PUNCH_WAIT_MIN ? took - PUNCH_WAIT_MIN : 0;
		a->due = now + PUNCH_WAIT_MIN + span * punch->random(punch->random_arg) / UINT32_MAX;
		attempt_set_state(a, ATTEMPT_WAITING);
	} else {
		attempt_set_state(a, ATTEMPT_FAILED);
	}
}

uint64_t punch_deadline(const struct punch *punch)
{
	uint64_t deadline = NEVER;
	unsigned int i;

	for (i = 0; i < punch->count; i++)
		if (punch->attempts[i].state == ATTEMPT_WAITING)
			deadline = clock_before(deadline, clock_before(punch->attempts[i].due, punch->until));
	return deadline;
}

bool punch_over(const struct punch *punch, uint64_t now)
{
	unsigned int i;

	for (i = 0; i < punch->count; i++) {
		if (punch->attempts[i].state == ATTEMPT_CONNECTING)
			return false;
		if (punch->attempts[i].state == ATTEMPT_WAITING && punch->attempts[i].due < punch->until &&
		    now < punch->until)
			return false;
	}
	return true;
}

unsigned int punch_syns(const struct punch *punch)
{
	unsigned int i, syns = 0;

	for (i = 0; i < punch->count; i++)
		syns += punch->attempts[i].tries;
	return syns;
}
