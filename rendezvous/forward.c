/* SPDX-License-Identifier: MIT */
/*
 * forward.c - what servers of one store say to each other, as bytes
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/convert.h"
#include "rendezvous/forward.h"

struct broker_payload payload_from(const Punch__Signed *message)
{
	struct broker_payload payload = { 0 };

	if (message) {
		payload.body = message->body.data;
		payload.body_size = message->body.len;
		payload.signature = message->signature.data;
		payload.signature_size = message->signature.len;
	}
	return payload;
}

Punch__Signed payload_to(const struct broker_payload *payload)
{
	Punch__Signed message = PUNCH__SIGNED__INIT;

	message.body = convert_bytes(payload->body, payload->body_size);
	message.signature = convert_bytes(payload->signature, payload->signature_size);
	return message;
}

bool payload_is_sound(const Punch__Signed *message)
{
	return message && message->body.len > 0 && message->body.len <= PAYLOAD_MAX &&
	       message->signature.len == SIGNATURE_SIZE;
}

static_assert(RDV_FORWARD + 1024 <= LIMIT_FRAME, "what a Forward carries fits the frame that a node gets of it");

static ssize_t pack(const Punch__Forward *forward, uint8_t **out)
{
	size_t size = punch__forward__get_packed_size(forward);

	*out = NULL;
	if (size > RDV_FORWARD)
		return -EMSGSIZE;
	*out = malloc(size);
	if (!*out)
		return -ENOMEM;
	return (ssize_t)punch__forward__pack(forward, *out);
}

ssize_t forward_invite(const struct broker_call *call, const struct broker_payload *payload,
		       struct offers *relays, const struct broker_origin *origin,
		       uint32_t store_rtt_us, uint8_t **out)
{
	Punch__Forward forward = PUNCH__FORWARD__INIT;
	Punch__Signed message = payload_to(payload);
	Punch__ForwardInvite invite;

	punch__forward_invite__init(&invite);
	invite.origin = text_to(origin->server);
	invite.session = convert_bytes(call->session, SESSION_SIZE);
	invite.from = convert_bytes(call->caller, KEY_SIZE);
	invite.to = convert_bytes(call->callee, KEY_SIZE);
	invite.payload = &message;
	invite.n_relays = relays->count;
	invite.relays = relays->list;
	invite.caller_rtt_us = origin->rtt_us;
	invite.store_rtt_us = store_rtt_us;
	invite.source = convert_bytes(origin->source, SOURCE_PREFIX_SIZE);
	forward.kind_case = PUNCH__FORWARD__KIND_INVITE;
	forward.invite = &invite;
	return pack(&forward, out);
}

ssize_t forward_reply(const struct broker_call *call, const struct broker_payload *payload,
		      uint32_t callee_rtt_us, uint32_t start_in_us, uint8_t **out)
{
	Punch__Forward forward = PUNCH__FORWARD__INIT;
	Punch__Signed message = payload_to(payload);
	Punch__ForwardReply reply = PUNCH__FORWARD_REPLY__INIT;

	reply.session = convert_bytes(call->session, SESSION_SIZE);
	reply.from = convert_bytes(call->callee, KEY_SIZE);
	reply.payload = &message;
	reply.callee_rtt_us = callee_rtt_us;
	reply.start_in_us = start_in_us;
	forward.kind_case = PUNCH__FORWARD__KIND_REPLY;
	forward.reply = &reply;
	return pack(&forward, out);
}

ssize_t forward_failed(const struct broker_call *call, const struct broker_failure *failure,
		       uint8_t **out)
{
	Punch__Forward forward = PUNCH__FORWARD__INIT;
	Punch__ForwardFailed failed;

	punch__forward_failed__init(&failed);
	failed.session = convert_bytes(call->session, SESSION_SIZE);
	failed.from = convert_bytes(call->callee, KEY_SIZE);
	failed.reason = failure->reason;
	failed.text = text_to(failure->text);
	failed.retry = failure->retry;
	forward.kind_case = PUNCH__FORWARD__KIND_FAILED;
	forward.failed = &failed;
	return pack(&forward, out);
}

ssize_t forward_replaced(const uint8_t key[KEY_SIZE], const char *origin, uint8_t **out)
{
	Punch__Forward forward = PUNCH__FORWARD__INIT;
	Punch__ForwardReplaced replaced;

	punch__forward_replaced__init(&replaced);
	replaced.key = convert_bytes(key, KEY_SIZE);
	replaced.origin = text_to(origin);
	forward.kind_case = PUNCH__FORWARD__KIND_REPLACED;
	forward.replaced = &replaced;
	return pack(&forward, out);
}

bool forward_is_server(const char *text)
{
	return strlen(text) == RDV_SERVER_ID - 1 && strspn(text, "0123456789abcdef") == RDV_SERVER_ID - 1;
}

static bool is_sound(const Punch__Forward *forward)
{
	switch (forward->kind_case) {
	case PUNCH__FORWARD__KIND_INVITE:
		return forward->invite->session.len == SESSION_SIZE &&
		       forward->invite->from.len == KEY_SIZE && forward->invite->to.len == KEY_SIZE &&
		       forward_is_server(forward->invite->origin) &&
		       forward->invite->source.len == SOURCE_PREFIX_SIZE &&
		       forward->invite->n_relays <= LIMIT_RELAYS &&
		       payload_is_sound(forward->invite->payload);
	case PUNCH__FORWARD__KIND_REPLY:
		return forward->reply->session.len == SESSION_SIZE &&
		       forward->reply->from.len == KEY_SIZE && payload_is_sound(forward->reply->payload);
	case PUNCH__FORWARD__KIND_FAILED:
		return forward->failed->session.len == SESSION_SIZE &&
		       forward->failed->from.len == KEY_SIZE &&
		       forward->failed->reason > PUNCH__FAIL_REASON__FAIL_UNSPECIFIED &&
		       forward->failed->reason <= PUNCH__FAIL_REASON__FAIL_REPLACED;
	case PUNCH__FORWARD__KIND_REPLACED:
		return forward->replaced->key.len == KEY_SIZE &&
		       forward_is_server(forward->replaced->origin);
	default:
		return false;
	}
}

Punch__Forward *forward_open(const uint8_t *data, size_t size)
{
	Punch__Forward *forward = size <= RDV_FORWARD ? punch__forward__unpack(NULL, size, data) : NULL;

	if (!forward || is_sound(forward))
		return forward;
	punch__forward__free_unpacked(forward, NULL);
	return NULL;
}
