/* SPDX-License-Identifier: MIT */
/*
 * redis_link.c - two connections to Redis that come back by themselves
 *
 * Two, because one that has subscribed takes no other commands.  A PING every RDV_STORE_BEAT measures the round-trip
 * time and finds a dead Redis, TCP's keepalive a subscription that has died alone; then both connections end and are
 * tried again with growing waits.
 *
 *	DOWN --wait over--> LOCATING --address--> CONNECTING --both connected, subscribed--> UP
 *	any --error, silence--> DOWN
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <hiredis/hiredis.h>
#include <hiredis/adapters/libevent.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/printable.h"
#include "rendezvous/limits.h"
#include "rendezvous/redis_link.h"

#define CHANNEL 64	/* bytes of a channel's name */
#define REFUSAL 160	/* bytes of an error */

enum link_state {
	LINK_DOWN,		/* waits for @timer to try again */
	LINK_LOCATING,		/* the host's address is looked up; until RDV_STORE_SILENCE */
	LINK_CONNECTING,	/* both connections are being made; until RDV_STORE_SILENCE */
	LINK_UP,		/* subscribed; a beat every RDV_STORE_BEAT */
	LINK_STATE_COUNT
};

static const char *const link_state_names[] = { "down", "locating", "connecting", "up" };
static_assert(sizeof(link_state_names) / sizeof(link_state_names[0]) == LINK_STATE_COUNT,
	      "one name a state");

struct redis_link {
	enum link_state state;
	struct event_base *base;
	struct event *timer;
	struct locator *locator;
	struct store_address store;
	char channel[CHANNEL];
	const struct redis_link_ops *ops;
	void *ctx;
	redisAsyncContext *commands, *subscription;	/* NULL: none */
	uint64_t back;			/* next wait before trying again */
	uint64_t pinged, heard;		/* last PING, last PONG */
	uint32_t rtt_us;
	char refusal[REFUSAL];		/* the answer to the last PING where that was an error */
	bool is_told;			/* that it is down; until the next PONG */
};

static void link_set_state(struct redis_link *link, enum link_state state)
{
	/* One step up, or all the way down */
	assert(state == LINK_DOWN || state == link->state + 1);
	log_debug("store: %s -> %s", link_state_names[link->state], link_state_names[state]);
	link->state = state;
}

static void link_arm(struct redis_link *link, uint64_t us)
{
	const struct timeval in = { .tv_sec = (time_t)(us / SECOND), .tv_usec = (suseconds_t)(us % SECOND) };

	evtimer_add(link->timer, &in);
}

static void context_free(redisAsyncContext **slot)
{
	redisAsyncContext *ac = *slot;

	*slot = NULL;
	if (!ac)
		return;
	ac->data = NULL;	/* on_end() is not meant any more */
	redisAsyncFree(ac);	/* inside its own callback this waits until that returns */
}

static void link_down(struct redis_link *link, const char *why)
{
	if (link->state == LINK_DOWN)
		return;
	if (!link->is_told)
		log_warn("store: redis at %s:%u: %s; nodes of this server still reach each other",
			 link->store.host, link->store.port, why);
	link->is_told = true;
	link_set_state(link, LINK_DOWN);
	context_free(&link->commands);
	context_free(&link->subscription);
	link->rtt_us = 0;
	link_arm(link, link->back);
	link->back = link->back * 2 > RDV_STORE_BACK_MAX ? RDV_STORE_BACK_MAX : link->back * 2;
}

static void on_pong(redisAsyncContext *ac, void *arg, void *data)
{
	struct redis_link *link = data;
	const redisReply *reply = arg;

	if (!reply || !ac->data)
		return;
	if (reply->type == REDIS_REPLY_ERROR) {		/* its disk is full, for one */
		snprintf(link->refusal, sizeof(link->refusal), "%s", reply->str);
		printable(link->refusal, strlen(link->refusal));
		return;
	}
	link->refusal[0] = '\0';
	link->back = RDV_STORE_BACK_MIN;
	link->is_told = false;
	link->heard = clock_now();
	link->rtt_us = (uint32_t)(link->heard - link->pinged);
}

static void link_beat(struct redis_link *link, uint64_t now)
{
	if (now - link->heard > RDV_STORE_SILENCE) {
		link_down(link, *link->refusal ? link->refusal : "no answer");
		return;
	}
	if (link->heard >= link->pinged) {	/* the last one was answered */
		link->pinged = now;
		redisAsyncCommand(link->commands, on_pong, link, "PING");
	}
	link_arm(link, RDV_STORE_BEAT);
	link->ops->beat(link->ctx, now);
}

static void link_up(struct redis_link *link)
{
	link_set_state(link, LINK_UP);
	log_info("store: connected to redis at %s:%u", link->store.host, link->store.port);
	link->refusal[0] = '\0';
	link->heard = link->pinged = clock_now();
	link->ops->up(link->ctx);
	link_beat(link, link->heard);
}

static void on_message(redisAsyncContext *ac, void *arg, void *data)
{
	struct redis_link *link = data;
	const redisReply *reply = arg;

	if (!reply || !ac->data)
		return;
	if (reply->type == REDIS_REPLY_ERROR) {
		link_down(link, reply->str);
		return;
	}
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
		return;
	if (link->state == LINK_CONNECTING)	/* the first one confirms the subscription */
		link_up(link);
	else if (reply->element[2]->type == REDIS_REPLY_STRING)
		link->ops->message(link->ctx, (const uint8_t *)reply->element[2]->str,
				   reply->element[2]->len);
}

static void on_select(redisAsyncContext *ac, void *arg, void *data)
{
	const redisReply *reply = arg;

	if (reply && ac->data && reply->type == REDIS_REPLY_ERROR)
		link_down(data, reply->str);
}

/* A context has ended by itself, or was not connected; hiredis frees it after this */
static void on_end(const redisAsyncContext *ac, int status)
{
	struct redis_link *link = ac->data;

	if (!link || status == REDIS_OK)
		return;
	if (link->commands == ac)
		link->commands = NULL;
	if (link->subscription == ac)
		link->subscription = NULL;
	link_down(link, ac->errstr && *ac->errstr ? ac->errstr : "connection closed");
}

static redisAsyncContext *context_new(struct redis_link *link, const char *address)
{
	redisAsyncContext *ac = redisAsyncConnect(address, link->store.port);

	/* A PING finds a dead one of the commands; of a subscription nothing is asked: the kernel finds it, in 30 s */
	if (ac && !ac->err && redisEnableKeepAlive(&ac->c) == REDIS_OK &&
	    redisLibeventAttach(ac, link->base) == REDIS_OK &&
	    redisAsyncSetConnectCallback(ac, on_end) == REDIS_OK &&
	    redisAsyncSetDisconnectCallback(ac, on_end) == REDIS_OK) {
		ac->data = link;
		return ac;
	}
	if (ac)
		redisAsyncFree(ac);
	return NULL;
}

static void on_located(void *ctx, const char *address, const char *why)
{
	struct redis_link *link = ctx;

	if (link->state != LINK_LOCATING)
		return;
	if (!address) {
		link_down(link, why);
		return;
	}
	link_set_state(link, LINK_CONNECTING);
	link_arm(link, RDV_STORE_SILENCE);
	link->commands = context_new(link, address);
	link->subscription = link->commands ? context_new(link, address) : NULL;
	if (!link->subscription ||
	    redisAsyncCommand(link->commands, on_select, link, "SELECT %d",
			      link->store.database) != REDIS_OK ||
	    redisAsyncCommand(link->subscription, on_message, link, "SUBSCRIBE %s",
			      link->channel) != REDIS_OK)
		link_down(link, "cannot connect");
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct redis_link *link = arg;

	(void)fd;
	(void)what;
	switch (link->state) {
	case LINK_DOWN:
		link_set_state(link, LINK_LOCATING);
		link_arm(link, RDV_STORE_SILENCE);
		locate(link->locator, &link->store, on_located, link);
		break;
	case LINK_UP:
		link_beat(link, clock_now());
		break;
	default:
		link_down(link, "no connection in time");
	}
}

struct redis_link *redis_link_new(struct event_base *base, const struct store_address *address,
				  const char *channel, const struct redis_link_ops *ops, void *ctx)
{
	struct redis_link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->base = base;
	link->store = *address;
	link->ops = ops;
	link->ctx = ctx;
	link->back = RDV_STORE_BACK_MIN;
	strncpy(link->channel, channel, sizeof(link->channel) - 1);
	link->timer = evtimer_new(base, on_timer, link);
	link->locator = locator_new(base);
	if (link->timer && link->locator) {
		link_arm(link, 0);
		return link;
	}
	redis_link_free(link);
	return NULL;
}

void redis_link_free(struct redis_link *link)
{
	if (!link)
		return;
	context_free(&link->commands);
	context_free(&link->subscription);
	locator_free(link->locator);
	if (link->timer)
		event_free(link->timer);
	free(link);
}

redisAsyncContext *redis_link_commands(struct redis_link *link)
{
	return link->state == LINK_UP ? link->commands : NULL;
}

bool redis_link_is_up(const struct redis_link *link)
{
	return link->state == LINK_UP;
}

uint32_t redis_link_rtt_us(const struct redis_link *link)
{
	return link->rtt_us;
}
