/* SPDX-License-Identifier: MIT */
/*
 * store_redis.c - the store of several servers: presence and forwarding through Redis
 *
 * Theory of operation
 * -------------------
 *
 * punch:node:KEY = server's name, expiring after RDV_PRESENCE_S; the server that has the node says it again every
 * RDV_REFRESH.  "Announce" takes the entry from whoever has it, and tells that server (ForwardReplaced): the
 * newer connection wins.  It is said until it was answered.  "Refresh" never takes it: it renews its own or an
 * absent entry, and when it finds another server's, our node is the older one (lost).  The message only makes the
 * other server refresh at once; one that missed it learns the same within RDV_REFRESH.
 *
 * Forwards are published on punch:server:NAME.  PUBLISH says how many listened; none means that the server has gone.
 *
 * While the link is down questions fail at once and nodes here still reach each other; what was to be
 * announced is announced when it is up again.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include "common/clock.h"
#include "common/key.h"
#include "common/log.h"
#include "common/printable.h"
#include "rendezvous/forward.h"
#include "rendezvous/presence.h"
#include "rendezvous/redis_link.h"
#include "rendezvous/store.h"

#define NODE	"punch:node:"
#define SERVER	"punch:server:"

static const char script_announce[] =
	"local o=redis.call('get',KEYS[1]) "
	"redis.call('set',KEYS[1],ARGV[1],'EX',ARGV[2]) return o";
static const char script_refresh[] =
	"local o=redis.call('get',KEYS[1]) "
	"if o and o~=ARGV[1] then return o end "
	"redis.call('set',KEYS[1],ARGV[1],'EX',ARGV[2]) return false";
static const char script_withdraw[] =
	"if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) end return 0";

struct redis {
	struct store store;
	struct redis_link *link;
	char self[RDV_SERVER_ID];
	const struct store_events *events;
	void *ctx;
	unsigned int pending;		/* questions without an answer */
	uint64_t told;			/* when a refusal was logged last, 0 not yet */
	struct presences *presences;
};

/** struct question - what an answer is about */
struct question {
	struct redis *redis;
	struct broker_call call;
	uint8_t key[KEY_SIZE];
	uint64_t asked;			/* EVAL: when */
	bool reports;			/* PUBLISH: of an invitation */
};

/* ---------------------------------------------------------------- questions and answers */

static struct question *ask(struct redis *redis)
{
	struct question *question;

	if (!redis_link_commands(redis->link) || redis->pending >= RDV_STORE_PENDING)
		return NULL;
	question = calloc(1, sizeof(*question));
	if (!question)
		return NULL;
	question->redis = redis;
	redis->pending++;
	return question;
}

/* Each answer ends here, also the one that says that the connection was lost (reply NULL) */
static void answered(struct question *question)
{
	question->redis->pending--;
	free(question);
}

static void presence_name(char name[sizeof(NODE) + KEY_TEXT_SIZE], const uint8_t key[KEY_SIZE])
{
	memcpy(name, NODE, sizeof(NODE) - 1);
	key_text(key, name + sizeof(NODE) - 1);
}

/* An entry, or that there is none; not an error, nor the end of the connection */
static bool is_entry(const redisReply *reply)
{
	return reply && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_NIL);
}

/* A reply that is a server's name other than ours, or NULL */
static const char *other_server(const struct redis *redis, const redisReply *reply)
{
	if (!reply || reply->type != REDIS_REPLY_STRING || !forward_is_server(reply->str) ||
	    !strcmp(reply->str, redis->self))
		return NULL;
	return reply->str;
}

static void on_find(redisAsyncContext *ac, void *arg, void *data)
{
	const redisReply *reply = arg;
	struct question *question = data;
	struct redis *redis = question->redis;
	struct broker_call call = question->call;
	const char *server = other_server(redis, reply);

	(void)ac;
	answered(question);
	redis->events->found(redis->ctx, &call, server, is_entry(reply) ? 0 : -EIO);
}

static void on_publish(redisAsyncContext *ac, void *arg, void *data)
{
	const redisReply *reply = arg;
	struct question *question = data;
	struct redis *redis = question->redis;
	struct broker_call call = question->call;
	bool reports = question->reports;

	(void)ac;
	answered(question);
	if (reports && (!reply || reply->type != REDIS_REPLY_INTEGER || !reply->integer))
		redis->events->undelivered(redis->ctx, &call);
}

static int redis_find(struct store *store, const struct broker_call *call)
{
	struct redis *redis = (struct redis *)store;	/* its first member */
	struct question *question = ask(redis);
	char name[sizeof(NODE) + KEY_TEXT_SIZE];

	if (!question)
		return -ENOTCONN;
	question->call = *call;
	presence_name(name, call->callee);
	if (redisAsyncCommand(redis_link_commands(redis->link), on_find, question, "GET %s",
			      name) == REDIS_OK)
		return 1;
	answered(question);
	return -EIO;
}

static int redis_forward(struct store *store, const char *server, const uint8_t *data, size_t size,
			 const struct broker_call *call)
{
	struct redis *redis = (struct redis *)store;
	struct question *question = ask(redis);

	if (!question)
		return -ENOTCONN;
	question->reports = call != NULL;
	if (call)
		question->call = *call;
	if (redisAsyncCommand(redis_link_commands(redis->link), on_publish, question,
			      "PUBLISH " SERVER "%s %b", server, data, size) == REDIS_OK)
		return 0;
	answered(question);
	return -EIO;
}

/* ---------------------------------------------------------------- presence */

/* Redis answers, but does not do it: out of memory, a replica, scripts forbidden. It is asked so for each node */
static void tell_refusal(struct redis *redis, const redisReply *reply)
{
	uint64_t now = clock_now();
	char text[160];

	if (!reply || reply->type != REDIS_REPLY_ERROR || (redis->told && now - redis->told < RDV_REFRESH))
		return;
	redis->told = now;
	snprintf(text, sizeof(text), "%s", reply->str);
	printable(text, strlen(text));
	log_warn("store: redis refuses: %s; other servers do not learn which nodes are here", text);
}

static void on_announce(redisAsyncContext *ac, void *arg, void *data)
{
	struct question *question = data;
	struct redis *redis = question->redis;
	struct presence *presence = presence_find(redis->presences, question->key);
	const char *older = other_server(redis, arg);
	uint8_t *frame;
	ssize_t size;

	(void)ac;
	tell_refusal(redis, arg);
	/* Not by the answer to what was said of an older connection */
	if (is_entry(arg) && presence && presence->said == question->asked)
		presence->announced = true;
	size = older ? forward_replaced(question->key, redis->self, &frame) : -1;
	if (size > 0) {
		redis_forward(&redis->store, older, frame, (size_t)size, NULL);
		free(frame);
	}
	answered(question);
}

static void on_refresh(redisAsyncContext *ac, void *arg, void *data)
{
	struct question *question = data;
	struct redis *redis = question->redis;
	const char *newer = other_server(redis, arg);
	struct presence *presence = presence_find(redis->presences, question->key);

	(void)ac;
	tell_refusal(redis, arg);
	if (newer && presence && presence->announced) {
		presence_remove(redis->presences, presence);
		redis->events->lost(redis->ctx, question->key, newer);
	}
	answered(question);
}

static void on_withdraw(redisAsyncContext *ac, void *arg, void *data)
{
	struct question *question = data;

	(void)ac;
	tell_refusal(question->redis, arg);
	answered(question);
}

static int run_script(struct redis *redis, const char *script, redisCallbackFn *fn,
		      const uint8_t key[KEY_SIZE], uint64_t now)
{
	struct question *question = ask(redis);
	char name[sizeof(NODE) + KEY_TEXT_SIZE];

	if (!question)
		return -ENOTCONN;
	memcpy(question->key, key, KEY_SIZE);
	question->asked = now;
	presence_name(name, key);
	if (redisAsyncCommand(redis_link_commands(redis->link), fn, question, "EVAL %s 1 %s %s %d",
			      script, name, redis->self, RDV_PRESENCE_S) == REDIS_OK)
		return 0;
	answered(question);
	return -EIO;
}

/* Return: false when the store takes no more now */
static bool presence_say(struct redis *redis, struct presence *presence)
{
	uint64_t now = clock_now();

	if (run_script(redis, presence->announced ? script_refresh : script_announce,
		       presence->announced ? on_refresh : on_announce, presence->key, now))
		return false;
	presence_said(redis->presences, presence, now);
	return true;
}

static void redis_announce(struct store *store, const uint8_t key[KEY_SIZE])
{
	struct redis *redis = (struct redis *)store;
	struct presence *presence = presence_add(redis->presences, key);

	if (presence)
		presence_say(redis, presence);
}

static void redis_withdraw(struct store *store, const uint8_t key[KEY_SIZE])
{
	struct redis *redis = (struct redis *)store;
	struct presence *presence = presence_find(redis->presences, key);

	if (presence)
		presence_remove(redis->presences, presence);
	run_script(redis, script_withdraw, on_withdraw, key, clock_now());
}

/* The message may be older than our latest announcement, so the entry decides */
static void redis_check(struct store *store, const uint8_t key[KEY_SIZE])
{
	struct redis *redis = (struct redis *)store;

	run_script(redis, script_refresh, on_refresh, key, clock_now());
}

/* ---------------------------------------------------------------- the link */

static void on_up(void *ctx)
{
	struct redis *redis = ctx;

	/* It may be an empty Redis that has just been started */
	presences_forgotten(redis->presences);
	redis->events->up(redis->ctx);
}

static_assert(RDV_STORE_REFRESHES * (RDV_REFRESH / RDV_STORE_BEAT) >= RDV_NODES &&
		      RDV_STORE_REFRESHES < RDV_STORE_PENDING,
	      "all is said again in time");

static void on_beat(void *ctx, uint64_t now)
{
	struct redis *redis = ctx;
	uint64_t before = now > RDV_REFRESH ? now - RDV_REFRESH : 1;
	struct presence *presence;

	for (int i = 0; i < RDV_STORE_REFRESHES; i++) {
		presence = presence_due(redis->presences, before);
		if (!presence || !presence_say(redis, presence))
			return;
	}
}

static void on_message(void *ctx, const uint8_t *data, size_t size)
{
	struct redis *redis = ctx;

	redis->events->received(redis->ctx, data, size);
}

static uint32_t redis_rtt(const struct store *store)
{
	const struct redis *redis = (const struct redis *)store;

	return redis_link_rtt_us(redis->link);
}

static bool redis_is_up(const struct store *store)
{
	const struct redis *redis = (const struct redis *)store;

	return redis_link_is_up(redis->link);
}

static void redis_close(struct store *store)
{
	struct redis *redis = (struct redis *)store;

	redis_link_free(redis->link);
	presences_free(redis->presences);
	free(redis);
}

struct store *store_redis_open(struct event_base *base, const char *url, const char *self,
			       const struct store_events *events, void *ctx, char *why, size_t size)
{
	static const struct store_ops ops = {
		.find = redis_find, .announce = redis_announce, .withdraw = redis_withdraw,
		.check = redis_check, .forward = redis_forward, .rtt_us = redis_rtt, .is_up = redis_is_up,
		.close = redis_close,
	};
	static const struct redis_link_ops link_ops = { on_up, on_beat, on_message };
	struct redis *redis = calloc(1, sizeof(*redis));
	char channel[sizeof(SERVER) + RDV_SERVER_ID];
	struct store_address address;

	if (!redis || locate_parse(&address, url)) {
		snprintf(why, size, "store = %.*s%s: want redis://HOST:PORT/NUMBER", (int)printable_harmless(url), url,
			 printable_rest(url));
		free(redis);
		return NULL;
	}
	redis->store.ops = &ops;
	redis->events = events;
	redis->ctx = ctx;
	snprintf(redis->self, sizeof(redis->self), "%s", self);
	snprintf(channel, sizeof(channel), SERVER "%s", self);
	redis->presences = presences_new();
	redis->link = redis->presences ? redis_link_new(base, &address, channel, &link_ops, redis) : NULL;
	if (redis->link)
		return &redis->store;
	snprintf(why, size, "store = %s: out of memory, or /etc/resolv.conf cannot be read", url);
	presences_free(redis->presences);
	free(redis);
	return NULL;
}
