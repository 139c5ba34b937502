/* SPDX-License-Identifier: MIT */
/*
 * inbox.c - what other servers say, for the broker
 */
#include <string.h>

#include "common/log.h"
#include "rendezvous/forward.h"
#include "rendezvous/inbox.h"
#include "rendezvous/outbox.h"

static void on_invite(struct broker *broker, const struct store *store,
		      const Punch__ForwardInvite *invite)
{
	const struct relay_list relays = { .count = invite->n_relays, .list = invite->relays };
	struct broker_payload payload = payload_from(invite->payload);
	/* Half a round trip of either server to the store: one way from theirs to ours */
	struct broker_origin origin = {
		.server = invite->origin, .rtt_us = invite->caller_rtt_us,
		.hop_us = (uint32_t)(((uint64_t)invite->store_rtt_us + store->ops->rtt_us(store)) / 2),
	};
	struct broker_call call;

	memcpy(call.session, invite->session.data, SESSION_SIZE);
	memcpy(call.caller, invite->from.data, KEY_SIZE);
	memcpy(call.callee, invite->to.data, KEY_SIZE);
	memcpy(origin.source, invite->source.data, SOURCE_PREFIX_SIZE);
	broker_remote_invite(broker, &origin, &call, &payload, &relays, clock_now());
}

static void on_reply(struct broker *broker, const Punch__ForwardReply *reply)
{
	struct broker_payload payload = payload_from(reply->payload);
	struct broker_call call = { .session = { 0 } };

	memcpy(call.session, reply->session.data, SESSION_SIZE);
	memcpy(call.callee, reply->from.data, KEY_SIZE);
	broker_remote_reply(broker, &call, &payload, reply->callee_rtt_us, reply->start_in_us);
}

static void on_failed(struct broker *broker, const Punch__ForwardFailed *failed)
{
	const struct broker_failure failure = {
		.reason = failed->reason, .text = failed->text, .retry = failed->retry,
	};
	struct broker_call call = { .session = { 0 } };

	memcpy(call.session, failed->session.data, SESSION_SIZE);
	memcpy(call.callee, failed->from.data, KEY_SIZE);
	broker_remote_failed(broker, &call, &failure, clock_now());
}

void inbox_forward(struct broker *broker, struct store *store, const uint8_t *data, size_t size)
{
	Punch__Forward *forward = forward_open(data, size);
	static struct log_limit limit;

	if (!forward) {
		if (log_limited(&limit))
			log_warn("store: %zu bytes on our channel that are no Forward", size);
		return;
	}
	switch (forward->kind_case) {
	case PUNCH__FORWARD__KIND_INVITE:
		on_invite(broker, store, forward->invite);
		break;
	case PUNCH__FORWARD__KIND_REPLY:
		on_reply(broker, forward->reply);
		break;
	case PUNCH__FORWARD__KIND_FAILED:
		on_failed(broker, forward->failed);
		break;
	default:	/* replaced: the store's entry decides */
		store->ops->check(store, forward->replaced->key.data);
	}
	punch__forward__free_unpacked(forward, NULL);
}
