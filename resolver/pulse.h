/* SPDX-License-Identifier: MIT */
/*
 * pulse.h - INTERFACE - core: is the far end of a connection alive, and when to try again
 *
 * Pure: does no I/O, is told the time, answers when to be called again.
 *
 * NATs forget connections that are silent for long (RFC 5382, REQ-5: not before 2 h 4 min, but
 * home routers after minutes), and a peer that lost its power says nothing at all.  So a Ping
 * leaves when nothing was sent, or nothing heard, for the interval that the server asked for; any byte heard is an
 * answer.  PULSE_MISSES Pings without one: dead.
 */
#ifndef PUNCH_PULSE_H
#define PUNCH_PULSE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"

#define PULSE_MISSES	2		/* unanswered Pings after which the far end counts as dead */
/* wait for each answer: above every round trip plus a TCP retransmission or two */
#define PULSE_ANSWER	(5 * SECOND)

#define BACKOFF_FIRST	(200 * MS)	/* a server that restarts is back within a few of these */
/* a serving host is reachable this soon after its server is; RDV_GRACE counts on it */
#define BACKOFF_MOST	(10 * SECOND)

enum pulse_action {
	PULSE_NOTHING,
	PULSE_PING,		/* send a Ping now */
	PULSE_DEAD,		/* close the connection */
};

/**
 * struct pulse - of one connection
 * @interval:	most silence, microseconds
 * @answer:	how long the Ping under way may take
 * @unanswered:	Pings since the last byte was heard
 * @wanted:	a Ping is wanted at once
 */
struct pulse {
	uint64_t sent_at, heard_at, pinged_at;
	uint64_t interval, answer;
	unsigned int unanswered;
	bool wanted;
};

/** pulse_init() - the connection has just said something in both directions */
void pulse_init(struct pulse *pulse, uint64_t interval, uint64_t now);

/** pulse_sent(), pulse_heard() - bytes left, bytes came */
void pulse_sent(struct pulse *pulse, uint64_t now);
void pulse_heard(struct pulse *pulse, uint64_t now);

/** pulse_check() - there is doubt: Ping at once and take @answer microseconds as the limit for each answer */
void pulse_check(struct pulse *pulse, uint64_t answer);

/**
 * pulse_step() - what is due?
 * @deadline:	when to call again at the latest
 * On PULSE_PING the core counts the Ping as sent now.
 */
enum pulse_action pulse_step(struct pulse *pulse, uint64_t now, uint64_t *deadline);

/**
 * backoff_us() - wait before a new try
 * @failures:	tries that failed one after the other, 1 after the first
 * @random:	any number: spreads nodes that all lost one server at the same moment
 * Return: microseconds: BACKOFF_FIRST doubled with each failure, at most BACKOFF_MOST; uniform
 * between half of that and all of it
 */
uint64_t backoff_us(unsigned int failures, uint32_t random);

#endif
