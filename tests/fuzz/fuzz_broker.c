/* SPDX-License-Identifier: MIT */
/*
 * fuzz_broker.c - what nodes and other servers do to a rendezvous, in any order and at any time
 *
 * Each input is a sequence of steps of four bytes: what, who, which, how long after.  Eight connections, eight keys, 256
 * sessions.  Promises: everything sent concerns a connection that is there, nothing is left after the last one went and the
 * time is over, the figures agree, and nobody hears of a session that is not his.
 */
#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "rendezvous/broker.h"
#include "tests/fuzz/fuzz.h"

#define PEERS	8
#define MOST	120	/* nodes: 7 of one address, at most */
#define STEP	4	/* bytes */
#define START	(1000 * SECOND)

static struct peer {
	struct broker_node *node;
	bool here;	/* joined and neither gone nor dropped */
	uint8_t key;
} peers[PEERS];

static int store_says, forwarding;

static struct peer *here(void *peer)
{
	struct peer *p = peer;

	MUST(p >= peers && p < peers + PEERS && p->here);
	return p;
}

static uint32_t op_rtt(void *peer)
{
	return (uint32_t)((struct peer *)peer - peers) * 50000;
}

static const char *op_describe(void *peer)
{
	(void)peer;
	return "somebody";
}

static void op_invited(void *peer, const struct broker_call *call, const struct broker_payload *payload,
		       const void *relays, uint32_t caller_rtt_us, uint32_t own_rtt_us)
{
	(void)payload;
	(void)relays;
	(void)caller_rtt_us;
	(void)own_rtt_us;
	MUST(here(peer)->key == call->callee[0]);
}

static void op_answered(void *peer, const struct broker_call *call, const struct broker_payload *payload,
			uint32_t callee_rtt_us, uint32_t own_rtt_us)
{
	(void)callee_rtt_us;
	(void)own_rtt_us;
	MUST(here(peer)->key == call->caller[0] && payload->body_size > 0);
}

static void op_go(void *peer, const struct broker_call *call, uint32_t start_in_us)
{
	struct peer *p = here(peer);

	MUST((p->key == call->caller[0] || p->key == call->callee[0]) && start_in_us <= 2 * RDV_GO_MAX_US);
}

static void op_failed(void *peer, const uint8_t *session, const struct broker_failure *failure)
{
	(void)session;
	MUST(peer >= (void *)peers && peer < (void *)(peers + PEERS) && failure->text && failure->reason);
}

static size_t op_waiting(void *peer)
{
	return (size_t)((struct peer *)peer - peers) * RDV_RING_QUEUE / 2;
}

static void op_drop(void *peer)
{
	here(peer)->here = false;
}

static int op_find(void *ctx, const struct broker_call *call)
{
	(void)ctx;
	(void)call;
	return store_says;
}

static void op_key(void *ctx, const uint8_t key[KEY_SIZE])
{
	(void)ctx;
	(void)key;
}

static int op_forward_invite(void *ctx, const char *server, const struct broker_call *call,
			     const struct broker_payload *payload, void *peer,
			     const struct broker_origin *origin)
{
	(void)ctx;
	(void)payload;
	(void)origin;
	MUST(server && here(peer)->key == call->caller[0]);
	return forwarding;
}

static int op_forward_reply(void *ctx, const char *server, const struct broker_call *call,
			    const struct broker_payload *payload, uint32_t callee_rtt_us, uint32_t start_in_us)
{
	(void)ctx;
	(void)call;
	(void)payload;
	(void)callee_rtt_us;
	(void)start_in_us;
	MUST(server);
	return forwarding;
}

static int op_forward_failed(void *ctx, const char *server, const struct broker_call *call,
			     const struct broker_failure *failure)
{
	(void)ctx;
	(void)call;
	MUST(server && failure->text);
	return forwarding;
}

static const struct broker_ops ops = {
	op_rtt, op_describe, op_invited, op_answered, op_go, op_failed, op_waiting, op_drop, op_find,
	op_key, op_key, op_forward_invite, op_forward_reply, op_forward_failed,
};

static void join(struct broker *broker, struct peer *peer, uint8_t key, uint64_t now)
{
	const struct endpoint from = { .family = AF_INET, .address = { (uint8_t)(key & 32) } };
	uint8_t id[KEY_SIZE];

	if (peer->here) {
		broker_leave(broker, peer->node, now);
		peer->here = false;
		return;
	}
	memset(id, key % 8, sizeof(id));
	peer->key = key % 8;
	peer->here = true;
	if (broker_join(broker, peer, id, &from, key & 16, now, &peer->node) < 0)
		peer->here = false;
}

/* One step of the input */
static void step(struct broker *broker, const uint8_t *b, uint64_t now)
{
	static const uint8_t body[] = "body", signature[64];
	struct broker_payload payload = { body, signature, b[0] & 64 ? 0 : 4, b[0] & 64 ? 0 : sizeof(signature) };
	struct broker_failure failure = { PUNCH__FAIL_REASON__FAIL_OFFLINE, "away", b[0] & 128 };
	struct broker_origin origin = { .server = "fedcba9876543210" };
	struct peer *peer = &peers[b[1] % PEERS];
	struct broker_call call;

	memset(call.session, b[2], sizeof(call.session));
	memset(call.caller, b[1] >> 3 & 7, sizeof(call.caller));
	memset(call.callee, b[1] % 8, sizeof(call.callee));
	switch (b[0] & 15) {
	case 0: case 1:
		join(broker, peer, b[2], now);
		break;
	case 2:
		if (peer->here)
			broker_receive(broker, peer->node, b[2] & 1, now);
		break;
	case 3: case 4: case 5:
		if (peer->here && payload.body_size)
			broker_invite(broker, peer->node, call.session, call.caller, &payload, now);
		break;
	case 6: case 7:
		if (peer->here)
			broker_reply(broker, peer->node, call.session, &payload, now);
		break;
	case 8:
		broker_found(broker, &call, b[0] & 32 ? "0123456789abcdef" : NULL, b[0] & 16 ? -EIO : 0, now);
		break;
	case 9:
		broker_undelivered(broker, &call);
		break;
	case 10:
		origin.source[1] = b[3];
		origin.rtt_us = b[3] * 1000u;
		origin.hop_us = b[3] * 77u;
		broker_remote_invite(broker, &origin, &call, &payload, NULL, now);
		break;
	case 11:
		if (payload.body_size)
			broker_remote_reply(broker, &call, &payload, b[3] * 1000u, b[3] * 1000u);
		break;
	case 12:
		broker_remote_failed(broker, &call, &failure, now);
		break;
	case 13:
		broker_lost(broker, call.callee, "0123456789abcdef", now);
		break;
	case 14:
		store_says = (b[2] & 3) == 3 ? -EIO : b[2] & 1;
		forwarding = b[2] & 4 ? -EIO : 0;
		if (b[2] & 8)
			broker_store_up(broker, now);
		break;
	default:
		broker_run(broker, now);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct broker *broker = broker_new(&ops, NULL, MOST, START);
	const struct broker_stats *stats = broker_stats(broker);
	unsigned int count = 0, i;
	uint64_t now = START, next;

	MUST(broker);
	memset(peers, 0, sizeof(peers));
	store_says = forwarding = 0;
	for (; size >= STEP; data += STEP, size -= STEP) {
		now += data[3] * 100 * MS * (data[3] & 128 ? 10 : 1);
		next = broker_run(broker, now);
		MUST(next > now);	/* all that was due is done */
		step(broker, data, now);
	}
	for (i = 0; i < PEERS; i++)
		count += peers[i].here;
	MUST(stats->nodes == count && stats->receivers <= stats->nodes);
	for (i = 0; i < PEERS; i++) {
		if (peers[i].here)
			broker_leave(broker, peers[i].node, now);
		peers[i].here = false;
	}
	MUST(stats->nodes == 0 && stats->receivers == 0);
	broker_run(broker, now + 3600 * SECOND);
	MUST(stats->sessions == 0);
	broker_free(broker);
	return 0;
}
