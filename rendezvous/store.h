/* SPDX-License-Identifier: MIT */
/*
 * store.h - what several rendezvous servers know together: which of them has a node
 *
 * A server says of each node that receives "it is here" (presence, which expires unless it
 * is said again), asks for nodes it does not have, and sends Forwards to the server
 * that has them.  Without the store a server still serves the nodes it has.
 */
#ifndef RENDEZVOUS_STORE_H
#define RENDEZVOUS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rendezvous/broker.h"

struct store;

/**
 * struct store_events - what a store tells its user; never from within a call of it
 * @up:		it answers, for the first time or again, and may have lost all
 * @found:	for find: server that has the callee, or NULL; @err: -errno when the store could not say
 * @undelivered: for forward with a call: that server does not listen any more
 * @received:	a Forward for us
 * @lost:	@server holds @key now
 */
struct store_events {
	void (*up)(void *ctx);
	void (*found)(void *ctx, const struct broker_call *call, const char *server, int err);
	void (*undelivered)(void *ctx, const struct broker_call *call);
	void (*received)(void *ctx, const uint8_t *data, size_t size);
	void (*lost)(void *ctx, const uint8_t key[KEY_SIZE], const char *server);
};

/**
 * struct store_ops
 * @find:	where is the callee? Return: 0 nobody has it, 1 events->found will come, -errno
 * @announce, @withdraw: a node that receives came, has gone
 * @check:	another server says that it has the node now: events->lost comes if that is so
 * @forward:	@call: of an invitation, for events->undelivered; NULL: nobody needs to know. Return: 0 or -errno
 * @rtt_us:	round-trip time to the store
 * @is_up:	does it answer?
 */
struct store_ops {
	int (*find)(struct store *store, const struct broker_call *call);
	void (*announce)(struct store *store, const uint8_t key[KEY_SIZE]);
	void (*withdraw)(struct store *store, const uint8_t key[KEY_SIZE]);
	void (*check)(struct store *store, const uint8_t key[KEY_SIZE]);
	int (*forward)(struct store *store, const char *server, const uint8_t *data, size_t size,
		       const struct broker_call *call);
	uint32_t (*rtt_us)(const struct store *store);
	bool (*is_up)(const struct store *store);
	void (*close)(struct store *store);
};

struct store {
	const struct store_ops *ops;
};

/** store_memory_open() - of one server alone */
struct store *store_memory_open(void);

struct event_base;

/**
 * store_redis_open() - of all servers with the same database
 * @url:	redis://HOST[:PORT][/DATABASE]
 * @self:	this server's name, RDV_SERVER_ID
 * @why:	one line for people on failure
 * Return: the store, which connects and reconnects by itself, or NULL
 */
struct store *store_redis_open(struct event_base *base, const char *url, const char *self,
			       const struct store_events *events, void *ctx, char *why, size_t size);

#endif
