/* SPDX-License-Identifier: MIT */
/*
 * plan.c - which attempts two sides make, from what both know
 *
 * Theory of operation
 *
 * A lane is a pair of ports, one on each side: the n-th reflexive candidate
 * of one side belongs to the n-th of the other.  Lane 0 starts at GO:
 *
 *  - Ordered opening, where one side knows how many hops its outermost NAT is
 *    away.  That side (the opener) sends its SYN so that it leaves that NAT and dies behind
 *    it; the other (the dialler) connects as usual.  The caller opens where it can: the
 *    far end's preamble then reaches it in 1.5 round trips.  A retry of either
 *    side after an RST has the system's TTL: from then on it is a synchronised open.
 *  - Synchronised SYNs otherwise.
 *
 * Lane 1 starts later with another tactic than lane 0 had: synchronised SYNs where that was ordered, else an
 * ordered opening, or, where neither side knows its hops, one side's SYN half a round
 * trip after the other's.  It is a second chance against loss, too.
 *
 * What is tried first may be told: by the callee's memory of the two networks (memory.c), or by
 * a caller that begins again and will not repeat itself.
 *
 * A side with address-and-port dependent mapping ("symmetric") has no port
 * that the other could aim at.  It dials; the other opens towards its address, which lets the
 * dial through where filtering is by address or absent, and its
 * listener takes the connection.  Where filtering is by address and port, many
 * sockets are held against many guesses (birthday.c).  Two such sides can meet where
 * their next ports lie in known bands (meet.c), and have no direct path otherwise.
 *
 * Nor have two sides whose gateways drop every SYN: no SYN-ACK comes of a SYN that nobody gets.
 * Both say so, and both must have measured it: on a mistake the direct path would not even be tried.
 */
#include "resolver/plan.h"

#include "resolver/birthday.h"
#include "resolver/meet.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>

static const char *const tactic_names[] = {
	[TACTIC_LAN] = "lan",
	[TACTIC_OPEN] = "open",
	[TACTIC_DIAL] = "dial",
	[TACTIC_SYNC] = "sync",
	[TACTIC_MAPPED] = "mapped",
};
static_assert(sizeof(tactic_names) / sizeof(*tactic_names) == TACTIC_COUNT, "a name for each tactic");

const char *tactic_name(enum tactic tactic)
{
	return tactic < TACTIC_COUNT ? tactic_names[tactic] : "?";
}

uint32_t plan_priority(uint32_t type, unsigned int other)
{
	/* RFC 6544 4.2: type preference, then direction (simultaneous open: 2
	 * for host, 6 for reflexive and NAT-assisted) << 13, component 1 */
	uint32_t preference, direction;

	switch (type) {
	case PUNCH__CANDIDATE_TYPE__CANDIDATE_HOST:
		preference = 126;
		direction = 2;
		break;
	case PUNCH__CANDIDATE_TYPE__CANDIDATE_MAPPED:
		preference = 105;
		direction = 6;
		break;
	case PUNCH__CANDIDATE_TYPE__CANDIDATE_REFLEXIVE:
		preference = 100;
		direction = 6;
		break;
	default:
		preference = 90;
		direction = 6;
		break;
	}
	return (preference << 24) | (((direction << 13) | (other & 0x1fff)) << 8) | 255;
}

/* n-th reflexive candidate, NULL when there is none */
static const struct candidate *reflexive(const struct description *d, unsigned int lane)
{
	unsigned int i;

	for (i = 0; i < d->count; i++) {
		if (d->candidates[i].type != PUNCH__CANDIDATE_TYPE__CANDIDATE_REFLEXIVE ||
		    d->candidates[i].endpoint.family != AF_INET)
			continue;
		if (!lane--)
			return &d->candidates[i];
	}
	return NULL;
}

/*
 * The peer's port of this lane, if we may send SYNs there. Both need one, else nobody would be there to meet. A
 * private one is not the peer's but a host of our own network, unless a server within that network sees us both.
 */
static const struct candidate *aim(const struct description *own, const struct description *peer, unsigned int lane)
{
	const struct candidate *from = reflexive(own, lane), *to = reflexive(peer, lane);

	if (!from || !to || endpoint_is_loopback(&to->endpoint) ||
	    (endpoint_is_private(&to->endpoint) && !endpoint_is_private(&from->endpoint)))
		return NULL;
	return to;
}

/* The same for many guesses: nobody is told that two see each other in one private network, and it would be scanned */
static const struct candidate *aim_mass(const struct description *own, const struct description *peer)
{
	const struct candidate *to = aim(own, peer, 0);

	return to && !endpoint_is_private(&to->endpoint) ? to : NULL;
}

static bool is_symmetric(const struct description *d)
{
	return d->mapping == PUNCH__MAPPING__MAPPING_ADDRESS_DEPENDENT ||
	       d->mapping == PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT;
}

/* May this side send a SYN that dies between its NAT and the peer's? */
static bool can_open(const struct description *d)
{
	return d->hops > 0 && d->filtering != PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY;
}

/* Is it certain that this side gets no SYN, whatever it sent before? What was found out on another day does not do */
static bool gets_no_syn(const struct description *d)
{
	return d->filtering == PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY && d->filtering_measured;
}

/* Does an interface of each lie in one /24, as most home networks are? */
static bool same_subnet(const struct description *a, const struct description *b)
{
	unsigned int i, j;

	for (i = 0; i < a->count; i++)
		for (j = 0; j < b->count; j++) {
			const struct candidate *x = &a->candidates[i], *y = &b->candidates[j];

			if (x->type == PUNCH__CANDIDATE_TYPE__CANDIDATE_HOST && y->type == x->type &&
			    x->endpoint.family == AF_INET && y->endpoint.family == AF_INET &&
			    !memcmp(x->endpoint.address, y->endpoint.address, 3))
				return true;
		}
	return false;
}

/* Do both look the same from outside, so that they may share a network? */
static bool same_site(const struct description *a, const struct description *b)
{
	const struct candidate *ra = reflexive(a, 0), *rb = reflexive(b, 0);

	if (ra && rb)
		return endpoint_same_address(&ra->endpoint, &rb->endpoint);
	/* Without a server's view of both: the same private network, perhaps */
	return same_subnet(a, b);
}

static bool add(struct plan *plan, enum tactic tactic, unsigned int lane,
		const struct endpoint *remote, uint8_t ttl, uint64_t start)
{
	struct attempt_plan *a;
	unsigned int i;

	if (plan->count == PLAN_ATTEMPTS)
		return false;
	for (i = 0; i < plan->count; i++)
		if (plan->attempts[i].lane == lane && endpoint_equal(&plan->attempts[i].remote, remote))
			return true;
	a = &plan->attempts[plan->count++];
	a->tactic = tactic;
	a->lane = lane;
	a->remote = *remote;
	a->ttl = ttl;
	a->start = start;
	return true;
}

/* The peer's interface addresses: IPv4 where both may share a network or the address is public, IPv6 always */
static void plan_hosts(struct plan *plan, const struct plan_input *in)
{
	bool near = same_site(in->own, in->peer);
	unsigned int i, hosts = 0;

	for (i = 0; i < in->peer->count && hosts < PLAN_LAN_HOSTS; i++) {
		const struct candidate *c = &in->peer->candidates[i];
		bool private = endpoint_is_private(&c->endpoint);

		if (c->type != PUNCH__CANDIDATE_TYPE__CANDIDATE_HOST)
			continue;
		/* A peer's word must not make us knock at our own host */
		if (endpoint_is_loopback(&c->endpoint))
			continue;
		if (c->endpoint.family == AF_INET6 && in->family != AF_INET6)
			continue;
		if (private && !near)
			continue;
		add(plan, private ? TACTIC_LAN : TACTIC_SYNC, 0, &c->endpoint, 0, 0);
		hosts++;
	}
}

/* An eighth of the round trip: its SYN is on the way for a half of it anyway */
static uint64_t dial_margin(uint64_t rtt)
{
	if (!rtt || rtt / 8 + PLAN_DIAL_MARGIN_MIN > PLAN_DIAL_MARGIN_MAX)
		return PLAN_DIAL_MARGIN_MAX;
	return rtt / 8 + PLAN_DIAL_MARGIN_MIN;
}

static void plan_lane(struct plan *plan, const struct plan_input *in, unsigned int lane)
{
	const struct description *own = in->own, *peer = in->peer;
	const struct description *caller = in->caller ? own : peer;
	const struct description *callee = in->caller ? peer : own;
	const struct candidate *to = aim(own, peer, lane);
	uint64_t start = 0;
	bool ordered, caller_opens, can;

	if (!to)
		return;
	if (lane)
		start = (in->rtt * 3 / 2 > PLAN_LANE_DELAY ? in->rtt * 3 / 2 + PLAN_LANE_DELAY / 3 :
			 PLAN_LANE_DELAY) * lane;

	/* A symmetric side must be the dialler */
	if (is_symmetric(caller) || is_symmetric(callee)) {
		caller_opens = is_symmetric(callee);
		ordered = can_open(caller_opens ? caller : callee);
	} else {
		caller_opens = can_open(caller) &&
			       !(callee->first == PUNCH__FIRST__FIRST_CALLEE_OPENS && can_open(callee));
		can = caller_opens || can_open(callee);
		ordered = can && (lane == 0) == (callee->first != PUNCH__FIRST__FIRST_SYNC);
		if (lane && !can && !in->caller)
			start += in->rtt / 2;
	}
	if (!ordered)
		add(plan, TACTIC_SYNC, lane, &to->endpoint, 0, start);
	else if (caller_opens == in->caller)
		add(plan, TACTIC_OPEN, lane, &to->endpoint, (uint8_t)(own->hops + 1), start);
	else
		add(plan, TACTIC_DIAL, lane, &to->endpoint, 0, start + dial_margin(in->rtt));
}

/* A port that cannot be known is found by many sockets against many guesses */
static void plan_mass(struct plan *plan, const struct plan_input *in)
{
	const struct description *own = in->own, *peer = in->peer;
	const struct candidate *to = aim_mass(own, peer);

	if (!to || !own->guess || !peer->guess || is_symmetric(own) == is_symmetric(peer))
		return;
	plan->mass = is_symmetric(own) ? PLAN_MASS_HOLD : PLAN_MASS_GUESS;
	plan->mass_remote = to->endpoint;
	/* The plain dial comes first, unless it is known not to do */
	plan->mass_start = (in->caller ? peer : own)->first == PUNCH__FIRST__FIRST_MANY ? 0 :
			   in->rtt + PLAN_MASS_MARGIN;
	if (plan->mass == PLAN_MASS_GUESS)
		plan->mass_start += PLAN_MASS_MARGIN;
	else if (can_open(own))
		plan->mass_ttl = (uint8_t)(own->hops + 1);
	plan->window = plan->mass_start + BIRTHDAY_SPAN + 2 * in->rtt;
	if (plan->window < PLAN_WINDOW)
		plan->window = PLAN_WINDOW;
}

/* Both ports change, but not without limits */
static void plan_meet(struct plan *plan, const struct plan_input *in)
{
	const struct description *own = in->own, *peer = in->peer;
	const struct description *caller = in->caller ? own : peer, *callee = in->caller ? peer : own;
	const struct candidate *to = aim_mass(own, peer);
	bool opens;

	if (!to || !meet_possible(own, peer))
		return;
	plan->mass = PLAN_MASS_MEET;
	plan->mass_remote = to->endpoint;
	plan->mass_wave = in->rtt * 3 / 2 + MEET_GRACE;
	/* As in a lane: one side's SYNs die behind its own NAT, the other's come when all of them are out */
	opens = can_open(caller) ? in->caller : can_open(callee) && !in->caller;
	if (opens)
		plan->mass_ttl = (uint8_t)(own->hops + 1);
	else if (can_open(caller) || can_open(callee))
		plan->mass_start = PLAN_MASS_MARGIN + dial_margin(in->rtt);
	plan->window = meet_waves(own, peer, BIRTHDAY_WAVE) * plan->mass_wave + PLAN_MASS_MARGIN + PLAN_DIAL_MARGIN_MAX;
}

/* A port that the gateway passes on: reached from everywhere, whatever the NAT on the other side */
static bool is_mapped(const struct candidate *c, int family)
{
	return c->type == PUNCH__CANDIDATE_TYPE__CANDIDATE_MAPPED && !endpoint_is_private(&c->endpoint) &&
	       !endpoint_is_loopback(&c->endpoint) && (c->endpoint.family == AF_INET || family == AF_INET6);
}

static void plan_mapped(struct plan *plan, const struct plan_input *in)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < in->peer->count; i++)
		if (is_mapped(&in->peer->candidates[i], in->family))
			any = add(plan, TACTIC_MAPPED, 0, &in->peer->candidates[i].endpoint, 0, 0) || any;
	for (i = 0; i < in->own->count; i++)
		if (is_mapped(&in->own->candidates[i], in->family))
			plan->awaited = PLAN_WINDOW_MAPPED + 2 * in->rtt;
	/* What needs no guess comes within two round trips: guess after that */
	if (plan->mass && (any || plan->awaited)) {
		plan->mass_start += in->rtt + PLAN_MASS_MARGIN;
		plan->window += in->rtt + PLAN_MASS_MARGIN;
	}
}

/* Are all attempts of this kind? */
static bool only(const struct plan *plan, enum tactic tactic)
{
	unsigned int i;

	for (i = 0; i < plan->count; i++)
		if (plan->attempts[i].tactic != tactic)
			return false;
	return plan->count > 0 && plan->mass == PLAN_MASS_NONE;
}

void plan_make(struct plan *plan, const struct plan_input *in)
{
	bool closed = gets_no_syn(in->own) && gets_no_syn(in->peer);
	bool hopeless = is_symmetric(in->own) && is_symmetric(in->peer);
	unsigned int lane;

	memset(plan, 0, sizeof(*plan));
	plan->window = PLAN_WINDOW;
	plan_hosts(plan, in);
	for (lane = 0; lane < PLAN_LANES && !hopeless && !closed; lane++)
		plan_lane(plan, in, lane);
	if (hopeless && !closed)
		plan_meet(plan, in);
	else if (!closed)
		plan_mass(plan, in);
	plan_mapped(plan, in);
	if (only(plan, TACTIC_LAN))
		plan->window = PLAN_WINDOW_LAN;
	if (only(plan, TACTIC_MAPPED))
		plan->window = PLAN_WINDOW_MAPPED + 2 * in->rtt;
	if ((in->caller ? in->peer : in->own)->first == PUNCH__FIRST__FIRST_RELAY &&
	    plan->window > 2 * in->rtt + PLAN_WINDOW_DOUBT) {
		plan->mass = PLAN_MASS_NONE;
		plan->window = 2 * in->rtt + PLAN_WINDOW_DOUBT;
	}
	if (plan_empty(plan))
		plan->reason = closed ? "neither side's NAT lets a SYN in" :
			       hopeless ? "both NATs give a new port to each destination" :
					  "no public address is known for one of the sides";
}
