/* SPDX-License-Identifier: MIT */
/*
 * study.h - what do the NATs above let in, and how do they answer what they do not?
 */
#ifndef PUNCH_STUDY_H
#define PUNCH_STUDY_H

#include <event2/event.h>

#include "common/endpoint.h"
#include "common/stun.h"

/**
 * struct study_result - what was seen; enum stun_outcome, NONE: not tried
 * @port:	a SYN from another port of the server that we talk to
 * @address:	from another address
 * @held:	from another port, after a SYN of ours had left for there
 * @hairpin:	a SYN of ours to our own mapped address
 * @mapped:	where the probe port saw us, family 0: not told
 * @elsewhere:	where another server saw the same port of ours
 */
struct study_result {
	int port, address, held, hairpin;
	struct endpoint mapped, elsewhere;
};

/** study_by_address() - pure. Do the two servers disagree about our port? */
bool study_by_address(const struct study_result *result);

/** study_filtering() - pure. Return: Punch__Filtering */
uint32_t study_filtering(const struct study_result *result);

/** study_fresh() - pure. Does what a study found out at the time @at still decide at @now? @at 0: it never did */
bool study_fresh(uint64_t at, uint64_t now);

/** study_stray() - pure. Return: Punch__StraySyn */
uint32_t study_stray(const struct study_result *result);

struct study;
struct budget;

/** study_done - called once, never from inside study_start(), not after study_cancel(); the study is freed then */
typedef void study_done(void *arg, const struct study_result *result);

/**
 * study_start() - ask a probe port to connect back
 * @target:	the probe port
 * @other:	a STUN server elsewhere, which is asked for @elsewhere; NULL: none
 * @budget:	of the SYN to where the probe port says that we are; those to @target are the caller's matter
 * @hops:	called for the number of hops to the outermost NAT when that is needed; 0: not known
 * Takes at most 10.5 s: the server has 8 s, a hairpin begun at their end 1.5 s, @other 1 s more.
 * Return: NULL when out of memory or sockets
 */
struct study *study_start(struct event_base *base, const struct endpoint *target, const struct endpoint *other,
			  struct budget *budget, unsigned int (*hops)(void *arg), study_done *done, void *arg);
void study_cancel(struct study *study);

#endif
