/* SPDX-License-Identifier: MIT */
/*
 * baseline.c - what others do, inside a resolver of ours, for make bench-nat
 *
 * Linked into a resolver of its own (build/baseline/) in front of plan.c and punch.c by the linker's
 * --wrap, so that nothing of it is in the product.  BASELINE says which:
 *
 *	once	one synchronised pair of SYNs to the observed addresses
 *	dcutr	libp2p's DCUtR: up to three, each at an instant that both sides agree on
 *
 * LAN addresses are tried as always, and the relay is there in all cases.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/punch.h"

#define DCUTR_TRIES 3

void __real_plan_make(struct plan *plan, const struct plan_input *in);
void __real_punch_result(struct punch *punch, int index, int error, uint64_t now);
void __wrap_plan_make(struct plan *plan, const struct plan_input *in);
void __wrap_punch_result(struct punch *punch, int index, int error, uint64_t now);

static uint64_t slot;	/* us between two of DCUtR's instants */

static unsigned int tries(void)
{
	const char *name = getenv("BASELINE");

	return name && !strcmp(name, "dcutr") ? DCUTR_TRIES : 1;
}

void __wrap_plan_make(struct plan *plan, const struct plan_input *in)
{
	unsigned int i, kept = 0;
	struct attempt_plan *a;

	__real_plan_make(plan, in);
	for (i = 0; i < plan->count; i++)
		if (plan->attempts[i].tactic == TACTIC_LAN)
			plan->attempts[kept++] = plan->attempts[i];
	plan->count = kept;
	plan->mass = PLAN_MASS_NONE;
	for (i = 0; i < in->peer->count && kept == plan->count; i++) {
		if (in->peer->candidates[i].type != PUNCH__CANDIDATE_TYPE__CANDIDATE_REFLEXIVE)
			continue;
		a = &plan->attempts[plan->count++];
		memset(a, 0, sizeof(*a));
		a->tactic = TACTIC_SYNC;
		a->remote = in->peer->candidates[i].endpoint;
	}
	plan->reason = plan->count ? NULL : "no address was observed";
	plan->window = PLAN_WINDOW;
	/* CONNECT, CONNECT, SYNC over the relayed connection take one and a half round trips */
	slot = in->rtt * 3 / 2 + 20 * MS;
}

void __wrap_punch_result(struct punch *punch, int index, int error, uint64_t now)
{
	struct attempt *a = &punch->attempts[index];
	uint64_t start = a->since;

	if (error && error != EADDRNOTAVAIL && a->plan.tactic == TACTIC_SYNC && a->tries >= tries())
		error = ETIMEDOUT;
	__real_punch_result(punch, index, error, now);
	/* Not when it likes to, but at the next common instant: both sides counted from the same Go */
	if (a->state == ATTEMPT_WAITING && a->plan.tactic == TACTIC_SYNC)
		a->due = start + ((now - start) / slot + 1) * slot;
}
