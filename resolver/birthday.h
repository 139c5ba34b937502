/* SPDX-License-Identifier: MIT */
/*
 * birthday.h - which ports to guess, and when: a random port against a fixed one
 *
 * Pure: no sockets, time is an argument.
 */
#ifndef PUNCH_BIRTHDAY_H
#define PUNCH_BIRTHDAY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"

/* Sockets that the held side keeps open, and SYNs that the guessing side has under way: 512
 * half-open connections broke a home router's table, 256 are the most a side may have (budget.h), and the
 * plain attempts need some */
#define BIRTHDAY_HELD	240

/* Where the ports seen lie close together, they may be all that the NAT gives to this host: a
 * carrier's block of 128 was used up by 256 sockets, and nothing else got out for
 * ten seconds.  Guesses start near the port seen, so few sockets are enough there. */
#define BIRTHDAY_HELD_NEAR 48
#define BIRTHDAY_WAVE	240

/* A miss of all: exp(-240 * 2048 / 64512) = 0.05 % */
#define BIRTHDAY_GUESSES 2048

/* A wave is abandoned when its answers had their round trip and this; a SYN into a closed port is never answered */
#define BIRTHDAY_GRACE	(40 * MS)

/* The kernel repeats a held SYN after 1.02 s, then with the system's TTL; so guessing must not take
 * much longer. On paths where it would, fewer waves are sent. */
#define BIRTHDAY_SPAN	(2 * SECOND)

/* Waves that wait for the proof of a path that was just hit; a stranger's open port, which
 * proves nothing, must not use up the time for the others */
#define BIRTHDAY_WAITS	2

struct birthday {
	uint16_t guesses[BIRTHDAY_GUESSES];
	unsigned int count;
	unsigned int next;	/* first guess that was not sent */
	uint64_t due;		/* when the next wave leaves */
	uint64_t until;		/* no wave leaves at or after this */
	uint64_t wave;		/* us between waves */
};

/**
 * birthday_draw() - decide the guesses, each once; where a band is known the third wave is the first one again
 * @seen:	the port that the far NAT gave to a recent connection: NATs that
 *		count (sequential) or draw from a block (RFC 7422) give ports near it, so those come first
 * @parity:	its ports have all the parity of that one (RFC 4787, 4.2.2): no others are guessed
 * @low, @high:	band in which its next ports are said to lie, 0 not known: comes before all
 * @rtt:	microseconds between the peers
 * @start:	when the first wave leaves
 * @random:	uniform 32 bits
 */
void birthday_draw(struct birthday *b, uint16_t seen, bool parity, uint16_t low, uint16_t high, uint64_t rtt,
		   uint64_t start, uint32_t (*random)(void *arg), void *arg);

/**
 * birthday_wave() - is a wave due?
 * @first:	index of its first guess
 * Return: how many guesses leave now, 0 none
 */
unsigned int birthday_wave(struct birthday *b, uint64_t now, unsigned int *first);

/** struct birthday_wait - zeroed: no wave has waited for a proof */
struct birthday_wait {
	unsigned int count;
	uint64_t until;		/* the present one's end */
};

/**
 * birthday_put_off() - is the next wave perhaps needless?
 * @proven:	a direct path is proven; it may still break
 * @due:	when the newest path that is being proven should have been; @now or before: there is none
 * Return: when to ask again, 0: the wave is needed now
 */
uint64_t birthday_put_off(struct birthday_wait *wait, bool proven, uint64_t due, uint64_t now);

/** birthday_deadline() - when the next wave is due, NEVER when all were sent */
uint64_t birthday_deadline(const struct birthday *b);

/** birthday_end() - when the last wave has had its answers */
uint64_t birthday_end(const struct birthday *b);

#endif
