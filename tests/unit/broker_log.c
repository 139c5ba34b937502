/* SPDX-License-Identifier: MIT */
/*
 * broker_log.c - a broker whose wishes are lines of text
 */
#include <stdio.h>
#include <string.h>

#include "tests/unit/broker_log.h"

struct broker *broker;
static char said[65536];
int find_answer, forward_answer;
const struct endpoint somewhere = { .family = AF_INET, .address = { 192, 0, 2, 1 } };
struct peer alice = { "alice", 20000, 0, NULL }, bob = { "bob", 60000, 0, NULL },
		   carol = { "carol", 0, 0, NULL }, bob2 = { "bob2", 10000, 0, NULL };

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	size_t have = strlen(said);
	va_list args;

	va_start(args, format);
	vsnprintf(said + have, sizeof(said) - have, format, args);
	va_end(args);
}

/* What was said since the last look */
const char *heard(void)
{
	static char last[sizeof(said)];

	strcpy(last, said);
	said[0] = '\0';
	return last;
}

static uint32_t op_rtt(void *peer)
{
	return ((struct peer *)peer)->rtt_us;
}

static const char *op_describe(void *peer)
{
	return ((struct peer *)peer)->name;
}

static void op_invited(void *peer, const struct broker_call *call,
		       const struct broker_payload *payload, const void *relays,
		       uint32_t caller_rtt_us, uint32_t own_rtt_us)
{
	say("%s<invited %c from %c '%.*s' %u %u%s\n", op_describe(peer), call->session[0],
	    call->caller[0], (int)payload->body_size, (const char *)payload->body, caller_rtt_us,
	    own_rtt_us, relays ? " relays" : "");
}

static void op_answered(void *peer, const struct broker_call *call,
			const struct broker_payload *payload, uint32_t callee_rtt_us,
			uint32_t own_rtt_us)
{
	say("%s<answered %c '%.*s' %u %u\n", op_describe(peer), call->session[0],
	    (int)payload->body_size, (const char *)payload->body, callee_rtt_us, own_rtt_us);
}

static void op_go(void *peer, const struct broker_call *call, uint32_t start_in_us)
{
	say("%s<go %c %u\n", op_describe(peer), call->session[0], start_in_us);
}

static void op_failed(void *peer, const uint8_t *session, const struct broker_failure *failure)
{
	say("%s<failed %c %d%s\n", op_describe(peer), session ? session[0] : '-',
	    (int)failure->reason, failure->retry ? " retry" : "");
}

static size_t op_waiting(void *peer)
{
	return ((struct peer *)peer)->waiting;
}

static void op_drop(void *peer)
{
	((struct peer *)peer)->node = NULL;
	say("%s<drop\n", op_describe(peer));
}

static int op_find(void *ctx, const struct broker_call *call)
{
	(void)ctx;
	if (find_answer)
		say("store<find %c\n", call->callee[0]);
	return find_answer;
}

static void op_announce(void *ctx, const uint8_t key[KEY_SIZE])
{
	(void)ctx;
	say("store<announce %c\n", key[0]);
}

static void op_withdraw(void *ctx, const uint8_t key[KEY_SIZE])
{
	(void)ctx;
	say("store<withdraw %c\n", key[0]);
}

static int op_forward_invite(void *ctx, const char *server, const struct broker_call *call,
			     const struct broker_payload *payload, void *peer,
			     const struct broker_origin *origin)
{
	(void)ctx;
	(void)peer;
	say("%s<invite %c to %c '%.*s' %u of %u.%u.%u.%u\n", server, call->session[0], call->callee[0],
	    (int)payload->body_size, (const char *)payload->body, origin->rtt_us, origin->source[1],
	    origin->source[2], origin->source[3], origin->source[4]);
	return forward_answer;
}

static int op_forward_reply(void *ctx, const char *server, const struct broker_call *call,
			    const struct broker_payload *payload, uint32_t callee_rtt_us,
			    uint32_t start_in_us)
{
	(void)ctx;
	say("%s<reply %c '%.*s' %u %u\n", server, call->session[0], (int)payload->body_size,
	    (const char *)payload->body, callee_rtt_us, start_in_us);
	return forward_answer;
}

static int op_forward_failed(void *ctx, const char *server, const struct broker_call *call,
			     const struct broker_failure *failure)
{
	(void)ctx;
	say("%s<failed %c %d%s\n", server, call->session[0], (int)failure->reason,
	    failure->retry ? " retry" : "");
	return 0;
}

static const struct broker_ops ops = {
	op_rtt, op_describe, op_invited, op_answered, op_go, op_failed, op_waiting, op_drop, op_find,
	op_announce, op_withdraw, op_forward_invite, op_forward_reply, op_forward_failed,
};

/* ---------------------------------------------------------------- shorthands */

const uint8_t *key_of(char name)
{
	static uint8_t keys[4][KEY_SIZE];
	static int next;

	next = (next + 1) % 4;
	memset(keys[next], name, KEY_SIZE);
	return keys[next];
}

struct broker_payload text(const char *body)
{
	return (struct broker_payload){
		.body = (const uint8_t *)body, .body_size = strlen(body),
		.signature = (const uint8_t *)"", .signature_size = 0,
	};
}

struct broker_call make_call(char session, char caller, char callee)
{
	struct broker_call call;

	memset(call.session, session, SESSION_SIZE);
	memset(call.caller, caller, KEY_SIZE);
	memset(call.callee, callee, KEY_SIZE);
	return call;
}

void join(struct peer *peer, char key, bool receive, uint64_t now)
{
	assert_int_equal(broker_join(broker, peer, key_of(key), &somewhere, receive, now, &peer->node), 0);
}

void invite(struct peer *peer, char session, char to, uint64_t now)
{
	struct broker_payload payload = text("invitation");
	uint8_t id[SESSION_SIZE];

	memset(id, session, sizeof(id));
	broker_invite(broker, peer->node, id, key_of(to), &payload, now);
}

void reply(struct peer *peer, char session, const char *body, uint64_t now)
{
	struct broker_payload payload = text(body);
	uint8_t id[SESSION_SIZE];

	memset(id, session, sizeof(id));
	broker_reply(broker, peer->node, id, &payload, now);
}

int broker_setup(void **state)
{
	(void)state;
	broker = broker_new(&ops, NULL, RDV_NODES, START);
	said[0] = '\0';
	find_answer = forward_answer = 0;
	alice.rtt_us = 20000;
	bob.rtt_us = 60000;
	bob.waiting = 0;
	return broker ? 0 : -1;
}

int broker_teardown(void **state)
{
	(void)state;
	broker_free(broker);
	alice.node = bob.node = bob2.node = carol.node = NULL;
	return 0;
}
