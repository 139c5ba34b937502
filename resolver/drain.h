/* SPDX-License-Identifier: MIT */
/*
 * drain.h - keep what a program has left until the kernel has taken all that was written to it
 */
#ifndef PUNCH_DRAIN_H
#define PUNCH_DRAIN_H

#include <stdbool.h>

#include "resolver/node.h"

#define DRAINS_MAX	256	/* sockets at once */
#define DRAIN_MOST_S	300	/* seconds: a far end that takes nothing for so long gets no more */
#define DRAIN_SETTLE_MS	50	/* five times the kernel's pause (net/tls, tx_work_handler()) */

struct drains;

/** drains_new() - Return: NULL when out of memory */
struct drains *drains_new(struct event_base *base);

/** drains_free() - end all now */
void drains_free(struct drains *drains);

/**
 * drain_take() - hold @fd until there is room in its send buffer for DRAIN_SETTLE_MS
 * @fd:		of a connection; taken over where this succeeds
 * @end:	then shutdown(SHUT_WR); in any case the descriptor is closed
 * Return: 0, -EUSERS (DRAINS_MAX), -ENOMEM, -ENOBUFS
 */
int drain_take(struct drains *drains, int fd, bool end);

unsigned int drains_count(const struct drains *drains);

#endif
