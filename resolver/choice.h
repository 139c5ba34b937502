/* SPDX-License-Identifier: MIT */
/*
 * choice.h - which of the proven paths the caller nominates
 *
 * Pure: no sockets, time is an argument.
 */
#ifndef PUNCH_CHOICE_H
#define PUNCH_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"

/* A direct path is given up for the relay when its round trip is longer by more than a fifth, and by more
 * than what busy hosts and NATs add to the one sample that there is: with ten times as many processes ready as
 * processors, 10 ms sent a transfer of 200 MB through the relay though the distances were equal */
#define CHOICE_SLOWER	6	/* to ... */
#define CHOICE_RELAY	5
#define CHOICE_NOISE	(20 * MS)

/* Each session that is set up beside this one makes both ends busier: of 200 at once on two processors some measured
 * 34 ms for a path of 4 ms */
#define CHOICE_NOISE_OTHER	(1 * MS)

/* A relay that was joined may yet prove to be faster: so long the direct path waits for it, at most */
#define CHOICE_PATIENCE	(250 * MS)

/**
 * struct choice_path - a path that lives
 * @proven:	else it is being proven
 * @relay:	through a relay
 * @priority:	of the candidate it leads to, RFC 6544 4.2; higher is better
 * @rtt:	us from end to end, when @proven; 0 not known
 * @leg:	@relay: us from us to the relay
 * @since:	@relay: when both sides were joined; clock_now()
 */
struct choice_path {
	bool proven;
	bool relay;
	uint32_t priority;
	uint64_t rtt;
	uint64_t leg;
	uint64_t since;
};

/* A path that was established when time was nearly over still gets its round trip, and a far end's SYN that is on
 * its way when the last attempt fails still finds the listener (Roberts: P2PD) */
#define CHOICE_LATE	(200 * MS)

/**
 * choice_hope() - until when is a direct path hoped for?
 * @window:	end of the plan's time for it
 * @over:	when the last attempt failed; 0: some go on
 * @pending:	a direct path is established, but not proven yet
 * Return: when to ask again, or 0: not any more
 */
uint64_t choice_hope(uint64_t window, uint64_t over, bool pending, uint64_t now);

/**
 * choice_make() - choose
 * @others:	sessions of this node that are being set up beside this one
 * @hope:	a direct path may still come about: then no relayed one is chosen for want of a direct one
 * @again:	set to when to ask again; NEVER: when anything changes
 * Return: index of the path to nominate, or -1
 */
int choice_make(const struct choice_path *paths, unsigned int count, unsigned int others, bool hope, uint64_t now,
		uint64_t *again);

/* A path whose far end is silent for so long, and four round trips, while it is to be proven or
 * encrypted, is given up for another try, if there is time for one.  A lost segment is repeated after
 * 200 ms at first; but where a SYN was lost before, after 1 to 3 s, and twice that the next time, so
 * that three losses in a row took 10 s (seen once in 1,000 connections where 10 % are lost each way) */
#define CHOICE_SILENCE	(4 * SECOND)

/** choice_silence() - how long is a path's far end waited for? @rtt: us, between the peers. Return: us */
uint64_t choice_silence(uint64_t rtt);

/**
 * choice_cover() - how long may a nominated path take until it is encrypted?
 * @caller:	our role; the callee cannot begin again, and must not give a path up that the
 *		caller may be using already
 * @again:	us left until the caller can begin no other try; 0: not at all
 * @left:	us, of the session
 * @rtt:	us, between the peers
 * Return: us
 */
uint64_t choice_cover(bool caller, uint64_t again, uint64_t left, uint64_t rtt);

/** choice_priority() - @type: Punch__CandidateType of the far end's candidate; 0: it was not told, so peer-reflexive */
uint32_t choice_priority(uint32_t type);

/**
 * choice_rtt() - round trip of a direct path
 * @kernel:	us, the least that the kernel measured (tcpi_min_rtt)
 * @took:	us from connect() to connected, 0: somebody else's SYN came first, or was sure to
 * Return: 0: not known, for the kernel has no sample (a SYN was sent twice, and connect() waited for that)
 * @proof:	us from connected to the far end's preamble
 *
 * In a simultaneous open each SYN is answered by a SYN that was under way already, so that the kernel's first
 * sample is half a round trip, and connect() takes a whole one.  A socket that lay in wait for the far end's SYN
 * shows the same two figures, but for twice the distance; there the preamble comes right behind the ACK.
 */
uint64_t choice_rtt(uint64_t kernel, uint64_t took, uint64_t proof);

#endif
