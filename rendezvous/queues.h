/* SPDX-License-Identifier: MIT */
/*
 * queues.h - what waits in memory for the nodes to read it, and from them to be looked at
 *
 * One of them is bounded by RDV_QUEUE and by a client that reads no further while its own answers wait; all of
 * them together by what queues_open() was given: above it the longest end.
 */
#ifndef RENDEZVOUS_QUEUES_H
#define RENDEZVOUS_QUEUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

/** struct queue - of one connection, embedded in it; all zero: none yet */
struct queue {
	struct bufferevent *bev;
	struct evbuffer_cb_entry *in, *out;
	size_t unasked;			/* bytes of others' messages that wait for the node */
	LIST_ENTRY(queue) all;
};

/**
 * queues_open()
 * @most:	bytes in all of them together
 * @drop:	end this connection, which frees its queue; called from the loop
 * Return: 0 or -ENOMEM
 */
int queues_open(struct event_base *base, size_t most, void (*drop)(struct queue *queue));

/** queues_close() - after the last queue */
void queues_close(void);

/** queues_bytes() - in all of them now */
size_t queues_bytes(void);

/** queue_open() - of @bev, which lives longer. Return: 0 or -ENOMEM */
int queue_open(struct queue *queue, struct bufferevent *bev);

/** queue_close() - throws away what waits. Safe when it is not open */
void queue_close(struct queue *queue);

/**
 * queue_put() - a message for the node
 * @bytes:	malloc()ed, taken in every case
 * @asked:	it answers the node
 * Return: false when RDV_QUEUE would be passed, or without memory
 */
bool queue_put(struct queue *queue, uint8_t *bytes, size_t size, bool asked);

/** queue_waiting() - bytes for the node that the kernel has not taken yet */
size_t queue_waiting(const struct queue *queue);

/** queue_is_long() - RDV_QUEUE_OWN of answers wait: the node is to read them before it is listened to again */
bool queue_is_long(const struct queue *queue);

#endif
