/* SPDX-License-Identifier: MIT */
/*
 * session_memory.c - what a session tries first, and what it teaches the ones after it
 *
 * The callee decides, for it is the first to know both descriptions: by its memory of the two
 * networks, or as the caller wishes, which does so only when it begins again and does not want
 * the same once more.  Both remember what came of it.
 */
#include <time.h>

#include "resolver/memory.h"
#include "resolver/session_internal.h"
#include "resolver/state.h"

static uint64_t today(void)
{
	return (uint64_t)time(NULL);
}

/* Another one than @first, by turns */
static uint32_t next(uint32_t first)
{
	switch (first) {
	case PUNCH__FIRST__FIRST_UNKNOWN:
	case PUNCH__FIRST__FIRST_CALLER_OPENS:
		return PUNCH__FIRST__FIRST_CALLEE_OPENS;
	case PUNCH__FIRST__FIRST_CALLEE_OPENS:
		return PUNCH__FIRST__FIRST_SYNC;
	default:
		return PUNCH__FIRST__FIRST_CALLER_OPENS;
	}
}

uint32_t session_first(const struct session *s)
{
	if (s->caller)
		return s->tries ? next(s->far.first) : PUNCH__FIRST__FIRST_UNKNOWN;
	return s->far.first ? s->far.first : memory_first(&s->node->memory, &s->far, &s->own, today());
}

/* Which tactic made the chosen path; 0: none that another one would be tried before */
static uint32_t what_worked(const struct session *s)
{
	unsigned int i;

	for (i = 0; i < s->punch.count; i++) {
		const struct attempt_plan *plan = &s->punch.attempts[i].plan;
		const struct port *port = s->lanes[plan->lane].port;

		if (!port || port->number != s->track.path.local.port ||
		    !endpoint_equal(&plan->remote, &s->track.path.remote))
			continue;
		switch (plan->tactic) {
		case TACTIC_OPEN:
			return s->caller ? PUNCH__FIRST__FIRST_CALLER_OPENS : PUNCH__FIRST__FIRST_CALLEE_OPENS;
		case TACTIC_DIAL:
			return s->caller ? PUNCH__FIRST__FIRST_CALLEE_OPENS : PUNCH__FIRST__FIRST_CALLER_OPENS;
		case TACTIC_SYNC:
			return PUNCH__FIRST__FIRST_SYNC;
		default:
			return PUNCH__FIRST__FIRST_UNKNOWN;
		}
	}
	return s->mass ? PUNCH__FIRST__FIRST_MANY : PUNCH__FIRST__FIRST_UNKNOWN;
}

/* Why it is not direct, and whether that is worth remembering */
static const char *what_failed(const struct session *s, uint32_t *first)
{
	unsigned int i;

	*first = PUNCH__FIRST__FIRST_UNKNOWN;
	if (s->route == PUNCH__ROUTE__ROUTE_RELAY)
		return "not wanted (route = relay)";
	/* The callee, who need not wait for it, may have been told before its own end of that path was proven */
	for (i = 0; i < SESSION_PATHS; i++)
		if (s->paths[i] && path_kind(s->paths[i]) != LOCAL_PATH_RELAY &&
		    (path_state(s->paths[i]) == PATH_PROVEN || (!s->caller && path_state(s->paths[i]) == PATH_PROVING)))
			return "much slower than the relay";
	if (plan_empty(&s->plan))
		return s->plan.reason;
	/* A shortened wait is no news */
	if ((s->caller ? &s->far : &s->own)->first == PUNCH__FIRST__FIRST_RELAY)
		return "nothing has come through lately";
	*first = PUNCH__FIRST__FIRST_RELAY;
	return "no attempt came through";
}

void session_learn(struct session *s)
{
	const struct description *caller = s->caller ? &s->own : &s->far, *callee = s->caller ? &s->far : &s->own;
	uint32_t first = PUNCH__FIRST__FIRST_UNKNOWN;

	if (s->kind == LOCAL_PATH_RELAY)
		s->not_direct = what_failed(s, &first);
	else if (s->kind == LOCAL_PATH_DIRECT)
		first = what_worked(s);
	if (memory_learn(&s->node->memory, caller, callee, first, today()))
		state_changed(s->node);
}
