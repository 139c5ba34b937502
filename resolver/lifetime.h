/* SPDX-License-Identifier: MIT */
/*
 * lifetime.h - how long do the NATs above remember a connection that is silent?
 */
#ifndef PUNCH_LIFETIME_H
#define PUNCH_LIFETIME_H

#include <event2/event.h>

#include "common/endpoint.h"

#define LIFETIME_FIRST	8	/* s; doubled as long as the mapping lives ... */
#define LIFETIME_LAST	512	/* ... up to here: what lives longer needs no keepalive of ours */

struct lifetime;

/**
 * lifetime_start() - measure, in some minutes
 * @target:	a probe port
 * @done:	called once, from the loop: seconds that a silent mapping was seen to live, where twice
 *		as long killed it or LIFETIME_LAST is reached; 0: cannot be known from this server
 * Return: NULL when it cannot be tried
 */
struct lifetime *lifetime_start(struct event_base *base, const struct endpoint *target,
				void (*done)(void *arg, unsigned int seconds), void *arg);
void lifetime_cancel(struct lifetime *lifetime);

#endif
