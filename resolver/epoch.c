/* SPDX-License-Identifier: MIT */
/*
 * epoch.c - core: does a gateway's clock say that it has lost its mappings?
 */
#include "resolver/epoch.h"

#include "common/clock.h"

/* RFC 6887 8.5 */
#define BACK	1	/* s that it may go back: packets overtake each other */
#define ROUNDED	2	/* s by which the two differences may differ: both are of whole seconds */
#define DRIFT	16	/* part of the time that passed by which the clocks may drift */

void epoch_take(struct epoch *epoch, uint32_t server, uint64_t now)
{
	*epoch = (struct epoch){ .known = true, .server = server, .at = now };
}

bool epoch_lost(const struct epoch *epoch, uint32_t server, uint64_t now)
{
	const int64_t there = (int64_t)server - (int64_t)epoch->server;
	const int64_t here = (int64_t)((now - epoch->at) / SECOND);

	if (!epoch->known)
		return false;
	return there < -BACK || here + ROUNDED < there - there / DRIFT || there + ROUNDED < here - here / DRIFT;
}
