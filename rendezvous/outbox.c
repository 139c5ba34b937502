/* SPDX-License-Identifier: MIT */
/*
 * outbox.c - what the broker wants said, as messages to nodes and Forwards to servers
 */
#include <stdlib.h>
#include <string.h>

#include "common/convert.h"
#include "common/log.h"
#include "conf/conf.h"
#include "rendezvous/forward.h"
#include "rendezvous/outbox.h"
#include "rendezvous/tickets.h"

/* ---------------------------------------------------------------- to nodes */

static uint32_t outbox_rtt(void *peer)
{
	return client_rtt_us(peer);
}

static const char *outbox_describe(void *peer)
{
	return client_describe(peer);
}

static void offer(const struct broker_call *call, enum ticket_side side, const struct endpoint *here,
		  struct offers *offers)
{
	/* Without relays the two may still find a direct path */
	if (tickets_offer(call, side, here, offers))
		log_error("no relay ticket could be made");
}

static void outbox_invited(void *peer, const struct broker_call *call,
			   const struct broker_payload *payload, const void *relays,
			   uint32_t caller_rtt_us, uint32_t own_rtt_us)
{
	const struct relay_list *given = relays;
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Invited invited = PUNCH__INVITED__INIT;
	Punch__Signed body = payload_to(payload);
	struct offers offers;

	invited.session = convert_bytes(call->session, SESSION_SIZE);
	invited.from = convert_bytes(call->caller, KEY_SIZE);
	invited.payload = &body;
	if (!given)
		offer(call, TICKET_CALLEE, NULL, &offers);
	invited.n_relays = given ? given->count : offers.count;
	invited.relays = given ? given->list : offers.list;
	invited.caller_rtt_us = caller_rtt_us;
	invited.own_rtt_us = own_rtt_us;
	message.kind_case = PUNCH__MESSAGE__KIND_INVITED;
	message.invited = &invited;
	client_send_unasked(peer, &message);
}

static void outbox_answered(void *peer, const struct broker_call *call,
			    const struct broker_payload *payload, uint32_t callee_rtt_us,
			    uint32_t own_rtt_us)
{
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Answered answered = PUNCH__ANSWERED__INIT;
	Punch__Signed body = payload_to(payload);
	struct offers offers;

	offer(call, TICKET_CALLER, NULL, &offers);
	answered.session = convert_bytes(call->session, SESSION_SIZE);
	answered.payload = &body;
	answered.n_relays = offers.count;
	answered.relays = offers.list;
	answered.callee_rtt_us = callee_rtt_us;
	answered.own_rtt_us = own_rtt_us;
	message.kind_case = PUNCH__MESSAGE__KIND_ANSWERED;
	message.answered = &answered;
	client_send(peer, &message);
}

static void outbox_go(void *peer, const struct broker_call *call, uint32_t start_in_us)
{
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Go go = PUNCH__GO__INIT;

	go.session = convert_bytes(call->session, SESSION_SIZE);
	go.start_in_us = start_in_us;
	message.kind_case = PUNCH__MESSAGE__KIND_GO;
	message.go = &go;
	client_send(peer, &message);
}

static void outbox_failed(void *peer, const uint8_t session[SESSION_SIZE],
			  const struct broker_failure *failure)
{
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Failed failed;

	punch__failed__init(&failed);
	if (session)
		failed.session = convert_bytes(session, SESSION_SIZE);
	failed.reason = failure->reason;
	failed.text = text_to(failure->text);
	failed.retry = failure->retry;
	message.kind_case = PUNCH__MESSAGE__KIND_FAILED;
	message.failed = &failed;
	client_send(peer, &message);
}

static size_t outbox_waiting(void *peer)
{
	return client_waiting(peer);
}

static void outbox_drop(void *peer)
{
	client_set_data(peer, NULL);	/* the broker has forgotten it */
	client_close(peer);
}

/* A probe on the address that the node reached, or on every address, is told by its port alone */
static bool is_here(const struct endpoint *probe, const struct endpoint *local)
{
	return endpoint_is_any(probe) || endpoint_same_address(probe, local);
}

static bool has_port(const uint32_t *ports, size_t count, uint16_t port)
{
	for (size_t i = 0; i < count; i++)
		if (ports[i] == port)
			return true;
	return false;
}

void outbox_welcome(struct client *client, const struct endpoint *probes, unsigned int count)
{
	Punch__Endpoint observed = PUNCH__ENDPOINT__INIT, elsewhere[CONF_LIST], *list[CONF_LIST];
	Punch__RelayAddress relays[LIMIT_RELAYS], *relay_list[LIMIT_RELAYS];
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Welcome welcome = PUNCH__WELCOME__INIT;
	struct endpoint local = { 0 };
	uint32_t ports[CONF_LIST];

	client_local(client, &local);
	for (unsigned int i = 0; i < count && i < CONF_LIST; i++) {
		if (!probes[i].family)
			continue;
		if (!is_here(&probes[i], &local)) {
			punch__endpoint__init(&elsewhere[welcome.n_probes]);
			endpoint_to_message(&probes[i], &elsewhere[welcome.n_probes]);
			list[welcome.n_probes] = &elsewhere[welcome.n_probes];
			welcome.n_probes++;
		} else if (!has_port(ports, welcome.n_probe_ports, probes[i].port)) {
			ports[welcome.n_probe_ports++] = probes[i].port;
		}
	}
	welcome.relays = relay_list;
	welcome.n_relays = tickets_relays(relays);
	for (size_t i = 0; i < welcome.n_relays; i++)
		relay_list[i] = &relays[i];
	endpoint_to_message(client_from(client), &observed);
	welcome.version = PROTOCOL_VERSION;
	welcome.probe_ports = ports;
	welcome.probes = list;
	welcome.observed = &observed;
	welcome.keepalive_s = RDV_KEEPALIVE_S;
	message.kind_case = PUNCH__MESSAGE__KIND_WELCOME;
	message.welcome = &welcome;
	client_send(client, &message);
}

void outbox_pong(struct client *client, uint64_t nonce)
{
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Pong pong = PUNCH__PONG__INIT;

	pong.nonce = nonce;
	message.kind_case = PUNCH__MESSAGE__KIND_PONG;
	message.pong = &pong;
	client_send(client, &message);
}

/* ---------------------------------------------------------------- to other servers */

static int outbox_find(void *ctx, const struct broker_call *call)
{
	const struct outbox *outbox = ctx;

	return outbox->store->ops->find(outbox->store, call);
}

static void outbox_announce(void *ctx, const uint8_t key[KEY_SIZE])
{
	const struct outbox *outbox = ctx;

	outbox->store->ops->announce(outbox->store, key);
}

static void outbox_withdraw(void *ctx, const uint8_t key[KEY_SIZE])
{
	const struct outbox *outbox = ctx;

	outbox->store->ops->withdraw(outbox->store, key);
}

/* @size: what forward_*() returned for @data, which is freed. @call: as for store_ops.forward */
static int pass_on(const struct outbox *outbox, const char *server, uint8_t *data, ssize_t size,
		   const struct broker_call *call)
{
	int err;

	if (size < 0)
		return (int)size;
	err = outbox->store->ops->forward(outbox->store, server, data, (size_t)size, call);
	free(data);
	return err;
}

static int outbox_forward_invite(void *ctx, const char *server, const struct broker_call *call,
				 const struct broker_payload *payload, void *peer,
				 const struct broker_origin *origin)
{
	const struct outbox *outbox = ctx;
	struct broker_origin self = *origin;
	struct endpoint here;
	struct offers offers;
	uint8_t *data;
	ssize_t size;

	/* Both must come to one relay: an embedded one is named by the address that the caller reached us at */
	offers.count = 0;
	if (!client_local(peer, &here))
		offer(call, TICKET_CALLEE, &here, &offers);
	self.server = outbox->self;
	size = forward_invite(call, payload, &offers, &self, outbox->store->ops->rtt_us(outbox->store), &data);
	return pass_on(outbox, server, data, size, call);
}

static int outbox_forward_reply(void *ctx, const char *server, const struct broker_call *call,
				const struct broker_payload *payload, uint32_t callee_rtt_us,
				uint32_t start_in_us)
{
	uint8_t *data;
	ssize_t size = forward_reply(call, payload, callee_rtt_us, start_in_us, &data);

	return pass_on(ctx, server, data, size, NULL);
}

static int outbox_forward_failed(void *ctx, const char *server, const struct broker_call *call,
				 const struct broker_failure *failure)
{
	uint8_t *data;
	ssize_t size = forward_failed(call, failure, &data);

	return pass_on(ctx, server, data, size, NULL);
}

const struct broker_ops outbox_ops = {
	.rtt_us = outbox_rtt,
	.describe = outbox_describe,
	.invited = outbox_invited,
	.answered = outbox_answered,
	.go = outbox_go,
	.failed = outbox_failed,
	.waiting = outbox_waiting,
	.drop = outbox_drop,
	.find = outbox_find,
	.announce = outbox_announce,
	.withdraw = outbox_withdraw,
	.forward_invite = outbox_forward_invite,
	.forward_reply = outbox_forward_reply,
	.forward_failed = outbox_forward_failed,
};
