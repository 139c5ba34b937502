/* SPDX-License-Identifier: MIT */
/*
 * queues.c - what waits in memory for the nodes to read it, and from them to be looked at
 *
 * A node decides how much of its own answers waits, by asking and not reading; strangers decide how much of their
 * invitations does.  So the two are counted apart: an invitation is in the buffer by reference, and told off when
 * its bytes have gone.
 */
#include <errno.h>
#include <stdlib.h>
#include <event2/buffer.h>

#include "common/log.h"
#include "rendezvous/limits.h"
#include "rendezvous/queues.h"

#define SIZES 32	/* classes of lengths, by powers of 2 */

LIST_HEAD(queue_list, queue);

static struct queue_list queues = LIST_HEAD_INITIALIZER(queues);
static struct event *relief;		/* active: too much waits */
static size_t queues_most, bytes_now;
static void (*queue_drop)(struct queue *queue);

struct unasked {
	struct queue *queue;
	uint8_t *bytes;
};

static size_t queue_length(const struct queue *queue)
{
	return evbuffer_get_length(bufferevent_get_input(queue->bev)) + queue_waiting(queue);
}

static unsigned int class_of(size_t length)
{
	unsigned int class = 0;

	while (length >>= 1)
		class++;
	return class < SIZES ? class : SIZES - 1;
}

/* All of the longest class, as many classes as it takes to be below three quarters: not again in a moment */
static void on_relief(evutil_socket_t fd, short what, void *arg)
{
	static struct log_limit limit;
	size_t bytes[SIZES] = { 0 }, left = bytes_now;
	unsigned int class = SIZES, dropped = 0;
	struct queue *queue, *next;

	(void)fd;
	(void)what;
	(void)arg;
	if (bytes_now <= queues_most)
		return;
	LIST_FOREACH(queue, &queues, all)
		bytes[class_of(queue_length(queue))] += queue_length(queue);
	while (class > 0 && left > queues_most / 4 * 3)
		left -= bytes[--class];
	for (queue = LIST_FIRST(&queues); queue; queue = next) {
		next = LIST_NEXT(queue, all);
		if (class_of(queue_length(queue)) < class || bytes_now <= queues_most / 4 * 3)
			continue;
		dropped++;
		queue_drop(queue);
	}
	if (log_limited(&limit))
		log_warn("%u connections ended: all together had more than %zu KiB waiting, they the most",
			 dropped, queues_most / 1024);
}

int queues_open(struct event_base *base, size_t most, void (*drop)(struct queue *queue))
{
	queues_most = most;
	queue_drop = drop;
	relief = evtimer_new(base, on_relief, NULL);
	return relief ? 0 : -ENOMEM;
}

void queues_close(void)
{
	if (relief)
		event_free(relief);
	relief = NULL;
}

size_t queues_bytes(void)
{
	return bytes_now;
}

static void on_change(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	(void)buffer;
	(void)arg;
	bytes_now += info->n_added;
	bytes_now -= info->n_deleted;
	if (bytes_now > queues_most)
		event_active(relief, EV_TIMEOUT, 0);
}

int queue_open(struct queue *queue, struct bufferevent *bev)
{
	queue->bev = bev;
	LIST_INSERT_HEAD(&queues, queue, all);
	queue->in = evbuffer_add_cb(bufferevent_get_input(bev), on_change, NULL);
	queue->out = evbuffer_add_cb(bufferevent_get_output(bev), on_change, NULL);
	if (queue->in && queue->out)
		return 0;
	queue_close(queue);
	return -ENOMEM;
}

/* A bufferevent does not let others take from the front of its output */
void queue_close(struct queue *queue)
{
	struct evbuffer *in, *out;

	if (!queue->bev)
		return;
	in = bufferevent_get_input(queue->bev);
	out = bufferevent_get_output(queue->bev);
	evbuffer_drain(in, evbuffer_get_length(in));
	evbuffer_unfreeze(out, 1);
	evbuffer_drain(out, evbuffer_get_length(out));
	if (queue->in)
		evbuffer_remove_cb_entry(in, queue->in);
	if (queue->out)
		evbuffer_remove_cb_entry(out, queue->out);
	LIST_REMOVE(queue, all);
	queue->bev = NULL;
}

static void on_gone(const void *data, size_t size, void *arg)
{
	struct unasked *unasked = arg;

	(void)data;
	unasked->queue->unasked -= size;
	free(unasked->bytes);
	free(unasked);
}

static bool put_unasked(struct queue *queue, uint8_t *bytes, size_t size)
{
	struct unasked *unasked = malloc(sizeof(*unasked));

	if (!unasked)
		return false;
	unasked->queue = queue;
	unasked->bytes = bytes;
	if (evbuffer_add_reference(bufferevent_get_output(queue->bev), bytes, size, on_gone, unasked)) {
		free(unasked);
		return false;
	}
	queue->unasked += size;
	return true;
}

bool queue_put(struct queue *queue, uint8_t *bytes, size_t size, bool asked)
{
	bool ok = queue_waiting(queue) + size <= RDV_QUEUE;

	if (ok && !asked)
		ok = put_unasked(queue, bytes, size);
	else if (ok)
		ok = !bufferevent_write(queue->bev, bytes, size);
	if (asked || !ok)
		free(bytes);
	return ok;
}

size_t queue_waiting(const struct queue *queue)
{
	return evbuffer_get_length(bufferevent_get_output(queue->bev));
}

bool queue_is_long(const struct queue *queue)
{
	/* The rest of an invitation that went in part is not told off yet */
	return queue_waiting(queue) >= queue->unasked + RDV_QUEUE_OWN;
}
