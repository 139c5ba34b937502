/* SPDX-License-Identifier: MIT */
/*
 * stats.h - what the relay counts for its metrics
 */
#ifndef RELAY_STATS_H
#define RELAY_STATS_H

#include <stdint.h>

enum refusal {
	REFUSED_TICKET,		/* no hello at all, or a ticket that the secret does not fit */
	REFUSED_EXPIRED,
	REFUSED_USED,
	REFUSED_PARTNER,	/* the other side did not come in time */
	REFUSED_LIMIT,		/* of sides, pairs, or remembered tickets */
	REFUSED_SOURCE,		/* limit of one address; closed without a word */
	REFUSED_SLOW,		/* no complete hello in time; closed without a word */
	REFUSED_KEY,		/* one of the two keys has its number of pairs */
	REFUSED_CROWD,		/* was there and made room for another, see common/places.h */
	REFUSAL_COUNT
};

struct stats {
	uint64_t visitors;		/* sides that came, ever */
	uint64_t pairs;			/* joined, ever */
	uint64_t resets;		/* pairs that ended by a reset or a dead end */
	uint64_t looks;			/* at pairs that are flushed after a reset */
	uint64_t bytes;			/* carried, both directions */
	uint64_t refused[REFUSAL_COUNT];
	unsigned int visitors_now;	/* not joined yet */
	unsigned int strangers_now;	/* of these, without a good ticket */
	unsigned int waiting_now;	/* of these, with one, for their partner */
	unsigned int pairs_now;
};

/* One relay is one thread in one process */
extern struct stats stats;

#endif
