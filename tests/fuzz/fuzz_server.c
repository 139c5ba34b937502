/* SPDX-License-Identifier: MIT */
/*
 * fuzz_server.c - what nodes, other servers and strangers at a probe port say to a rendezvous
 *
 * The whole server but its main(); nodes come by TLS, each with a key of its own.  Forwards come as the store hands them
 * out, without a frame; the store itself is the input's.  Each chunk is a step; its head: bits 0-1 which node, bits 2-5 what
 * (enum step), bits 6-7 a number.  Promises: nodes and servers are sent nothing that cannot be read; nothing is left of
 * those that have gone.
 */
#include <signal.h>
#include <sys/socket.h>

#include "common/convert.h"
#include "rendezvous/server.c"
#include "tests/fuzz/tls.h"
#include "tests/unit/scratch.h"

enum step {
	STEP_BYTES,		/* as they are, inside TLS */
	STEP_FRAME,		/* as the body of a frame */
	STEP_HELLO,		/* a good one, receiving or not; the bytes behind it (so they are merged) */
	STEP_INVITE,		/* good, of the numbered node; the first byte: session */
	STEP_REPLY,		/* good, likewise */
	STEP_FORWARD,		/* as they are */
	STEP_FORWARD_INVITE,	/* good, for the numbered node, the bytes behind it */
	STEP_FORWARD_REPLY,
	STEP_FORWARD_FAILED,
	STEP_FORWARD_REPLACED,
	STEP_STORE,		/* it says where somebody is, that nobody listened, or that a node is elsewhere */
	STEP_PROBE,		/* the bytes to a probe port; number 0: on a new connection */
	STEP_CLOSE,
	STEP_TIME,		/* 4 to the power of the number, in seconds */
	STEP_UNDER,		/* bytes under TLS */
	STEP_SLOWLY,		/* as BYTES, byte by byte */
};

#define NODES	3
#define TURNS	4
#define OTHER	"0123456789abcdef"	/* a server */

static struct event_base *base;
static struct conf_rendezvous conf;
static struct key server_key, keys[NODES];
static SSL_CTX *contexts[NODES];
static struct far fars[NODES];
static int probe = -1, find_says;
static struct broker_call last;		/* that the store was asked for */

/* ------------------------------------------------------------ the store */

static int store_find(struct store *store, const struct broker_call *call)
{
	(void)store;
	last = *call;
	return find_says;
}

static void store_key(struct store *store, const uint8_t key[KEY_SIZE])
{
	(void)store;
	(void)key;
}

static int store_forward(struct store *store, const char *to, const uint8_t *data, size_t size,
			 const struct broker_call *call)
{
	Punch__Forward *forward = forward_open(data, size);

	(void)store;
	MUST(forward && forward_is_server(to));
	punch__forward__free_unpacked(forward, NULL);
	if (call)
		last = *call;
	return 0;
}

static uint32_t store_rtt(const struct store *store)
{
	(void)store;
	return 1000;
}

static bool store_up(const struct store *store)
{
	(void)store;
	return true;
}

static void store_close(struct store *store)
{
	(void)store;
}

static const struct store_ops store_ops = {
	store_find, store_key, store_key, store_key, store_forward, store_rtt, store_up, store_close,
};
static struct store store = { .ops = &store_ops };

/* ------------------------------------------------------------ begin and end */

static void remove_scratch(void)
{
	scratch_teardown(NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char secret[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
	static const struct endpoint any = { .family = AF_INET, .address = { 127, 0, 0, 1 } };
	uint8_t seed[KEY_SIZE] = "server";
	struct conf_error error;
	unsigned int i;

	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	log_init("fuzz", getenv("PUNCH_LOG") ? getenv("PUNCH_LOG") : "error", NULL);
	MUST(scratch_setup(NULL) == 0);
	atexit(remove_scratch);
	MUST(key_from_seed(&server_key, seed) == 0);
	for (i = 0; i < NODES; i++) {
		seed[0] = (uint8_t)i;
		MUST(key_from_seed(&keys[i], seed) == 0);
		contexts[i] = tls_context(&keys[i], false);
		MUST(contexts[i]);
		fars[i].fd = -1;
	}
	MUST(conf_rendezvous_load(&conf, NULL, &error) == 0);
	strcpy(conf.relay, "198.51.100.9:4433");
	snprintf(conf.relay_secret, sizeof(conf.relay_secret), "%s", scratch_write("relay.secret", secret, sizeof(secret) - 1, 0600));
	conf.listen[0] = conf.probe[0] = conf.probe[1] = any;
	conf.listen_count = 1;
	conf.probe_count = 2;
	base = event_base_new();
	MUST(base && server_open(base, &conf, &server_key) == 0);
	server.outbox.store = &store;
	return 0;
}

static int connect_to(const struct endpoint *ep)
{
	int fd = fuzz_connect(ep);

	fuzz_turn(base, 2);
	return fd;
}

static void end(void)
{
	unsigned int i;

	for (i = 0; i < NODES; i++)
		far_close(&fars[i]);
	if (probe >= 0)
		close(probe);
	probe = -1;
	fuzz_turn(base, TURNS);
	MUST(client_stats.now == 0 && client_stats.strangers == 0 && broker_stats(server.broker)->nodes == 0);
	MUST(probe_stats.now == 0);
	fuzz_ahead += 3600;	/* rates, and what is remembered of keys, begin anew */
	server_run();
	MUST(broker_stats(server.broker)->sessions == 0);
}

/* ------------------------------------------------------------ what nodes hear */

static void on_heard(void *arg, const Punch__Message *message)
{
	const struct far *far = arg;

	MUST(far >= fars && far < fars + NODES);
	switch (message->kind_case) {
	case PUNCH__MESSAGE__KIND_INVITED:
		MUST(message->invited->session.len == SESSION_SIZE && message->invited->from.len == KEY_SIZE);
		MUST(payload_is_sound(message->invited->payload));
		break;
	case PUNCH__MESSAGE__KIND_ANSWERED:
		MUST(message->answered->session.len == SESSION_SIZE && payload_is_sound(message->answered->payload));
		break;
	case PUNCH__MESSAGE__KIND_GO:
		MUST(message->go->session.len == SESSION_SIZE);
		break;
	case PUNCH__MESSAGE__KIND_WELCOME: case PUNCH__MESSAGE__KIND_PONG: case PUNCH__MESSAGE__KIND_FAILED:
		break;
	default:
		MUST(!"a message that servers say");
	}
}

static void turn(void)
{
	unsigned int i;

	fuzz_turn(base, TURNS);
	for (i = 0; i < NODES; i++)
		far_hear(&fars[i], on_heard, &fars[i]);
}

/* ------------------------------------------------------------ steps */

static void frame_of(struct far *far, const Punch__Message *message, const struct chunk *chunk)
{
	uint8_t bytes[8192];
	size_t packed = punch__message__get_packed_size(message);

	MUST(packed + chunk->size <= sizeof(bytes));
	punch__message__pack(message, bytes);
	memcpy(bytes + packed, chunk->data, chunk->size);
	far_frame(far, bytes, packed + chunk->size);
}

static void session_of(const struct chunk *chunk, uint8_t session[SESSION_SIZE])
{
	memset(session, chunk->size ? chunk->data[0] & 7 : 0, SESSION_SIZE);

}

static const uint8_t body[] = "body", signature[SIGNATURE_SIZE];
static const struct broker_payload payload = { body, signature, sizeof(body), sizeof(signature) };

static void message(const struct chunk *chunk, struct far *far, enum step what, unsigned int number)
{
	Punch__Message m = PUNCH__MESSAGE__INIT;
	Punch__Hello hello = PUNCH__HELLO__INIT;
	Punch__Invite invite = PUNCH__INVITE__INIT;
	Punch__Reply reply = PUNCH__REPLY__INIT;
	Punch__Signed sealed = payload_to(&payload);
	uint8_t session[SESSION_SIZE];
	struct chunk rest = *chunk;

	if (what == STEP_HELLO) {
		hello.version = PROTOCOL_VERSION;
		hello.receive = number != 3;
		m.kind_case = PUNCH__MESSAGE__KIND_HELLO;
		m.hello = &hello;
		frame_of(far, &m, chunk);
		return;
	}
	session_of(chunk, session);
	invite.session = reply.session = convert_bytes(session, SESSION_SIZE);
	invite.to = convert_bytes(keys[number % NODES].public, KEY_SIZE);
	invite.payload = &sealed;
	reply.payload = number == 3 ? NULL : &sealed;
	m.kind_case = what == STEP_INVITE ? PUNCH__MESSAGE__KIND_INVITE : PUNCH__MESSAGE__KIND_REPLY;
	if (what == STEP_INVITE)
		m.invite = &invite;
	else
		m.reply = &reply;
	if (rest.size) {
		rest.data++;
		rest.size--;
	}
	frame_of(far, &m, &rest);
}

static void forward(const struct chunk *chunk, enum step what, unsigned int number)
{
	struct broker_failure failure = { PUNCH__FAIL_REASON__FAIL_OFFLINE, "away", number & 2 };
	const struct broker_origin origin = { .server = OTHER, .rtt_us = 1000 };
	struct broker_call call;
	struct offers relays = { .count = 0 };
	uint8_t *packed, *bytes;
	ssize_t size;

	session_of(chunk, call.session);
	memcpy(call.caller, keys[0].public, KEY_SIZE);
	memcpy(call.callee, keys[number % NODES].public, KEY_SIZE);
	if (what == STEP_FORWARD_INVITE)
		size = forward_invite(&call, &payload, &relays, &origin, 1000, &packed);
	else if (what == STEP_FORWARD_REPLY)
		size = forward_reply(&call, &payload, 1000, 1000, &packed);
	else if (what == STEP_FORWARD_FAILED)
		size = forward_failed(&call, &failure, &packed);
	else
		size = forward_replaced(call.callee, OTHER, &packed);
	MUST(size > 0);
	bytes = malloc((size_t)size + chunk->size);	/* of just this size, as the store has it */
	MUST(bytes);
	memcpy(bytes, packed, (size_t)size);
	if (chunk->size)
		memcpy(bytes + size, chunk->data + 1, chunk->size - 1);
	on_received(NULL, bytes, (size_t)size + (chunk->size ? chunk->size - 1 : 0));
	free(packed);
	free(bytes);
}

static void store_says(const struct chunk *chunk, unsigned int number)
{
	find_says = chunk->size && chunk->data[0] & 1 ? -EIO : chunk->size && chunk->data[0] & 2 ? 0 : 1;
	if (number == 0)
		on_found(NULL, &last, OTHER, 0);
	else if (number == 1)
		on_found(NULL, &last, NULL, find_says < 0 ? -EIO : 0);
	else if (number == 2)
		on_undelivered(NULL, &last);
	else
		on_lost(NULL, keys[chunk->size ? chunk->data[0] % NODES : 0].public, OTHER);
}

static void probed(const struct chunk *chunk, unsigned int number)
{
	uint8_t back[1024];

	if (probe >= 0 && !number) {
		close(probe);
		probe = -1;
	}
	if (probe < 0)
		probe = connect_to(&conf.probe[number & 1]);
	if (chunk->size)
		send(probe, chunk->data, chunk->size, MSG_NOSIGNAL | MSG_DONTWAIT);
	fuzz_turn(base, TURNS);
	recv(probe, back, sizeof(back), MSG_DONTWAIT);
}

static void step(const struct chunk *chunk)
{
	unsigned int number = chunk->head >> 6, who = (chunk->head & 3) % NODES;
	enum step what = chunk->head >> 2 & 15;
	struct far *far = &fars[who];
	size_t i;

	/* A node comes when it says its first word */
	if (!far->ssl && (what <= STEP_REPLY || what == STEP_SLOWLY) &&
	    !far_open(far, base, contexts[who], connect_to(&conf.listen[0]), false))
		return;
	if (what == STEP_BYTES)
		far_say(far, chunk->data, chunk->size);
	else if (what == STEP_FRAME)
		far_frame(far, chunk->data, chunk->size);
	else if (what >= STEP_HELLO && what <= STEP_REPLY)
		message(chunk, far, what, number);
	else if (what == STEP_FORWARD)
		on_received(NULL, chunk->data, chunk->size);
	else if (what >= STEP_FORWARD_INVITE && what <= STEP_FORWARD_REPLACED)
		forward(chunk, what, number);
	else if (what == STEP_STORE)
		store_says(chunk, number);
	else if (what == STEP_PROBE)
		probed(chunk, number);
	else if (what == STEP_CLOSE)
		far_close(far);
	else if (what == STEP_TIME)
		fuzz_ahead += 1u << 2 * number;
	else if (what == STEP_UNDER && far->fd >= 0 && chunk->size)
		send(far->fd, chunk->data, chunk->size, MSG_NOSIGNAL | MSG_DONTWAIT);
	for (i = 0; what == STEP_SLOWLY && i < chunk->size; i++) {
		far_say(far, chunk->data + i, 1);
		fuzz_turn(base, 1);
	}
	turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct chunk chunk;

	find_says = 1;
	memset(&last, 0, sizeof(last));
	while (fuzz_chunk(&data, &size, &chunk))
		step(&chunk);
	end();
	return 0;
}
