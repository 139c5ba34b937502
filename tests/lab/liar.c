/* SPDX-License-Identifier: MIT */
/*
 * liar.c - a rendezvous that lies: the real one, but for what leaves it
 *
 * Linked with --wrap in the place of client_send() and stun_answer(). What it does is in $LIE:
 *
 *	payload		one bit of each signed body is turned
 *	from		it names somebody else as the caller
 *	replay		each invitation comes twice, and the first one again with each later one
 *	answer		each caller gets the answer that was meant for the one before
 *	relays		each relay offered is $LIE_AT
 *	probes		the probe ports are at $LIE_AT
 *	mapped		who asks a probe port from $LIE_TO hears $LIE_AT
 *	go		nobody is told when to start
 *	flood		GO comes a hundred times
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/stun.h"
#include "rendezvous/client.h"

#define GO_FLOOD 100

void __real_client_send(struct client *client, const Punch__Message *message);
void __wrap_client_send(struct client *client, const Punch__Message *message);
ssize_t __real_stun_answer(const uint8_t *request, size_t size, const struct endpoint *mapped, uint8_t out[STUN_MAX]);
ssize_t __wrap_stun_answer(const uint8_t *request, size_t size, const struct endpoint *mapped, uint8_t out[STUN_MAX]);

static bool lies(const char *how)
{
	const char *lie = getenv("LIE");

	return lie && strcmp(lie, how) == 0;
}

static struct endpoint lie_at(void)
{
	const char *text = getenv("LIE_AT");
	struct endpoint ep;

	if (!text || endpoint_parse(&ep, text, 0) < 0 || !ep.port) {
		fputs("liar: want LIE_AT=ADDRESS:PORT\n", stderr);
		abort();
	}
	return ep;
}

/* A copy that may be changed; protobuf_c_message_free_unpacked() */
static Punch__Message *copy_of(const Punch__Message *message)
{
	size_t size = punch__message__get_packed_size(message);
	uint8_t *bytes = malloc(size);
	Punch__Message *copy;

	if (!bytes)
		abort();
	punch__message__pack(message, bytes);
	copy = punch__message__unpack(NULL, size, bytes);
	free(bytes);
	if (!copy)
		abort();
	return copy;
}

static void turn_a_bit(ProtobufCBinaryData *bytes)
{
	if (bytes->len)
		bytes->data[bytes->len / 2] ^= 4;
}

static void change_relays(Punch__RelayOffer **offers, size_t count)
{
	struct endpoint ep = lie_at();
	char text[ENDPOINT_TEXT_SIZE];
	size_t i;

	for (i = 0; i < count; i++) {
		free(offers[i]->address);
		offers[i]->address = strdup(endpoint_format_address(&ep, text));
		offers[i]->port = ep.port;
	}
}

static void on_invited(struct client *client, Punch__Message *copy)
{
	static Punch__Message *first;

	if (lies("payload") && copy->invited->payload)
		turn_a_bit(&copy->invited->payload->body);
	if (lies("from"))
		turn_a_bit(&copy->invited->from);
	if (lies("relays"))
		change_relays(copy->invited->relays, copy->invited->n_relays);
	if (lies("replay")) {
		__real_client_send(client, copy);
		if (!first)
			first = copy_of(copy);
		__real_client_send(client, first);
	}
}

static void on_answered(Punch__Message *copy)
{
	static Punch__Signed *last;
	Punch__Signed *now;

	if (lies("payload") && copy->answered->payload)
		turn_a_bit(&copy->answered->payload->body);
	if (lies("relays"))
		change_relays(copy->answered->relays, copy->answered->n_relays);
	if (lies("answer")) {
		now = copy->answered->payload;
		copy->answered->payload = last;
		last = now;
	}
}

static void on_welcome(Punch__Message *copy)
{
	Punch__Welcome *welcome = copy->welcome;
	struct endpoint ep = lie_at();
	size_t i;

	welcome->n_probe_ports = 0;
	for (i = 0; i < welcome->n_probes; i++)
		punch__endpoint__free_unpacked(welcome->probes[i], NULL);
	free(welcome->probes);
	welcome->n_probes = 4;
	welcome->probes = calloc(welcome->n_probes, sizeof(*welcome->probes));
	for (i = 0; welcome->probes && i < welcome->n_probes; i++) {
		Punch__Endpoint *probe = calloc(1, sizeof(*probe));

		punch__endpoint__init(probe);
		probe->address.data = malloc(4);
		probe->address.len = 4;
		memcpy(probe->address.data, ep.address, 4);
		probe->port = ep.port;
		welcome->probes[i] = probe;
	}
}

void __wrap_client_send(struct client *client, const Punch__Message *message)
{
	Punch__Message *copy = copy_of(message);
	int i;

	if (copy->kind_case == PUNCH__MESSAGE__KIND_INVITED)
		on_invited(client, copy);
	else if (copy->kind_case == PUNCH__MESSAGE__KIND_ANSWERED)
		on_answered(copy);
	else if (copy->kind_case == PUNCH__MESSAGE__KIND_WELCOME && lies("probes"))
		on_welcome(copy);
	else if (copy->kind_case == PUNCH__MESSAGE__KIND_GO && lies("flood"))
		for (i = 1; i < GO_FLOOD; i++)
			__real_client_send(client, copy);
	if (copy->kind_case != PUNCH__MESSAGE__KIND_GO || !lies("go"))
		__real_client_send(client, copy);
	punch__message__free_unpacked(copy, NULL);
}

ssize_t __wrap_stun_answer(const uint8_t *request, size_t size, const struct endpoint *mapped, uint8_t out[STUN_MAX])
{
	const char *to = getenv("LIE_TO");
	char text[ENDPOINT_TEXT_SIZE];
	struct endpoint lie;

	if (!lies("mapped") || !to || strcmp(endpoint_format_address(mapped, text), to) != 0)
		return __real_stun_answer(request, size, mapped, out);
	lie = lie_at();
	return __real_stun_answer(request, size, &lie, out);
}
