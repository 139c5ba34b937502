/* SPDX-License-Identifier: MIT */
/*
 * punch.h - the attempts of one side: when to connect, when to try again
 *
 * Pure: no sockets, time is an argument.
 */
#ifndef PUNCH_PUNCH_H
#define PUNCH_PUNCH_H

#include "resolver/plan.h"

/* Least wait after an RST: a shorter one meets the far end's SYN of the same instant again */
#define PUNCH_WAIT_MIN	(1 * MS)

/* Most SYNs of one attempt: at one per random wait of half a round trip this
 * fills PLAN_WINDOW from 60 ms on; on shorter paths 40 tries failed together in no measured cell */
#define PUNCH_TRIES	40

/* The same on a LAN or to a mapped port, where the far end listens before we dial: an RST is somebody else's host */
#define PUNCH_TRIES_LAN	5

/* An ICMP error that took longer than this is a dead host (ARP gives up after 3 s), not a NAT's
 * answer to an early SYN */
#define PUNCH_ICMP_SLOW	(1 * SECOND)

enum attempt_state {
	ATTEMPT_WAITING,	/* its start, or the end of its random wait, is in the future */
	ATTEMPT_CONNECTING,	/* a socket of it is in SYN_SENT */
	ATTEMPT_ESTABLISHED,	/* connected; what comes of it is the path's matter */
	ATTEMPT_ACCEPTED,	/* the far end's SYN was taken by our listener on the same four-tuple */
	ATTEMPT_FAILED,		/* error that a repetition does not change, or tries used up */
	ATTEMPT_STATE_COUNT
};

struct attempt {
	struct attempt_plan plan;
	enum attempt_state state;
	uint64_t due;		/* WAITING: when to connect */
	uint64_t since;		/* CONNECTING: when connect() was called */
	unsigned int tries;
	int error;		/* last one, positive errno */
};

struct punch {
	struct attempt attempts[PLAN_ATTEMPTS];
	unsigned int count;
	uint64_t until;			/* no new tries from here on */
	uint32_t (*random)(void *arg);	/* uniform 32 bits */
	void *random_arg;
};

/**
 * punch_start() - begin
 * @go:		monotonic microseconds of the common instant
 * @until:	no new SYN at or after this
 * @random:	source of the random waits
 */
void punch_start(struct punch *punch, const struct plan *plan, uint64_t go, uint64_t until,
		 uint32_t (*random)(void *arg), void *arg);

/**
 * punch_next() - what to do now
 * @ttl:	for the SYN, 0 the system's
 * Return: index of an attempt for which connect() must be called now (it is
 * CONNECTING from here on), or -1 when there is nothing to do before punch_deadline()
 */
int punch_next(struct punch *punch, uint64_t now, uint8_t *ttl);

/**
 * punch_result() - a connect() ended
 * @error:	0 or positive errno
 */
void punch_result(struct punch *punch, int index, int error, uint64_t now);

/** punch_deadline() - when punch_next() has something to do again, NEVER if only results are awaited */
uint64_t punch_deadline(const struct punch *punch);

/** punch_over() - nothing waits and nothing connects any more */
bool punch_over(const struct punch *punch, uint64_t now);

/** punch_syns() - for tests: SYNs asked for so far (kernel's own retransmissions not counted) */
unsigned int punch_syns(const struct punch *punch);

#endif
