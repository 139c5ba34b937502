/* SPDX-License-Identifier: MIT */
/*
 * client_messages.c - the messages on a node's connection: each way a queue, and when the node is not listened to
 *
 * A node that does not read its answers, or whose address says more than it may, is held: nothing more is read from
 * it until that has changed, and TCP tells it so.
 */
#include <stdlib.h>
#include <string.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "common/clock.h"
#include "common/frame.h"
#include "common/log.h"
#include "rendezvous/client_internal.h"

static void client_queue(struct client *client, const Punch__Message *message, bool asked)
{
	static struct log_limit limit;
	uint8_t *frame;
	ssize_t size;

	if (client->state >= CLIENT_LEAVING || client->overflowed)
		return;
	size = frame_pack(&message->base, &frame);
	if (size < 0) {
		if (log_limited(&limit))
			log_error("%s: a message of kind %d cannot be sent: %s", client_describe(client),
				  (int)message->kind_case, strerror((int)-size));
		return;
	}
	if (!queue_put(&client->queue, frame, (size_t)size, asked)) {
		/* It does not read.  Not freed here: the broker may be in the middle of something */
		client->overflowed = true;
		client_arm(client, 0);
	}
}

void client_send(struct client *client, const Punch__Message *message)
{
	client_queue(client, message, true);
}

void client_send_unasked(struct client *client, const Punch__Message *message)
{
	client_queue(client, message, false);
}

size_t client_waiting(const struct client *client)
{
	return queue_waiting(&client->queue);
}

/* Is it to be listened to again later, when it has read its answers or its address may say
 * more? Said to libevent, too */
static bool client_hold(struct client *client)
{
	bool held = client->overflowed || client->waits || queue_is_long(&client->queue);

	if (held != client->held && held)
		bufferevent_disable(client->bev, EV_READ);
	else if (held != client->held)
		bufferevent_enable(client->bev, EV_READ);
	client->held = held;
	return held;
}

/* The owner lets a whole message in, now or later */
static bool client_may(struct client *client)
{
	if (client->state != CLIENT_ACTIVE || client->ops->may(client))
		return true;
	client->waits = true;
	client_arm(client, RDV_MESSAGE_WAIT);
	return false;
}

/* One whole frame from the queue. Return: false when there is none, or the client waits or leaves */
static bool client_next(struct client *client)
{
	static const struct rate rate = RDV_MESSAGE_RATE;
	struct evbuffer *input = bufferevent_get_input(client->bev);
	uint8_t *frame = evbuffer_pullup(input, FRAME_HEADER);
	Punch__Message *message;
	ssize_t size;

	size = frame ? frame_size(frame, FRAME_HEADER) : 0;
	if (size < 0) {
		client_stats.malformed++;
		client_fail(client, PUNCH__FAIL_REASON__FAIL_MALFORMED,
			    "a frame of %u bytes: want 1 to %u",
			    (unsigned int)frame[0] << 24 | (unsigned int)frame[1] << 16 |
			    (unsigned int)frame[2] << 8 | frame[3], LIMIT_FRAME);
		return false;
	}
	if (!size || evbuffer_get_length(input) < (size_t)size || !client_may(client))
		return false;
	client->heard = clock_now();
	if (!bucket_take(&client->messages, &rate, client->heard)) {
		client_stats.flooded++;
		client_fail(client, PUNCH__FAIL_REASON__FAIL_LIMIT, "more than %u messages a second",
			    rate.per_second);
		return false;
	}
	frame = evbuffer_pullup(input, size);
	message = frame ? (Punch__Message *)frame_unpack(&punch__message__descriptor, frame, (size_t)size) :
		  NULL;
	evbuffer_drain(input, (size_t)size);
	if (message) {
		client->ops->message(client, message);
		punch__message__free_unpacked(message, NULL);
	} else {
		client_stats.malformed++;
		client_fail(client, PUNCH__FAIL_REASON__FAIL_MALFORMED,
			    "a frame that is no punch message, or one with too much in it");
	}
	return client->state < CLIENT_LEAVING;
}

void client_go_on(struct client *client)
{
	while (client->state < CLIENT_LEAVING && !client_hold(client) && client_next(client))
		;
	if (client->state < CLIENT_LEAVING)
		client_hold(client);
}
