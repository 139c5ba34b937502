/* SPDX-License-Identifier: MIT */
/*
 * fuzz_uplink.c - what a rendezvous and the peer behind it say to a node, in any order
 *
 * The resolver's uplink, sessions, ports and paths, as they are; the input plays the server over TLS, and the peer bob,
 * whose key it has: what bob signed is believed, whatever it says.  The first byte: 1 no Welcome of itself, 2 no TLS.
 * Each chunk is a step; its head: bits 0-3 what (enum step), bit 4 see there.  Promises: each dialled session is done at
 * most once; all that the node says is a message that nodes say; nobody else than bob is answered.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <event2/event.h>

#include "common/log.h"
#include "common/preamble.h"
#include "common/tls.h"
#include "tests/fuzz/node.h"
#include "tests/fuzz/tls.h"

enum step {
	STEP_BYTES,		/* as they are, inside TLS */
	STEP_FRAME,		/* as the body of a frame */
	STEP_WELCOME,		/* a good Welcome, the bytes behind it (so they are merged) */
	STEP_INVITED,		/* bob's invitation, the bytes behind its body; bit 4: behind the Invited */
	STEP_ANSWERED,		/* bob's answer to the last Invite, likewise */
	STEP_GO,
	STEP_FAILED,		/* of the last Invite; reason and retry are the bytes */
	STEP_DIAL,		/* bob: port, family, route are the bytes */
	STEP_CHECK,		/* our network changed; bit 4: services changed */
	STEP_CLOSE,
	STEP_PATH,		/* come to a port of a session, say the bytes; bit 4: a good preamble before them */
	STEP_NOMINATE,		/* the same on the path that was made last; a nomination */
	STEP_UNDER,		/* bytes under TLS */
	STEP_COUNT
};

#define DIALS	3	/* of one input */
#define TURNS	8

static SSL_CTX *tls;
static uint16_t port;
static int listener;
static struct fuzz_node *n;

static struct far far;
static struct key bob, self;
static unsigned int dialled, done;
static int path = -1;

static struct heard {		/* the last Invite */
	bool invited;
	uint8_t session[SESSION_SIZE];
	uint8_t body[LIMIT_FRAME];
	size_t size;
} heard;
static uint8_t called[SESSION_SIZE];	/* of our last invitation */

/* Encryption is a process of its own, and a target of its own (fuzz_seal.c) */
struct crypt_job *__wrap_crypt_start(struct crypts *crypts, bool caller, const uint8_t *session, const uint8_t *key,
				     int fd, uint64_t patience, crypt_done *on_done, void *arg);

struct crypt_job *__wrap_crypt_start(struct crypts *crypts, bool caller, const uint8_t *session, const uint8_t *key,
				     int fd, uint64_t patience, crypt_done *on_done, void *arg)
{
	(void)crypts;
	(void)caller;
	(void)session;
	(void)key;
	(void)patience;
	(void)on_done;
	(void)arg;
	close(fd);
	errno = EAGAIN;
	return NULL;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const uint8_t server_seed[KEY_SIZE] = "server", bob_seed[KEY_SIZE] = "bob", self_seed[KEY_SIZE] = "self";
	struct key server;

	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	log_init("fuzz", getenv("PUNCH_LOG") ? getenv("PUNCH_LOG") : "error", NULL);
	MUST(key_from_seed(&server, server_seed) == 0 && key_from_seed(&bob, bob_seed) == 0 &&
	     key_from_seed(&self, self_seed) == 0);
	tls = tls_context(&server, true);
	MUST(tls);
	listener = fuzz_listen(1, &port);
	n = fuzz_node_prepare(port, &server, &self, &bob);
	return 0;
}

/* ------------------------------------------------------------ what the node says */

static void on_message(void *arg, const Punch__Message *message)
{
	(void)arg;
	switch (message->kind_case) {
	case PUNCH__MESSAGE__KIND_HELLO: case PUNCH__MESSAGE__KIND_PING: case PUNCH__MESSAGE__KIND_PONG:
		break;
	case PUNCH__MESSAGE__KIND_INVITE:
		MUST(message->invite->session.len == SESSION_SIZE && message->invite->payload);
		MUST(message->invite->to.len == KEY_SIZE && memcmp(message->invite->to.data, bob.public, KEY_SIZE) == 0);
		memcpy(heard.session, message->invite->session.data, SESSION_SIZE);
		heard.size = message->invite->payload->body.len;
		memcpy(heard.body, message->invite->payload->body.data, heard.size);
		heard.invited = true;
		break;
	case PUNCH__MESSAGE__KIND_REPLY:
		/* With an answer only to what bob signed; and he signs nothing without an identifier of ours */
		MUST(!message->reply->payload || (message->reply->session.len == SESSION_SIZE &&
		     memcmp(message->reply->session.data, called, 8) == 0));
		break;
	default:
		MUST(!"a message that nodes say");
	}
}

static void turn(void)
{
	fuzz_turn(n->node.base, TURNS);
	far_hear(&far, on_message, NULL);
	fuzz_node_accept(n);
}

static void on_done(void *arg, const struct session_result *result)
{
	bool *over = arg;

	MUST(!*over && (result->fd >= 0) == (result->error == 0) && result->error >= 0);
	*over = true;
	done++;
	if (result->fd >= 0)
		close(result->fd);
}

/* ------------------------------------------------------------ what it is told */

/* A packed message, and bytes behind it: protobuf merges them */
static void frame_of(const Punch__Message *message, const uint8_t *data, size_t size)
{
	uint8_t bytes[2 * LIMIT_FRAME];
	size_t packed = punch__message__get_packed_size(message);

	if (packed + size > sizeof(bytes))
		return;
	punch__message__pack(message, bytes);
	if (size)
		memcpy(bytes + packed, data, size);
	far_frame(&far, bytes, packed + size);
}

static void welcome(const uint8_t *data, size_t size)
{
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Welcome body = PUNCH__WELCOME__INIT;

	body.version = PROTOCOL_VERSION;
	body.keepalive_s = 25;
	message.kind_case = PUNCH__MESSAGE__KIND_WELCOME;
	message.welcome = &body;
	frame_of(&message, data, size);
}

static struct description describe(void)
{
	static const struct endpoint host = { .family = AF_INET, .port = 9, .address = { 127, 0, 0, 1 } };
	struct description d = {
		.count = 2, .mapping = PUNCH__MAPPING__MAPPING_ENDPOINT_INDEPENDENT, .port_rule = 1, .guess = true,
		.candidates = { { 1, 126u << 24, host }, { 3, 100u << 24, { .family = AF_INET, .port = 40003, .address = { 198, 51, 100, 1 } } } },
	};

	return d;
}

/* Body, and bytes behind it, signed by bob */
static void signed_by_bob(Punch__Signed *payload, struct body *body, const char *context, const struct chunk *chunk)
{
	size_t more = chunk->head & 16 ? 0 : chunk->size;
	uint8_t *bytes = realloc(body->data, body->size + more + 1);

	MUST(bytes);
	memcpy(bytes + body->size, chunk->data, more);
	body->data = bytes;
	body->size += more;
	MUST(key_sign(&bob, context, bytes, body->size, body->signature) == 0);
	payload->body = convert_bytes(bytes, body->size);
	payload->signature = convert_bytes(body->signature, SIGNATURE_SIZE);
}

static void invited(const struct chunk *chunk)
{
	struct invitation in = { .port = FUZZ_SERVICE, .encrypt = PUNCH__ENCRYPT__ENCRYPT_NO, .description = describe() };
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Invited outer = PUNCH__INVITED__INIT;
	Punch__Signed payload = PUNCH__SIGNED__INIT;
	struct ephemeral ephemeral;
	struct body body;

	MUST(ephemeral_make(&ephemeral) == 0);
	secret_random(in.session, sizeof(in.session));
	memcpy(in.session, called, 8);
	memcpy(called, in.session, sizeof(called));
	memcpy(in.caller_key, bob.public, KEY_SIZE);
	memcpy(in.callee_key, self.public, KEY_SIZE);
	memcpy(in.ephemeral, ephemeral.public, KEY_SIZE);
	ephemeral_wipe(&ephemeral);
	MUST(invitation_sign(&in, &bob, &body) == 0);
	signed_by_bob(&payload, &body, KEY_CONTEXT_INVITATION, chunk);
	outer.session = convert_bytes(in.session, SESSION_SIZE);
	outer.from = convert_bytes(bob.public, KEY_SIZE);
	outer.payload = &payload;
	outer.caller_rtt_us = outer.own_rtt_us = 1000;
	message.kind_case = PUNCH__MESSAGE__KIND_INVITED;
	message.invited = &outer;
	frame_of(&message, chunk->data, chunk->head & 16 ? chunk->size : 0);
	body_free(&body);
}

static void answered(const struct chunk *chunk)
{
	struct answer out = { .status = PUNCH__ANSWER_STATUS__ANSWER_ACCEPTED, .encrypt = 2, .description = describe() };
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Answered outer = PUNCH__ANSWERED__INIT;
	Punch__Signed payload = PUNCH__SIGNED__INIT;
	struct ephemeral ephemeral;
	struct body body;

	MUST(ephemeral_make(&ephemeral) == 0);
	memcpy(out.session, heard.session, SESSION_SIZE);
	memcpy(out.caller_key, self.public, KEY_SIZE);
	memcpy(out.callee_key, bob.public, KEY_SIZE);
	memcpy(out.ephemeral, ephemeral.public, KEY_SIZE);
	ephemeral_wipe(&ephemeral);
	MUST(secret_hash(heard.body, heard.size, out.invitation_hash) == 0 && answer_sign(&out, &bob, &body) == 0);
	signed_by_bob(&payload, &body, KEY_CONTEXT_ANSWER, chunk);
	outer.session = convert_bytes(heard.session, SESSION_SIZE);
	outer.payload = &payload;
	outer.callee_rtt_us = outer.own_rtt_us = 1000;
	message.kind_case = PUNCH__MESSAGE__KIND_ANSWERED;
	message.answered = &outer;
	frame_of(&message, chunk->data, chunk->head & 16 ? chunk->size : 0);
	body_free(&body);
}

static void go(const struct chunk *chunk)
{
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Go body = PUNCH__GO__INIT;

	body.session = convert_bytes(chunk->head & 16 ? called : heard.session, SESSION_SIZE);
	message.kind_case = PUNCH__MESSAGE__KIND_GO;
	message.go = &body;
	frame_of(&message, chunk->data, chunk->size);
}

static void failed(const struct chunk *chunk)
{
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Failed body = PUNCH__FAILED__INIT;

	body.session = convert_bytes(heard.session, SESSION_SIZE);
	body.reason = (Punch__FailReason)(chunk->size ? chunk->data[0] % 8 : 1);
	body.retry = chunk->size > 1 && chunk->data[1];
	message.kind_case = PUNCH__MESSAGE__KIND_FAILED;
	message.failed = &body;
	frame_of(&message, NULL, 0);
}

static void dial(const struct chunk *chunk)
{
	static bool over[DIALS];
	const uint8_t *b = chunk->data;
	struct peer peer;

	if (dialled == DIALS || chunk->size < 3)
		return;
	MUST(peer_by_key(&n->node, bob.public, &peer) == 0);
	over[dialled] = false;
	session_dial(&n->node, &peer, b[0] & 1 ? 0 : 8080, b[1] & 1 ? AF_INET6 : AF_INET, 15000, b[2] % 3, on_done, NULL,
		     &over[dialled]);
	dialled++;
}

/* ------------------------------------------------------------ paths */

static void say_on_path(const struct session *s, enum preamble_kind kind, const struct chunk *chunk)
{
	uint8_t preamble[PREAMBLE_SIZE];

	if (path < 0)
		return;
	if (s && chunk->head & 16 && preamble_make(preamble, kind, s->id, &s->secret) == 0)
		send(path, preamble, sizeof(preamble), MSG_NOSIGNAL | MSG_DONTWAIT);
	if (chunk->size)
		send(path, chunk->data, chunk->size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void step_path(const struct chunk *chunk)
{
	const struct session *s = TAILQ_FIRST(&n->node.sessions->list);
	struct endpoint to = { .family = AF_INET, .address = { 127, 0, 0, 1 } };

	if (!s || !s->lanes[0].port)
		return;
	if (path >= 0)
		close(path);
	to.port = s->lanes[0].port->number;
	path = fuzz_connect(&to);
	fuzz_turn(n->node.base, 2);
	say_on_path(s, s->caller ? PREAMBLE_CALLEE : PREAMBLE_CALLER, chunk);
}

static void step(const struct chunk *chunk)
{
	switch ((enum step)((chunk->head & 15) % STEP_COUNT)) {
	case STEP_BYTES:
		far_say(&far, chunk->data, chunk->size);
		break;
	case STEP_FRAME:
		far_frame(&far, chunk->data, chunk->size);
		break;
	case STEP_WELCOME:
		welcome(chunk->data, chunk->size);
		break;
	case STEP_INVITED:
		invited(chunk);
		break;
	case STEP_ANSWERED:
		answered(chunk);
		break;
	case STEP_GO:
		go(chunk);
		break;
	case STEP_FAILED:
		failed(chunk);
		break;
	case STEP_DIAL:
		dial(chunk);
		break;
	case STEP_CHECK:
		if (chunk->head & 16)
			uplink_hello_changed(n->node.uplinks[0]);
		else
			uplink_check(n->node.uplinks[0]);
		break;
	case STEP_CLOSE:
		far_close(&far);
		break;
	case STEP_PATH:
		step_path(chunk);
		break;
	case STEP_NOMINATE:
		say_on_path(TAILQ_FIRST(&n->node.sessions->list), PREAMBLE_NOMINATE, chunk);
		break;
	case STEP_UNDER:
		if (far.fd >= 0 && chunk->size)
			send(far.fd, chunk->data, chunk->size, MSG_NOSIGNAL | MSG_DONTWAIT);
		break;
	case STEP_COUNT:
		break;
	}
	turn();
}

static int await_node(void)
{
	struct pollfd dialled_us = { .fd = listener, .events = POLLIN };
	int fd = -1, i;

	for (i = 0; i < 250 && fd < 0; i++) {
		if (i >= 50)	/* the kernel may be late where the processor is not ours */
			poll(&dialled_us, 1, 1);
		fuzz_turn(n->node.base, 1);
		fd = fuzz_accept(listener);
	}
	MUST(fd >= 0);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct chunk chunk;

	if (!size)
		return 0;
	dialled = done = 0;
	heard.invited = false;
	heard.size = 0;
	secret_random(called, sizeof(called));
	fuzz_node_start(n);
	far.fd = await_node();
	if (!(data[0] & 2))
		MUST(far_open(&far, n->node.base, tls, far.fd, true));
	fuzz_turn(n->node.base, TURNS);
	if (!(data[0] & 1))
		welcome(NULL, 0);
	turn();
	for (data++, size--; fuzz_chunk(&data, &size, &chunk);)
		step(&chunk);
	far_close(&far);
	fuzz_turn(n->node.base, 2);
	if (path >= 0)
		close(path);
	path = -1;
	MUST(done <= dialled);
	fuzz_node_stop(n);
	return 0;
}
