/* SPDX-License-Identifier: MIT */
/*
 * client_internal.h - what client.c (the connection) and client_messages.c (what is said on it) share; for nobody else
 */
#ifndef RENDEZVOUS_CLIENT_INTERNAL_H
#define RENDEZVOUS_CLIENT_INTERNAL_H

#include <sys/queue.h>
#include <event2/bufferevent.h>

#include "common/bucket.h"
#include "common/places.h"
#include "rendezvous/client.h"
#include "rendezvous/queues.h"

enum client_state {
	CLIENT_HANDSHAKE,	/* TLS; RDV_HELLO_TIME from accept */
	CLIENT_HELLO,		/* the first message is awaited; the same RDV_HELLO_TIME */
	CLIENT_ACTIVE,		/* may be silent for RDV_SILENCE_TIME */
	CLIENT_LEAVING,		/* nothing it says counts any more; RDV_LEAVE_TIME */
	CLIENT_GONE,		/* being freed */
	CLIENT_STATE_COUNT
};

struct client {
	enum client_state state;
	struct bufferevent *bev;
	SSL *ssl;			/* bev's */
	struct event *timer;
	const struct client_ops *ops;
	void *data;
	struct endpoint from;
	struct queue queue;
	struct place place;		/* among the strangers, until ACTIVE */
	uint8_t key[KEY_SIZE];
	bool has_key;
	bool hung_up;			/* LEAVING: our end is sent */
	bool overflowed;		/* ends as soon as the loop is back */
	bool waits;			/* ops->may() said no; @timer */
	bool held;			/* it is not listened to, see client_hold() */
	uint64_t heard;			/* last whole message */
	struct bucket messages;
	LIST_ENTRY(client) all;
};

/** client_arm() - the client's timer, whatever it was set to before. @us: from now */
void client_arm(struct client *client, uint64_t us);

/** client_go_on() - look at what has come, as far as that may be now; the client may leave by it, but is not freed */
void client_go_on(struct client *client);

#endif
