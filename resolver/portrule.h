/* SPDX-License-Identifier: MIT */
/*
 * portrule.h - what ports a NAT gives that gives another one to each connection
 *
 * Pure: no sockets, time is an argument.
 */
#ifndef PUNCH_PORTRULE_H
#define PUNCH_PORTRULE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/punch.pb-c.h"

#define PORTRULE_SEEN	16		/* ports remembered: twice what tells a block's bounds to a tenth */

/* A wider spread is no block: carriers give 64 to 2,048 ports (RFC 7422; Richter et al., IMC 2016), and
 * four ports drawn from all 64,512 lie so close in one case of ten thousand */
#define PORTRULE_BLOCK	2048

/* So many ports of the parity of ours, and it is kept (RFC 4787, 4.2.2): of NATs that keep none, one in 4,096
 * looks like that. The mistake costs nothing, for among half of the ports half of those held are hit as often */
#define PORTRULE_PARITY	12

/**
 * struct portrule - ports seen, in order of their SYNs; zeroed: none
 * @took, @took_at:	ports that were taken at one time without being seen
 */
struct portrule {
	struct {
		uint16_t port;
		uint16_t local;		/* 0: not known */
		uint64_t at;
	} seen[PORTRULE_SEEN];
	unsigned int count;
	unsigned int took;
	uint64_t took_at;
};

/**
 * struct portrule_verdict
 * @rule:	Punch__PortRule: SEQUENTIAL, BLOCK, PARITY, RANDOM, or UNKNOWN with fewer than
 *		four ports that lie close together
 * @open:	RANDOM: all ports have kept their parity, but they are too few to tell
 * @low, @high:	the next ports lie between these; both 0 where they may be anything
 * @step:	SEQUENTIAL: from one mapping to the next
 * @pace:	SEQUENTIAL: ports that others take in 1,000 s
 */
struct portrule_verdict {
	uint32_t rule;
	bool open;
	uint16_t low, high;
	int32_t step;
	uint32_t pace;
};

/**
 * portrule_see() - a connection of ours from the port @local (0: not known) got @port by a SYN
 * of the time @at; the oldest is forgotten when there are too many
 */
void portrule_see(struct portrule *rule, uint16_t local, uint16_t port, uint64_t at);

/**
 * portrule_took() - connections of ours took @n more ports, which nobody told us: a NAT that counts has gone on by them
 */
void portrule_took(struct portrule *rule, unsigned int n, uint64_t now);

/** portrule_judge() - from what was seen, at the time @now */
void portrule_judge(const struct portrule *rule, uint64_t now, struct portrule_verdict *verdict);

#endif
