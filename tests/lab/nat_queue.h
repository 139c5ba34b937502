/* SPDX-License-Identifier: MIT */
/* Packets under way: a heap by the time at which they arrive, in order of entry among equals. */
#ifndef LAB_NAT_QUEUE_H
#define LAB_NAT_QUEUE_H

#include "nat_core.h"

struct nat_queue;

/* A packet under way. */
struct nat_queued {
	uint64_t when, order;
	enum nat_side to; /* the side that it leaves at */
	struct nat_pkt pkt;
	uint8_t bytes[];
};

/**
 * nat_queue_new() - Make an empty queue
 *
 * Return: the queue, or NULL without memory.
 */
struct nat_queue *nat_queue_new(void);

void nat_queue_free(struct nat_queue *q);

/**
 * nat_queue_push() - Put a copy of a packet on its way
 * @q:		queue
 * @when:	time of arrival in microseconds
 * @to:		side that it leaves at
 * @p:		packet
 *
 * Return: 0; -ENOBUFS if too many bytes are under way; -ENOMEM.
 */
int nat_queue_push(struct nat_queue *q, uint64_t when, enum nat_side to, const struct nat_pkt *p);

/**
 * nat_queue_next() - When the first packet arrives
 * @q:	queue
 *
 * Return: time in microseconds, NAT_NEVER if there is none.
 */
uint64_t nat_queue_next(const struct nat_queue *q);

/**
 * nat_queue_pop() - Take the first packet, if it has arrived
 * @q:		queue
 * @now:	time in microseconds
 *
 * Return: the packet, to be given to free(), or NULL.
 */
struct nat_queued *nat_queue_pop(struct nat_queue *q, uint64_t now);

#endif
