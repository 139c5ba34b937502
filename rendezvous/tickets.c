/* SPDX-License-Identifier: MIT */
/*
 * tickets.c - relay offers: where, and the right to use it
 *
 * Both sides of a session must be sent to the same relays in the same order. With more
 * relays than fit into one message the session's name chooses which, so that load is shared.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/convert.h"
#include "common/secret.h"
#include "conf/conf.h"
#include "rendezvous/tickets.h"

struct relay {
	char host[LIMIT_HOST];	/* empty: embedded */
	uint16_t port;
};

static struct relay relays[CONF_LIST];
static unsigned int relay_count;
static bool is_embedded, embedded_up;
static uint8_t ticket_secret[RELAY_SECRET_SIZE];

/* HOST:PORT, [IPv6]:PORT */
static int parse_relay(struct relay *relay, const char *word)
{
	const char *colon = strrchr(word, ':');
	struct endpoint ep;
	char *end;
	long port;

	if (!endpoint_parse(&ep, word, 0)) {
		char text[ENDPOINT_TEXT_SIZE];

		strcpy(relay->host, endpoint_format_address(&ep, text));
		relay->port = ep.port;
		return ep.port ? 0 : -EINVAL;
	}
	if (!colon || colon == word || (size_t)(colon - word) >= sizeof(relay->host))
		return -EINVAL;
	port = strtol(colon + 1, &end, 10);
	if (*end || port < 1 || port > 65535)
		return -EINVAL;
	memcpy(relay->host, word, (size_t)(colon - word));
	relay->host[colon - word] = '\0';
	relay->port = (uint16_t)port;
	return 0;
}

int tickets_open(const char *words, const uint8_t secret[RELAY_SECRET_SIZE])
{
	char word[LIMIT_HOST + 8];
	int err = 0;

	relay_count = 0;
	embedded_up = false;
	is_embedded = !strcmp(words, "embedded");
	if (!strcmp(words, "none"))
		return 0;
	memcpy(ticket_secret, secret, sizeof(ticket_secret));
	if (is_embedded) {
		relays[0] = (struct relay){ .port = PORT_RELAY };
		relay_count = 1;
		return 0;
	}
	while (!err && relay_count < CONF_LIST && conf_word_next(&words, word, sizeof(word)))
		err = parse_relay(&relays[relay_count++], word);
	return err;
}

void tickets_close(void)
{
	explicit_bzero(ticket_secret, sizeof(ticket_secret));
	relay_count = 0;
}

void tickets_embedded(bool up)
{
	embedded_up = up;
}

unsigned int tickets_relays(Punch__RelayAddress out[LIMIT_RELAYS])
{
	unsigned int i;

	for (i = 0; i < relay_count && i < LIMIT_RELAYS; i++) {
		punch__relay_address__init(&out[i]);
		out[i].address = relays[i].host;
		out[i].port = relays[i].port;
	}
	return i;
}

static int offer_make(const struct broker_call *call, enum ticket_side side,
		      const struct relay *relay, const struct endpoint *here, struct offers *out)
{
	struct ticket ticket = { .side = side };
	char *address = out->addresses[out->count], text[ENDPOINT_TEXT_SIZE];
	Punch__RelayOffer *offer = &out->offers[out->count];
	int size;

	memcpy(ticket.session, call->session, SESSION_SIZE);
	memcpy(ticket.caller_key, call->caller, KEY_SIZE);
	memcpy(ticket.callee_key, call->callee, KEY_SIZE);
	ticket.expires_s = (uint64_t)time(NULL) + TICKET_LIFETIME_S;
	secret_random(ticket.nonce, sizeof(ticket.nonce));
	size = ticket_seal(&ticket, ticket_secret, out->tickets[out->count]);
	if (size < 0)
		return size;
	strcpy(address, relay->host);
	if (is_embedded && here)
		strcpy(address, endpoint_format_address(here, text));
	punch__relay_offer__init(offer);
	offer->address = address;
	offer->port = relay->port;
	offer->ticket = convert_bytes(out->tickets[out->count], (size_t)size);
	out->list[out->count++] = offer;
	return 0;
}

int tickets_offer(const struct broker_call *call, enum ticket_side side, const struct endpoint *here,
		  struct offers *out)
{
	unsigned int first = relay_count > LIMIT_RELAYS ? call->session[0] % relay_count : 0;
	unsigned int count = relay_count < LIMIT_RELAYS ? relay_count : LIMIT_RELAYS;
	int err = 0;

	out->count = 0;
	if (is_embedded && !embedded_up)
		return 0;
	for (unsigned int i = 0; !err && i < count; i++)
		err = offer_make(call, side, &relays[(first + i) % relay_count], here, out);
	if (err)
		out->count = 0;
	return err;
}
