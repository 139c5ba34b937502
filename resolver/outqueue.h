/* SPDX-License-Identifier: MIT */
/*
 * outqueue.h - has the far end of a socket everything that was written to it?
 *
 * For those who copy between two sockets (splice.c, pump_flow.c): a reset must not overtake what was written before it,
 * for it throws away what is still in our kernel.  Nothing tells when that is empty, so it is looked at now and then.
 */
#ifndef PUNCH_OUTQUEUE_H
#define PUNCH_OUTQUEUE_H

#include <stdbool.h>

#include "common/clock.h"

#define OUTQUEUE_TICK	(100 * MS)	/* between two looks */
/* Ticks without progress: about as long as Linux keeps a closed socket whose far end takes nothing */
#define OUTQUEUE_PATIENCE	600

/**
 * struct outqueue - of one socket; all zero to begin with
 * @queued:	bytes that were not acknowledged at the last look
 * @still:	ticks for which they have been as many
 */
struct outqueue {
	int queued;
	unsigned int still;
};

/**
 * outqueue_look() - look at a socket to which nothing is written any more
 * @tick:	OUTQUEUE_TICK is over since the last one
 * Return: 1 all is acknowledged; 0 not yet; -ETIMEDOUT after OUTQUEUE_PATIENCE, or -errno: the socket has broken
 */
int outqueue_look(struct outqueue *queue, int fd, bool tick);

/** outqueue_discard() - read what nobody wants any more: where something is unread close() resets */
void outqueue_discard(int fd);

/** outqueue_error() - what a socket that is not read has to say. Return: 0 or -errno, once */
int outqueue_error(int fd);

#endif
