/* SPDX-License-Identifier: MIT */
/*
 * session_choice.c - the caller's choice among its session's paths; the callee only keeps trying until it is told
 *
 * A proven direct path is taken at once, unless the relay is much faster (choice.c).  A proven relay path waits:
 * for the plan's window after Go, or until every attempt has failed; and 200 ms longer for what came late.
 *
 * A path that is connected and stays silent is waited for, but not for long: its far end's
 * segments are being lost, or it is nobody's. Then the try is over as if it were not there.
 */
#include "common/log.h"
#include "resolver/choice.h"
#include "resolver/session_internal.h"

static uint32_t priority_of(const struct session *s, const struct path *path)
{
	struct endpoint remote;
	uint32_t type = 0;
	unsigned int i;

	if (path_remote(path, &remote))
		return 0;
	for (i = 0; i < s->far.count; i++)
		if (endpoint_equal(&s->far.candidates[i].endpoint, &remote))
			type = s->far.candidates[i].type;
	if (path_kind(path) == LOCAL_PATH_LAN)
		type = PUNCH__CANDIDATE_TYPE__CANDIDATE_HOST;
	return choice_priority(type);
}

/* A direct path's round trip: that of the way, not of the hosts that are busy just now */
static uint64_t rtt_of(struct session *s, const struct path *path, uint64_t now)
{
	struct endpoint remote;

	if (path_kind(path) == LOCAL_PATH_RELAY || path_state(path) != PATH_PROVEN || path_remote(path, &remote))
		return path_rtt(path);
	return nearest_note(&s->node->nearest, &remote, path_rtt(path), now);
}

static unsigned int gather(struct session *s, struct choice_path out[SESSION_PATHS],
			   struct path *paths[SESSION_PATHS], uint64_t now)
{
	unsigned int i, count = 0;

	for (i = 0; i < SESSION_PATHS; i++) {
		struct path *path = s->paths[i];

		if (!path || path_state(path) > PATH_PROVEN)
			continue;
		paths[count] = path;
		out[count] = (struct choice_path){
			.proven = path_state(path) == PATH_PROVEN,
			.relay = path_kind(path) == LOCAL_PATH_RELAY,
			.rtt = rtt_of(s, path, now), .leg = path_leg(path), .since = path_since(path),
		};
		if (!out[count].relay)
			out[count].priority = priority_of(s, path);
		count++;
	}
	return count;
}

/* Is a direct path still being proven? */
static bool direct_pending(const struct session *s)
{
	unsigned int i;

	for (i = 0; i < SESSION_PATHS; i++)
		if (s->paths[i] && path_kind(s->paths[i]) != LOCAL_PATH_RELAY &&
		    path_state(s->paths[i]) == PATH_PROVING)
			return true;
	return false;
}

/* Until when is a direct path hoped for? 0: not any more */
static uint64_t hope_until(struct session *s, uint64_t now)
{
	uint64_t awaited = s->go + s->plan.awaited, until;

	/* The peer alone may dial, to our mapped port */
	if (plan_empty(&s->plan) && !s->plan.awaited)
		return 0;
	if (!punch_over(&s->punch, now) || mass_active(s->mass))
		s->over_at = 0;
	else if (!s->over_at)
		s->over_at = now;
	until = choice_hope(s->go + s->plan.window, s->over_at, direct_pending(s), now);
	return until < awaited && now < awaited ? awaited : until;
}

static void note_choice(struct session *s, const struct choice_path *paths, unsigned int count, int best)
{
	unsigned int i;

	for (i = 0; paths[best].relay && i < count; i++)
		if (!paths[i].relay && paths[i].proven)
			session_note(s, "the direct path takes %.1f ms a round trip, the relayed one %.1f ms",
				     (double)paths[i].rtt / (double)MS, (double)paths[best].rtt / (double)MS);
}

/* Until when may a path that is there still be chosen? NEVER: one is proven; 0: each is silent, and had its time */
static uint64_t silent_at(const struct session *s, uint64_t now)
{
	uint64_t last = 0, end;
	unsigned int i;

	for (i = 0; i < SESSION_PATHS; i++) {
		const struct path *path = s->paths[i];

		if (!path || path_state(path) == PATH_DEAD)
			continue;
		if (path_state(path) != PATH_PROVING)
			return NEVER;
		end = path_since(path) + choice_silence(s->rtt);
		if (end > last)
			last = end;
	}
	return last > now ? last : 0;
}

void session_choose(struct session *s, uint64_t now)
{
	uint64_t deadline = session_paths_deadline(s), hope = hope_until(s, now), silent = silent_at(s, now), again;
	struct choice_path paths[SESSION_PATHS];
	struct path *real[SESSION_PATHS];
	unsigned int count = gather(s, paths, real, now);
	unsigned int others = sessions_count(s->node->sessions) - 1;
	int best = choice_make(paths, count, others, hope != 0, now, &again);

	if (best >= 0) {
		note_choice(s, paths, count, best);
		s->chosen = real[best];
		session_set_state(s, SESSION_NOMINATING);
		path_nominate(s->chosen);
		session_arm(s, s->deadline);
		return;
	}
	if (!session_any_path(s) && session_barren(s, now))
		return;
	if (!silent && now >= s->go + SESSION_TRY && caller_again(s))
		return;
	deadline = clock_before(deadline, again);
	if (silent)
		deadline = clock_before(deadline, silent);
	if (hope)
		deadline = clock_before(deadline, hope);
	if (now < s->go + SESSION_TRY)
		deadline = clock_before(deadline, s->go + SESSION_TRY);
	session_arm(s, deadline);
}
