/* SPDX-License-Identifier: MIT */
/*
 * choice.c - which of the proven paths the caller nominates
 *
 * The first direct path that is proven is nominated at once: waiting for a better one would cost more than it is
 * worth.  There is one exception.  One direct path in ten has a longer round trip than the relay (libp2p's
 * campaign), where both are near the relay and their providers are far from each other.  A relay that near has
 * mostly been proven before the direct path.  Where it is joined but not proven, it gets the
 * time that it could still win in: a relayed round trip is our leg, which the kernel has measured, and the far
 * end's, which is what passes between "joined" and its preamble, since the relay tells both at one moment.
 */
#include "resolver/choice.h"

#include "common/punch.pb-c.h"

#define PREFERENCE_PEER_REFLEXIVE 110u	/* RFC 6544, 4.2 */
#define DIRECTION_ANY	6u

uint32_t choice_priority(uint32_t type)
{
	uint32_t preference = PREFERENCE_PEER_REFLEXIVE;

	switch (type) {
	case PUNCH__CANDIDATE_TYPE__CANDIDATE_HOST:
		preference = 126;
		break;
	case PUNCH__CANDIDATE_TYPE__CANDIDATE_MAPPED:
		preference = 105;
		break;
	case PUNCH__CANDIDATE_TYPE__CANDIDATE_REFLEXIVE:
	case PUNCH__CANDIDATE_TYPE__CANDIDATE_PREDICTED:
		preference = 100;
		break;
	default:
		break;
	}
	return preference << 24 | DIRECTION_ANY << 13 << 8 | 255;
}

uint64_t choice_rtt(uint64_t kernel, uint64_t took, uint64_t proof)
{
	/* Where it is less than clear: rather too short, for then the direct path is taken */
	if (!kernel || !took || proof < kernel - kernel / 4)
		return kernel;
	return took < 2 * kernel ? took : 2 * kernel;
}

/* Is @direct slower than a relayed round trip of @relay us by too much, and by more than @noise us? */
static bool is_slower(uint64_t direct, uint64_t relay, uint64_t noise)
{
	return direct && relay && direct * CHOICE_RELAY > relay * CHOICE_SLOWER && direct > relay + noise;
}

static int best_proven(const struct choice_path *paths, unsigned int count, bool relay)
{
	unsigned int i;
	int best = -1;

	for (i = 0; i < count; i++) {
		const struct choice_path *p = &paths[i], *b = best < 0 ? NULL : &paths[best];

		if (!p->proven || p->relay != relay)
			continue;
		if (!b || p->priority > b->priority || (p->priority == b->priority && p->rtt < b->rtt))
			best = (int)i;
	}
	return best;
}

/* Until when may a relay that is joined, but not proven, win against @direct us? 0: not any more */
static uint64_t relay_chance(const struct choice_path *paths, unsigned int count, uint64_t direct, uint64_t noise)
{
	uint64_t until = 0, most = direct * CHOICE_RELAY / CHOICE_SLOWER, end;
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (!paths[i].relay || paths[i].proven || !paths[i].leg || most <= paths[i].leg ||
		    !is_slower(direct, paths[i].leg, noise))
			continue;
		end = paths[i].since + clock_before(most - paths[i].leg, CHOICE_PATIENCE);
		if (end > until)
			until = end;
	}
	return until;
}

uint64_t choice_hope(uint64_t window, uint64_t over, bool pending, uint64_t now)
{
	uint64_t until = window;

	if (pending)
		until = window + CHOICE_LATE;
	else if (over)
		until = clock_before(window, over + CHOICE_LATE);
	return now < until ? until : 0;
}

int choice_make(const struct choice_path *paths, unsigned int count, unsigned int others, bool hope, uint64_t now,
		uint64_t *again)
{
	const uint64_t noise = CHOICE_NOISE + others * CHOICE_NOISE_OTHER;
	int direct = best_proven(paths, count, false), relay = best_proven(paths, count, true);
	uint64_t until;

	*again = NEVER;
	if (direct < 0)
		return hope ? -1 : relay;
	if (relay >= 0)
		return is_slower(paths[direct].rtt, paths[relay].rtt, noise) ? relay : direct;
	until = relay_chance(paths, count, paths[direct].rtt, noise);
	if (until <= now)
		return direct;
	*again = until;
	return -1;
}

uint64_t choice_silence(uint64_t rtt)
{
	return CHOICE_SILENCE + 4 * rtt;
}

uint64_t choice_cover(bool caller, uint64_t again, uint64_t left, uint64_t rtt)
{
	return caller && again > choice_silence(rtt) ? choice_silence(rtt) : left;
}
