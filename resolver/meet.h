/* SPDX-License-Identifier: MIT */
/*
 * meet.h - two NATs that give each connection a new port, but not any port
 *
 * Pure: no sockets, no time of its own.
 */
#ifndef PUNCH_MEET_H
#define PUNCH_MEET_H

#include "common/clock.h"
#include "common/convert.h"

/* Sockets of a side whose NAT counts: the aim may be wrong by 24 ports downwards and 40 upwards */
#define MEET_COUNTING	64
#define MEET_AHEAD	40	/* ports from the next one to the one that is aimed at */

/* Of a block three quarters are taken at most: NATs keep what a SYN took for minutes (RFC 5382 REQ-5), and
 * the other programs of the network need ports meanwhile (a block of 128 used up: nothing got out) */
#define MEET_SHARE_OF	4
#define MEET_SHARE	3

#define MEET_WAVES	2	/* a third one adds a sixth of what the first two give, for as much waiting */

/* Below this the wait is worth nothing: the relay is taken at once */
#define MEET_LEAST	3	/* percent */

/* After the SYNs of a wave had their one and a half round trips: time in which 240 sockets are made */
#define MEET_GRACE	(150 * MS)

/** meet_possible() - are both ends' next ports in known bands, and both willing? Alike for (a, b) and (b, a) */
bool meet_possible(const struct description *a, const struct description *b);

/** meet_chance() - percent, over all waves, rounded down. Alike for (a, b) and (b, a) */
unsigned int meet_chance(const struct description *a, const struct description *b);

/** meet_sockets() - how many a side opens in all, waves of at most @wave each, MEET_WAVES of them */
unsigned int meet_sockets(const struct description *own, unsigned int wave);

/** meet_waves() - of both sides together. Alike for (a, b) and (b, a) */
unsigned int meet_waves(const struct description *a, const struct description *b, unsigned int wave);

/**
 * meet_target() - the one port of the peer's address that all sockets of a wave go to
 * @random:	uniform 32 bits
 */
uint16_t meet_target(const struct description *peer, uint32_t random);

#endif
