/* SPDX-License-Identifier: MIT */
/*
 * uplink_talk.c - what is said on an uplink, in both directions
 */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "common/printable.h"
#include "resolver/session.h"
#include "resolver/timer.h"
#include "resolver/uplink_impl.h"

#define KEEPALIVE_LEAST	5u		/* seconds; what a server may ask for */
#define KEEPALIVE_MOST	120u		/* NATs that forget after 2 minutes are known */
#define KEEPALIVE_UNSAID 20u

static int say(struct uplink *u, const Punch__Message *message)
{
	pulse_sent(&u->pulse, clock_now());
	return uplink_tls_send(u->tls, message);
}

int uplink_say_hello(struct uplink *u)
{
	Punch__Hello hello;
	Punch__Message message;
	char software[] = "punch " PUNCH_VERSION;

	punch__message__init(&message);
	punch__hello__init(&hello);
	u->receive = node_receives(u->node);
	hello.version = PROTOCOL_VERSION;
	hello.software = software;
	hello.receive = u->receive;
	message.kind_case = PUNCH__MESSAGE__KIND_HELLO;
	message.hello = &hello;
	return say(u, &message);
}

int uplink_say_ping(struct uplink *u, uint64_t nonce)
{
	Punch__Ping ping;
	Punch__Message message;

	punch__message__init(&message);
	punch__ping__init(&ping);
	ping.nonce = nonce;
	message.kind_case = PUNCH__MESSAGE__KIND_PING;
	message.ping = &ping;
	return say(u, &message);
}

static void say_pong(struct uplink *u, uint64_t nonce)
{
	Punch__Pong pong;
	Punch__Message message;

	punch__message__init(&message);
	punch__pong__init(&pong);
	pong.nonce = nonce;
	message.kind_case = PUNCH__MESSAGE__KIND_PONG;
	message.pong = &pong;
	say(u, &message);	/* a full queue ends as a server that does not read: by the pulse */
}

int uplink_send(struct uplink *uplink, const Punch__Message *message)
{
	return uplink->state == UPLINK_READY ? say(uplink, message) : -ENOTCONN;
}

void uplink_hello_changed(struct uplink *uplink)
{
	if (uplink->state == UPLINK_READY)	/* before: on_welcome() sees to it */
		uplink_say_hello(uplink);
}

/* --- what the server says */

static void probe_add(struct uplink *u, const struct endpoint *probe)
{
	if (u->probe_count < UPLINK_PROBES && endpoint_may_refer(&u->server, probe))
		u->probes[u->probe_count++] = *probe;
}

/*
 * A server that was reached by IPv6 names its probe ports there, where nothing is mapped. IPv4 is, and
 * its wildcard listeners do not know their IPv4 address; the name does.
 */
static void probe_add_twins(struct uplink *u, const Punch__Welcome *welcome)
{
	struct endpoint probe = u->twin;
	size_t i;

	if (u->server.family != AF_INET6 || u->twin.family != AF_INET || u->twin.port != u->server.port)
		return;
	for (i = 0; i < u->probe_count; i++)
		if (u->probes[i].family == AF_INET)
			return;
	for (i = 0; i < welcome->n_probe_ports; i++) {
		probe.port = welcome->probe_ports[i] <= UINT16_MAX ? (uint16_t)welcome->probe_ports[i] : 0;
		probe_add(u, &probe);
	}
}

static void relay_add(struct uplink *u, const Punch__RelayAddress *relay)
{
	struct uplink_relay *place = &u->relays[u->relay_count];

	if (u->relay_count == LIMIT_RELAYS || !relay->port || relay->port > UINT16_MAX ||
	    strlen(relay->address) >= sizeof(place->host))
		return;
	strcpy(place->host, relay->address);
	printable(place->host, strlen(place->host));
	place->port = (uint16_t)relay->port;
	u->relay_count++;
}

static int on_welcome(struct uplink *u, const Punch__Welcome *welcome)
{
	uint32_t keepalive = welcome->keepalive_s ? welcome->keepalive_s : KEEPALIVE_UNSAID;
	struct endpoint probe = u->server;
	size_t i;

	if (welcome->version != PROTOCOL_VERSION) {
		uplink_fail(u, UPLINK_REFUSED, "it speaks version %u of the protocol, this is version %u: "
			    "install the same punch on both", welcome->version, PROTOCOL_VERSION);
		return -EPROTO;
	}
	if (keepalive < KEEPALIVE_LEAST)
		keepalive = KEEPALIVE_LEAST;
	if (keepalive > KEEPALIVE_MOST)
		keepalive = KEEPALIVE_MOST;
	u->probe_count = 0;
	for (i = 0; i < welcome->n_probe_ports; i++) {
		probe.port = welcome->probe_ports[i] <= UINT16_MAX ? (uint16_t)welcome->probe_ports[i] : 0;
		probe_add(u, &probe);
	}
	for (i = 0; i < welcome->n_probes; i++)
		if (!endpoint_from_message(&probe, welcome->probes[i]))
			probe_add(u, &probe);
	probe_add_twins(u, welcome);
	u->relay_count = 0;
	for (i = 0; i < welcome->n_relays; i++)
		relay_add(u, welcome->relays[i]);
	if (!welcome->observed || endpoint_from_message(&u->observed, welcome->observed))
		u->observed.family = 0;
	if (u->state == UPLINK_READY) {	/* answers a second Hello */
		u->pulse.interval = keepalive * SECOND;
		return 0;
	}
	u->ready_at = clock_now();
	u->wrong_key = false;
	*u->problem = *u->told = '\0';
	pulse_init(&u->pulse, keepalive * SECOND, u->ready_at);
	timer_set(u->timer, keepalive * SECOND);
	if (node_receives(u->node) != u->receive)
		uplink_say_hello(u);
	log_info("rendezvous %s: connected, %u probe ports", u->name, u->probe_count);
	uplink_set_state(u, UPLINK_READY);
	return 0;
}

/* Failed without a session: the connection as a whole */
static void on_refusal(struct uplink *u, const Punch__Failed *failed)
{
	const char *text = *failed->text ? failed->text : "(nothing)";
	char own[KEY_TEXT_SIZE];

	switch (failed->reason) {
	case PUNCH__FAIL_REASON__FAIL_NOT_ALLOWED:
		uplink_fail(u, UPLINK_REFUSED,
			    "does not serve this node: its owner has to allow the key %s; it says: %.200s",
			    key_text(u->node->key.public, own), text);
		break;
	case PUNCH__FAIL_REASON__FAIL_VERSION:
		uplink_fail(u, UPLINK_REFUSED, "refuses version %d of the protocol; it says: %.200s",
			    PROTOCOL_VERSION, text);
		break;
	case PUNCH__FAIL_REASON__FAIL_REPLACED:
		uplink_fail(u, UPLINK_REFUSED, "another punch-resolver has connected with this node's key %s: "
			    "each node (each user of a host) needs a key of its own (punchctl keygen)%s",
			    key_text(u->node->key.public, own), u->node->uplink_count < 2 ? "" :
			    "; or two servers of [node] rendezvous share one store: name one of them alone");
		break;
	default:
		uplink_fail(u, UPLINK_IDLE, "ended the connection; it says: %.200s", text);
	}
}

static bool unexpected(struct uplink *u)
{
	uplink_fail(u, UPLINK_IDLE, "sent a message out of turn");
	return false;
}

bool uplink_on_message(void *arg, const Punch__Message *message)
{
	struct uplink *u = arg;

	pulse_heard(&u->pulse, clock_now());
	switch (message->kind_case) {
	case PUNCH__MESSAGE__KIND__NOT_SET:	/* of a later version: never an error */
	case PUNCH__MESSAGE__KIND_PONG:
		return true;
	case PUNCH__MESSAGE__KIND_PING:
		say_pong(u, message->ping->nonce);
		return true;
	case PUNCH__MESSAGE__KIND_WELCOME:
		return on_welcome(u, message->welcome) == 0;
	case PUNCH__MESSAGE__KIND_FAILED:
		if (!message->failed->session.len) {
			on_refusal(u, message->failed);
			return false;
		}
		break;
	case PUNCH__MESSAGE__KIND_INVITED:
	case PUNCH__MESSAGE__KIND_ANSWERED:
	case PUNCH__MESSAGE__KIND_GO:
		break;
	default:
		return unexpected(u);
	}
	if (u->state != UPLINK_READY)
		return unexpected(u);
	session_on_message(u->node, u, message);
	return u->tls != NULL;
}
