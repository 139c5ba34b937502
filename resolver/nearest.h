/* SPDX-License-Identifier: MIT */
/*
 * nearest.h - how near the far ends of direct paths were at best
 *
 * One sample of a round trip, taken on a busy host, is longer than the distance, and never shorter: of several
 * connections to one address the shortest of a minute is what the choice between direct and relayed goes by.
 *
 * Pure: no sockets, time is an argument.
 */
#ifndef PUNCH_NEAREST_H
#define PUNCH_NEAREST_H

#include <stdint.h>

#include "common/endpoint.h"

#define NEAREST_MAX	32	/* addresses: those of most recent use */

struct nearest_entry {
	struct endpoint remote;		/* its port does not count */
	uint64_t rtt;			/* us */
	uint64_t until;			/* clock_now() up to which it is believed; 0: no entry */
};

/** struct nearest - zeroed: nothing is known */
struct nearest {
	struct nearest_entry entries[NEAREST_MAX];
};

/**
 * nearest_note() - take a sample, tell the shortest
 * @remote:	the path's far end
 * @rtt:	us; 0: not known
 * @now:	clock_now()
 * Return: us, at most @rtt where that is known; 0 where nothing is
 */
uint64_t nearest_note(struct nearest *nearest, const struct endpoint *remote, uint64_t rtt, uint64_t now);

#endif
