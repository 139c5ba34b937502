/* SPDX-License-Identifier: MIT */
/*
 * plan.h - which attempts two sides make, from what both know
 *
 * Pure.  Both ends call plan_make() with the same two descriptions and get
 * plans that fit each other: where one opens, the other dials.
 */
#ifndef PUNCH_PLAN_H
#define PUNCH_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/convert.h"

#define PLAN_ATTEMPTS	12	/* most attempts of one side, below the courtesy limit of 256 half-open */
#define PLAN_LANES	2	/* local ports of one session: the second pair covers loss and a changed tactic */
#define PLAN_LAN_HOSTS	4	/* host addresses of the peer that are tried */

/* How long a side hopes for a direct path before it takes a proven relay:
 * covers the kernel's first SYN retransmission (1 s, measured 1.02 s) twice over */
#define PLAN_WINDOW	(2500 * MS)

/* The same where nothing has worked between these networks lately: what one lane needs at two
 * round trips, and a little */
#define PLAN_WINDOW_DOUBT (100 * MS)

/* The same where only addresses of one LAN are tried: they answer within a few ms, or not at all */
#define PLAN_WINDOW_LAN	(500 * MS)

/* The same where all hope lies in a mapped port: one retransmission of the SYN (1.02 s) and its answer.
 * Two round trips come on top. */
#define PLAN_WINDOW_MAPPED (1100 * MS)

/* Guesses begin when the plain dial would have come through a NAT that filters by
 * address or not at all; the held sockets are opened this much earlier */
#define PLAN_MASS_MARGIN (30 * MS)

/* Ordered opening: the dialler lets the opener's SYN leave its NAT first.  GO errs by
 * the asymmetry of the paths to the rendezvous, at most a part of the round trip; a
 * dialler that is early loses a second against a NAT that drops. */
#define PLAN_DIAL_MARGIN_MIN (1 * MS)
#define PLAN_DIAL_MARGIN_MAX (8 * MS)

/* The second lane starts when the first should have succeeded:
 * 150 ms brings 95-98 % to 100 % at 10 % loss (measured), but never before 1.5 round trips */
#define PLAN_LANE_DELAY	(150 * MS)

enum tactic {
	TACTIC_LAN,		/* both on one network: the peer's interface addresses */
	TACTIC_OPEN,		/* ordered opening, our SYN dies behind our own NATs (low TTL) */
	TACTIC_DIAL,		/* ordered opening, the peer opens, we connect */
	TACTIC_SYNC,		/* synchronised SYNs (RFC 9293 3.5) */
	TACTIC_MAPPED,		/* the peer's gateway passes a port on to it: an ordinary connect() */
	TACTIC_COUNT
};

/**
 * struct attempt_plan - one connect() with its retries
 * @tactic:	why
 * @lane:	index of the local port
 * @remote:	where to
 * @ttl:	of the first SYN; 0: the system's
 * @start:	microseconds after GO
 */
struct attempt_plan {
	enum tactic tactic;
	unsigned int lane;
	struct endpoint remote;
	uint8_t ttl;
	uint64_t start;
};

/* One side's NAT gives random ports, the other's does not: birthday.h. Both give new ones out
 * of a known band: meet.h */
enum plan_mass {
	PLAN_MASS_NONE,
	PLAN_MASS_HOLD,		/* many sockets towards the peer's one endpoint */
	PLAN_MASS_GUESS,	/* many ports of the peer's one address */
	PLAN_MASS_MEET,		/* both sides: many sockets to one port in the band of the other */
};

/**
 * struct plan
 * @count:	attempts; 0: no direct path is possible, take the relay at once
 * @reason:	for people, when @count is 0
 * @window:	microseconds after GO in which a direct path is hoped for
 * @awaited:	microseconds after GO in which the peer may come to our own mapped port; 0: we have none
 * @mass_remote: HOLD: the endpoint; GUESS, MEET: the address, with the port that was seen last
 * @mass_ttl:	HOLD, MEET: of the SYNs, 0 the system's
 * @mass_wave:	MEET: microseconds from one wave to the next
 * @mass_start:	microseconds after GO
 */
struct plan {
	struct attempt_plan attempts[PLAN_ATTEMPTS];
	unsigned int count;
	const char *reason;
	uint64_t window;
	uint64_t awaited;
	enum plan_mass mass;
	struct endpoint mass_remote;
	uint8_t mass_ttl;
	uint64_t mass_start;
	uint64_t mass_wave;
};

/**
 * struct plan_input
 * @own, @peer:	descriptions as exchanged
 * @caller:	are we the caller?
 * @family:	of the program's socket: AF_INET sockets cannot use IPv6 candidates
 * @rtt:	microseconds between the peers, estimated as the sum of both round trips to the rendezvous
 */
struct plan_input {
	const struct description *own;
	const struct description *peer;
	bool caller;
	int family;
	uint64_t rtt;
};

/** plan_empty() - nothing that could lead to a direct path */
static inline bool plan_empty(const struct plan *plan)
{
	return !plan->count && plan->mass == PLAN_MASS_NONE;
}

/** plan_make() - fill @plan */
void plan_make(struct plan *plan, const struct plan_input *in);

/** tactic_name() - for logs */
const char *tactic_name(enum tactic tactic);

/**
 * plan_priority() - RFC 6544 4.2: of a candidate type (Punch__CandidateType), simultaneous-open
 * direction; @other 0..8191
 */
uint32_t plan_priority(uint32_t type, unsigned int other);

#endif
