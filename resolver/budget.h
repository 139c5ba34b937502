/* SPDX-License-Identifier: MIT */
/*
 * budget.h - how many SYNs punching may send: at once, an attempt, a minute, and to one address
 *
 * Pure: no sockets, time is an argument.
 */
#ifndef PUNCH_BUDGET_H
#define PUNCH_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bucket.h"
#include "common/endpoint.h"

/* Sockets in SYN_SENT at one time, of all sessions together: 512 broke a home router's table (warpgate) */
#define BUDGET_OPEN	256

/* SYNs of one session: 2,048 guesses, 240 held sockets, and the plain attempts with their retries */
#define BUDGET_SESSION	2560

/* The same again to one address that never proved to be the peer's, and from then on as many each
 * minute: what a server that lies about a peer's address can have us send there */
#define BUDGET_TARGET	2560

/* To all such addresses together */
#define BUDGET_ALL	5120

/*
 * SYNs that ask one address how we look from outside, and were not answered; one a second comes back. A
 * server that names a victim, and drops its nodes so that they ask anew, has this from each of them. 32 ports
 * may be asked about at once (ports.c), by two SYNs each, with eight for the hops and three for a study.
 */
#define BUDGET_PROBES	128

/* To all addresses together; two a second come back */
#define BUDGET_PROBES_ALL 256

#define BUDGET_TARGETS	64		/* addresses remembered */
/* an address where the peer's key was proven counts as the peer's for this long */
#define BUDGET_TRUST	(600 * SECOND)

/* Look again after this, where BUDGET_OPEN was reached: a fraction of the shortest round trip on the Internet */
#define BUDGET_WAIT	(5 * MS)

/**
 * struct budget_target - an address that SYNs went to
 * @address:	family 0: unused; of IPv6 the /64, without port
 * @trusted:	until when its SYNs are free
 */
struct budget_target {
	struct endpoint address;
	struct bucket sent;
	struct bucket probed;
	uint64_t trusted;
};

/** struct budget - of one node; zeroed: nothing was sent */
struct budget {
	unsigned int open;
	struct bucket all;
	struct bucket probed;
	struct budget_target targets[BUDGET_TARGETS];
};

/** budget_room() - may one more socket be half-open? */
static inline bool budget_room(const struct budget *budget)
{
	return budget->open < BUDGET_OPEN;
}

/**
 * budget_take() - a SYN is about to be sent
 * @session:	SYNs of the session so far, counted here
 * @to:		where to; its port does not matter
 * Return: 0: the socket counts as half-open until budget_done(). -EBUSY: too many half-open ones.
 * -EDQUOT: too many SYNs, of the session, to this address or to all.
 */
int budget_take(struct budget *budget, unsigned int *session, const struct endpoint *to, uint64_t now);

/** budget_done() - a socket is half-open no more */
void budget_done(struct budget *budget);

/**
 * budget_probe() - SYNs are about to be sent to a probe port, which a server has named, or to a STUN server
 * @n:		how many
 * Return: false: not now
 */
bool budget_probe(struct budget *budget, const struct endpoint *to, unsigned int n, uint64_t now);

/** budget_answered() - as many of them were answered by STUN, or never sent: they do not count */
void budget_answered(struct budget *budget, const struct endpoint *to, unsigned int n, uint64_t now);

/** budget_trust() - whoever answers at this address has proven the peer's key */
void budget_trust(struct budget *budget, const struct endpoint *address, uint64_t now);

#endif
