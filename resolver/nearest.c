/* SPDX-License-Identifier: MIT */
/*
 * nearest.c - the shortest round trip of a minute, for each address
 */
#include "resolver/nearest.h"

#include "common/clock.h"

#define NEAREST_LIFE	(60 * SECOND)	/* ways change: what was shorter once is measured anew after that */

uint64_t nearest_note(struct nearest *nearest, const struct endpoint *remote, uint64_t rtt, uint64_t now)
{
	struct nearest_entry *entry = nearest->entries, *e;

	for (e = nearest->entries; e < nearest->entries + NEAREST_MAX; e++) {
		if (e->until && endpoint_same_address(&e->remote, remote)) {
			entry = e;
			break;
		}
		if (e->until < entry->until)
			entry = e;
	}
	if (e == nearest->entries + NEAREST_MAX || entry->until <= now) {
		if (!rtt)
			return 0;
		*entry = (struct nearest_entry){ .remote = *remote, .rtt = rtt, .until = now + NEAREST_LIFE };
	} else if (rtt && rtt < entry->rtt) {
		entry->rtt = rtt;
		entry->until = now + NEAREST_LIFE;
	}
	return rtt ? entry->rtt : 0;
}
