/* SPDX-License-Identifier: MIT */
/*
 * redis_link.h - two connections to Redis that come back by themselves
 *
 * Only store_redis.c uses it.
 */
#ifndef RENDEZVOUS_REDIS_LINK_H
#define RENDEZVOUS_REDIS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <event2/event.h>
#include <hiredis/async.h>

#include "rendezvous/locate.h"

/**
 * struct redis_link_ops
 * @up:		commands are taken from now on, messages come
 * @beat:	every RDV_STORE_BEAT while it is up
 * @message:	published on our channel
 */
struct redis_link_ops {
	void (*up)(void *ctx);
	void (*beat)(void *ctx, uint64_t now);
	void (*message)(void *ctx, const uint8_t *data, size_t size);
};

struct redis_link;

/**
 * redis_link_new() - starts to connect
 * @channel:	to subscribe to, copied
 * Return: redis_link_free(), or NULL without memory or /etc/resolv.conf
 */
struct redis_link *redis_link_new(struct event_base *base, const struct store_address *address,
				  const char *channel, const struct redis_link_ops *ops, void *ctx);

/** redis_link_free() - every command still open gets its answer: NULL */
void redis_link_free(struct redis_link *link);

/** redis_link_commands() - context for redisAsyncCommand(), or NULL while the link is down */
redisAsyncContext *redis_link_commands(struct redis_link *link);

bool redis_link_is_up(const struct redis_link *link);

/** redis_link_rtt_us() - of the last PING, 0 while the link is down */
uint32_t redis_link_rtt_us(const struct redis_link *link);

#endif
