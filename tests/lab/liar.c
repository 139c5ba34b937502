/* SPDX-License-Identifier: MIT */
/*
 * liar.c - a rendezvous that lies: the real one, but for what leaves it
 *
 * Linked with --wrap in the place of client_send(), client_send_unasked() and stun_answer(). What it does is in $LIE; of several
 * words it goes by the next one at each SIGUSR1:
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
 *	encrypt-WHERE-HOW	in each WHERE (invited, answered) the wish for encryption becomes another:
 *			no, yes; none: the field is left out; old: and it is of an older version;
 *			resign: no, and the liar signs it, as if it were the peer
 *
 * A changed body keeps its signature, but for resign. Each lie is told on stderr.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/key.h"
#include "common/stun.h"
#include "rendezvous/client.h"

#define GO_FLOOD 100

void __real_client_send(struct client *client, const Punch__Message *message);
void __wrap_client_send(struct client *client, const Punch__Message *message);
void __real_client_send_unasked(struct client *client, const Punch__Message *message);
void __wrap_client_send_unasked(struct client *client, const Punch__Message *message);
ssize_t __real_stun_answer(const uint8_t *request, size_t size, const struct endpoint *mapped,
				const struct stun_back *back, uint8_t out[STUN_MAX]);
ssize_t __wrap_stun_answer(const uint8_t *request, size_t size, const struct endpoint *mapped,
				const struct stun_back *back, uint8_t out[STUN_MAX]);

static volatile sig_atomic_t turn;

static void on_turn(int number)
{
	(void)number;
	turn++;
}

/* The word whose turn it is */
static const char *present_lie(void)
{
	static char word[64];
	const char *lie = getenv("LIE");
	size_t size;
	int i;

	for (i = 0; lie && i < turn; i++) {
		lie = strchr(lie, ' ');
		if (lie)
			lie++;
	}
	size = lie ? strcspn(lie, " ") : 0;
	snprintf(word, sizeof(word), "%.*s", (int)size, lie ? lie : "");
	return word;
}

static bool lies(const char *how)
{
	return strcmp(present_lie(), how) == 0;
}

/* The test looks for it: a lie that is never told shows nothing */
static void told(void)
{
	fprintf(stderr, "liar: told a lie: %s\n", present_lie());
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
	if (!bytes->len)
		return;
	bytes->data[bytes->len / 2] ^= 4;
	told();
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
		told();
	}
}

static void replace(ProtobufCBinaryData *old, const uint8_t *data, size_t size)
{
	free(old->data);
	old->data = malloc(size);
	if (!old->data)
		abort();
	memcpy(old->data, data, size);
	old->len = size;
}

/* What is left of the lie behind "encrypt-WHERE-"; NULL when it is another one */
static const char *wish_lie(const char *where)
{
	const char *lie = present_lie();
	char prefix[32];
	int n = snprintf(prefix, sizeof(prefix), "encrypt-%s-", where);

	return strncmp(lie, prefix, (size_t)n) == 0 ? lie + n : NULL;
}

static void change_wish(const char *how, Punch__Encrypt *wish, uint32_t *version)
{
	*wish = strcmp(how, "yes") == 0 ? PUNCH__ENCRYPT__ENCRYPT_YES :
		strcmp(how, "none") == 0 || strcmp(how, "old") == 0 ? PUNCH__ENCRYPT__ENCRYPT_AUTO :
		PUNCH__ENCRYPT__ENCRYPT_NO;
	if (strcmp(how, "old") == 0)
		--*version;
}

/* A key that is nobody's peer */
static const struct key *own_key(void)
{
	static struct key key;
	static bool made;

	if (!made && key_generate(&key) < 0)
		abort();
	made = true;
	return &key;
}

/* Put @message, which is changed, in the place of the signed body; @context: to sign it, too, or NULL */
static void put_body(Punch__Signed *payload, const ProtobufCMessage *message, const char *context)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = malloc(size), signature[SIGNATURE_SIZE];

	if (!bytes)
		abort();
	protobuf_c_message_pack(message, bytes);
	if (size != payload->body.len || memcmp(bytes, payload->body.data, size) != 0)
		told();
	replace(&payload->body, bytes, size);
	if (context && key_sign(own_key(), context, bytes, size, signature) == 0)
		replace(&payload->signature, signature, sizeof(signature));
	free(bytes);
}

static void change_invitation(const char *how, Punch__Invited *invited)
{
	Punch__Signed *payload = invited->payload;
	Punch__Invitation *in = punch__invitation__unpack(NULL, payload->body.len, payload->body.data);
	bool resign = strcmp(how, "resign") == 0;

	if (!in)
		abort();
	change_wish(how, &in->encrypt, &in->version);
	if (resign) {
		replace(&in->caller_key, own_key()->public, KEY_SIZE);
		replace(&invited->from, own_key()->public, KEY_SIZE);
	}
	put_body(payload, &in->base, resign ? KEY_CONTEXT_INVITATION : NULL);
	punch__invitation__free_unpacked(in, NULL);
}

static void change_answer(const char *how, Punch__Signed *payload)
{
	Punch__Answer *answer = punch__answer__unpack(NULL, payload->body.len, payload->body.data);
	bool resign = strcmp(how, "resign") == 0;

	if (!answer)
		abort();
	change_wish(how, &answer->encrypt, &answer->version);
	if (resign)
		replace(&answer->callee_key, own_key()->public, KEY_SIZE);
	put_body(payload, &answer->base, resign ? KEY_CONTEXT_ANSWER : NULL);
	punch__answer__free_unpacked(answer, NULL);
}

static void on_invited(struct client *client, Punch__Message *copy)
{
	static Punch__Message *first;

	if (lies("payload") && copy->invited->payload)
		turn_a_bit(&copy->invited->payload->body);
	if (wish_lie("invited") && copy->invited->payload)
		change_invitation(wish_lie("invited"), copy->invited);
	if (lies("from"))
		turn_a_bit(&copy->invited->from);
	if (lies("relays"))
		change_relays(copy->invited->relays, copy->invited->n_relays);
	if (lies("replay")) {
		__real_client_send_unasked(client, copy);
		if (!first)
			first = copy_of(copy);
		__real_client_send_unasked(client, first);
		told();
	}
}

static void on_answered(Punch__Message *copy)
{
	static Punch__Signed *last;
	Punch__Signed *now;

	if (lies("payload") && copy->answered->payload)
		turn_a_bit(&copy->answered->payload->body);
	if (wish_lie("answered") && copy->answered->payload)
		change_answer(wish_lie("answered"), copy->answered->payload);
	if (lies("relays"))
		change_relays(copy->answered->relays, copy->answered->n_relays);
	if (lies("answer")) {
		now = copy->answered->payload;
		copy->answered->payload = last;
		last = now;
		told();
	}
}

static void on_welcome(Punch__Message *copy)
{
	Punch__Welcome *welcome = copy->welcome;
	struct endpoint ep = lie_at();
	size_t i;

	told();
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

typedef void send_message(struct client *client, const Punch__Message *message);

static void lie(struct client *client, const Punch__Message *message, send_message *pass_on)
{
	Punch__Message *copy = copy_of(message);
	int i;

	signal(SIGUSR1, on_turn);
	if (copy->kind_case == PUNCH__MESSAGE__KIND_INVITED)
		on_invited(client, copy);
	else if (copy->kind_case == PUNCH__MESSAGE__KIND_ANSWERED)
		on_answered(copy);
	else if (copy->kind_case == PUNCH__MESSAGE__KIND_WELCOME && lies("probes"))
		on_welcome(copy);
	else if (copy->kind_case == PUNCH__MESSAGE__KIND_GO && lies("flood"))
		for (i = 1; i < GO_FLOOD; i++, told())
			pass_on(client, copy);
	if (copy->kind_case != PUNCH__MESSAGE__KIND_GO || !lies("go"))
		pass_on(client, copy);
	else
		told();
	punch__message__free_unpacked(copy, NULL);
}

void __wrap_client_send(struct client *client, const Punch__Message *message)
{
	lie(client, message, __real_client_send);
}

void __wrap_client_send_unasked(struct client *client, const Punch__Message *message)
{
	lie(client, message, __real_client_send_unasked);
}

ssize_t __wrap_stun_answer(const uint8_t *request, size_t size, const struct endpoint *mapped,
				const struct stun_back *back, uint8_t out[STUN_MAX])
{
	const char *to = getenv("LIE_TO");
	char text[ENDPOINT_TEXT_SIZE];
	struct endpoint lie;

	if (!lies("mapped") || !to || strcmp(endpoint_format_address(mapped, text), to) != 0)
		return __real_stun_answer(request, size, mapped, back, out);
	told();
	lie = lie_at();
	return __real_stun_answer(request, size, &lie, back, out);
}
