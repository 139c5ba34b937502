/* SPDX-License-Identifier: MIT */
/*
 * budget.c - how many SYNs punching may send: at once, an attempt, a minute, and to one address
 *
 * Theory of operation
 *
 * Whom we send SYNs to is told by others: the peer names its addresses, and a server told the
 * peer how it looks from outside.  A liar could name a victim, and guessing sends
 * thousands.  So each address has a bucket of one whole round of guesses, refilled within a
 * minute, and all of them together have one of twice that.  An address at which the peer's key was
 * proven is no victim: it is free, or many connections to one peer would starve.
 *
 * A server names the probe ports, too, that a node asks how it looks from outside. They have smaller buckets, of
 * their own lest guesses leave nothing for them; what was answered by STUN is put back, or a busy node would starve.
 *
 * The kernel's repetitions are not counted: a socket lives two or three seconds, the first
 * repetition comes after one.
 */
#include "resolver/budget.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#define MINUTE 60	/* s */

static const struct rate target_rate = { .per_second = BUDGET_TARGET / MINUTE, .burst = BUDGET_TARGET };
static const struct rate all_rate = { .per_second = BUDGET_ALL / MINUTE, .burst = BUDGET_ALL };

static const struct rate probe_rate = { .per_second = 1, .burst = BUDGET_PROBES };
static const struct rate probe_all_rate = { .per_second = 2, .burst = BUDGET_PROBES_ALL };

/* One host may use any address of its /64 (RFC 6177) */
static struct endpoint target_key(const struct endpoint *to)
{
	struct endpoint key = *to;

	key.port = 0;
	key.scope = 0;
	if (key.family == AF_INET6)
		memset(key.address + 8, 0, 8);
	return key;
}

static uint64_t busy_until(const struct budget_target *t)
{
	return t->sent.busy_until > t->probed.busy_until ? t->sent.busy_until : t->probed.busy_until;
}

/* Of two entries the one that is missed less: the other may not be forgotten */
static bool less_missed(const struct budget_target *a, const struct budget_target *b, uint64_t now)
{
	bool at = a->trusted > now, bt = b->trusted > now;

	return at != bt ? bt : busy_until(a) < busy_until(b);
}

static struct budget_target *target_get(struct budget *budget, const struct endpoint *to, uint64_t now)
{
	struct endpoint key = target_key(to);
	struct budget_target *free = NULL;
	unsigned int i;

	for (i = 0; i < BUDGET_TARGETS; i++) {
		struct budget_target *t = &budget->targets[i];

		if (t->address.family && endpoint_same_address(&t->address, &key))
			return t;
		if (!free || (free->address.family && (!t->address.family || less_missed(t, free, now))))
			free = t;
	}
	*free = (struct budget_target){ .address = key };
	return free;
}

int budget_take(struct budget *budget, unsigned int *session, const struct endpoint *to, uint64_t now)
{
	struct budget_target *target;

	if (!budget_room(budget))
		return -EBUSY;
	if (*session >= BUDGET_SESSION)
		return -EDQUOT;
	target = target_get(budget, to, now);
	if (target->trusted <= now &&
	    (!bucket_take(&target->sent, &target_rate, now) || !bucket_take(&budget->all, &all_rate, now)))
		return -EDQUOT;
	++*session;
	budget->open++;
	return 0;
}

void budget_done(struct budget *budget)
{
	assert(budget->open > 0);
	budget->open--;
}

bool budget_probe(struct budget *budget, const struct endpoint *to, unsigned int n, uint64_t now)
{
	struct budget_target *target = target_get(budget, to, now);

	return bucket_take_some(&target->probed, &probe_rate, n, now) &&
	       bucket_take_some(&budget->probed, &probe_all_rate, n, now);
}

void budget_answered(struct budget *budget, const struct endpoint *to, unsigned int n, uint64_t now)
{
	struct budget_target *target = target_get(budget, to, now);

	bucket_return(&target->probed, &probe_rate, n, now);
	bucket_return(&budget->probed, &probe_all_rate, n, now);
}

void budget_trust(struct budget *budget, const struct endpoint *address, uint64_t now)
{
	target_get(budget, address, now)->trusted = now + BUDGET_TRUST;
}
