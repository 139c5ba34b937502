/* SPDX-License-Identifier: MIT */
/*
 * test_uplink_hostile.c - resolver/uplink*.c against servers that lie, babble or fall silent
 *
 * The server is ours and runs in the same loop: it speaks real TLS and then says
 * whatever the test wants, which no real server would.
 */
#include <netinet/in.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>

#include "tests/unit/scratch.h"
#include "common/clock.h"
#include "common/frame.h"
#include "common/key.h"
#include "common/tls.h"
#include "resolver/dns.h"
#include "resolver/ports.h"
#include "resolver/session.h"
#include "resolver/uplink.h"
#include "tests/unit/world.h"

static struct event_base *base;
static struct node node;
static unsigned int told, messages;
static enum uplink_state wanted;

bool node_receives(const struct node *of)
{
	(void)of;
	return true;
}

void ports_on_uplink(struct ports *ports)
{
	(void)ports;
}

void session_on_uplink(struct node *of, struct uplink *uplink)
{
	(void)of;
	(void)uplink;
	told++;
}

void session_on_message(struct node *of, struct uplink *uplink, const Punch__Message *message)
{
	(void)of;
	(void)uplink;
	(void)message;
	messages++;
}

/* --- the server */

static struct key server_key;
static SSL_CTX *server_context;
static struct evconnlistener *listener;
static struct bufferevent *client;
static unsigned int accepted;
static bool speaks_tls;
static uint8_t script[1 << 17];		/* said when the first bytes have come */
static size_t script_size;
static size_t heard;			/* bytes since the last accept, without those of TLS */
static bool left;			/* the node has ended the connection */
static uint8_t said_to_us[1 << 16];

static void on_client_bytes(struct bufferevent *bev, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(bev);
	size_t room = sizeof(said_to_us) - heard;

	(void)arg;
	if (!heard && script_size)
		bufferevent_write(bev, script, script_size);
	heard += (size_t)evbuffer_remove(input, said_to_us + heard, room);
}

static void on_client_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)arg;
	left = left || what & (BEV_EVENT_EOF | BEV_EVENT_ERROR);
}

static void on_accept(struct evconnlistener *from, evutil_socket_t fd, struct sockaddr *sa, int size, void *arg)
{
	(void)from;
	(void)sa;
	(void)size;
	(void)arg;
	accepted++;
	heard = 0;
	if (client)
		bufferevent_free(client);
	if (speaks_tls)
		client = bufferevent_openssl_socket_new(base, fd, SSL_new(server_context), BUFFEREVENT_SSL_ACCEPTING,
							BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	else
		client = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(client, on_client_bytes, NULL, on_client_event, NULL);
	bufferevent_enable(client, EV_READ | EV_WRITE);
}

static void say_bytes(const void *data, size_t size)
{
	memcpy(script + script_size, data, size);
	script_size += size;
}

static void say(const Punch__Message *message)
{
	uint8_t *frame;
	ssize_t size = frame_pack(&message->base, &frame);

	assert_true(size > 0);
	say_bytes(frame, (size_t)size);
	free(frame);
}

static void say_welcome(uint32_t version, uint32_t port, const char *probe)
{
	Punch__Endpoint message_of_probe, *probes[1] = { &message_of_probe };
	Punch__Message message;
	Punch__Welcome welcome;
	struct endpoint ep;

	punch__message__init(&message);
	punch__welcome__init(&welcome);
	welcome.version = version;
	welcome.n_probe_ports = port ? 1 : 0;
	welcome.probe_ports = &port;
	if (probe) {
		assert_int_equal(endpoint_parse(&ep, probe, 0), 0);
		endpoint_to_message(&ep, &message_of_probe);
		welcome.n_probes = 1;
		welcome.probes = probes;
	}
	message.kind_case = PUNCH__MESSAGE__KIND_WELCOME;
	message.welcome = &welcome;
	say(&message);
}

static void say_failed(Punch__FailReason reason, const char *text)
{
	char copy[512];
	Punch__Message message;
	Punch__Failed failed;

	snprintf(copy, sizeof(copy), "%s", text);
	punch__message__init(&message);
	punch__failed__init(&failed);
	failed.reason = reason;
	failed.text = copy;
	message.kind_case = PUNCH__MESSAGE__KIND_FAILED;
	message.failed = &failed;
	say(&message);
}

static void say_ping(uint64_t nonce)
{
	Punch__Message message;
	Punch__Ping ping;

	punch__message__init(&message);
	punch__ping__init(&ping);
	ping.nonce = nonce;
	message.kind_case = PUNCH__MESSAGE__KIND_PING;
	message.ping = &ping;
	say(&message);
}

/* Messages of sessions: @kind Go, or Hello, which only nodes say */
static void say_go(void)
{
	uint8_t session[SESSION_SIZE] = { 1 };
	Punch__Message message;
	Punch__Go go;

	punch__message__init(&message);
	punch__go__init(&go);
	go.session = (ProtobufCBinaryData){ sizeof(session), session };
	message.kind_case = PUNCH__MESSAGE__KIND_GO;
	message.go = &go;
	say(&message);
}

/* --- a test: connect and see */

static bool in_state(void *arg)
{
	(void)arg;
	return uplink_state(node.uplinks[0]) == wanted && (wanted != UPLINK_IDLE || *uplink_problem(node.uplinks[0]));
}

static void run(enum uplink_state state, const char *problem)
{
	struct sockaddr_in sin;
	socklen_t size = sizeof(sin);
	char to[64];

	getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&sin, &size);
	snprintf(to, sizeof(to), "127.0.0.1:%u", ntohs(sin.sin_port));
	node.uplinks[0] = uplink_new(&node, to);
	wanted = state;
	if (!world_until(base, in_state, NULL))
		fail_msg("still %s: %s", uplink_state_name(uplink_state(node.uplinks[0])),
			 uplink_problem(node.uplinks[0]));
	if (problem && !strstr(uplink_problem(node.uplinks[0]), problem))
		fail_msg("\"%s\" does not say \"%s\"", uplink_problem(node.uplinks[0]), problem);
}

static int begin(void **state)
{
	(void)state;
	told = messages = accepted = 0;
	node.uplink_count = 1;
	heard = script_size = 0;
	left = false;
	speaks_tls = true;
	return 0;
}

static int end(void **state)
{
	(void)state;
	uplink_free(node.uplinks[0]);
	node.uplinks[0] = NULL;
	if (client)
		bufferevent_free(client);
	client = NULL;
	return 0;
}

/* --- before the greeting */

static void server_without_tls_is_told_from_a_rendezvous(void **state)
{
	(void)state;
	speaks_tls = false;
	say_bytes("SSH-2.0-OpenSSH_9.2p1\r\n", 23);
	run(UPLINK_IDLE, "is it a punch rendezvous?");
	assert_int_equal(told, 0);
}

static void silent_listener_is_given_up(void **state)
{
	uint64_t begun = clock_now();

	(void)state;
	speaks_tls = false;
	run(UPLINK_IDLE, "does not answer");
	assert_true(clock_now() - begun > 9 * SECOND);
}

static void silence_after_tls_is_given_up(void **state)
{
	(void)state;
	run(UPLINK_IDLE, "does not answer");
	assert_true(heard > 0);		/* our Hello */
}

static bool has_left(void *arg)
{
	(void)arg;
	return left;
}

/* Refused for its key, with @problem, before the node has said a byte */
static void refuse_unheard(const char *problem)
{
	run(UPLINK_REFUSED, problem);
	assert_true(uplink_wrong_key(node.uplinks[0]));
	assert_true(world_until(base, has_left, NULL));
	assert_int_equal(heard, 0);
}

static void another_server_hears_nothing(void **state)
{
	char mine[KEY_TEXT_SIZE], pinned[KEY_TEXT_SIZE], line[128];
	struct sockaddr_in sin;
	socklen_t size = sizeof(sin);

	(void)state;
	strcpy(pinned, node.conf.rendezvous_key);
	strcpy(node.conf.rendezvous_key, key_text(node.key.public, mine));
	refuse_unheard("rendezvous-key");
	end(NULL);
	begin(NULL);
	node.conf.rendezvous_key[0] = '\0';
	mkdir(scratch_path("punch"), 0700);
	setenv("XDG_STATE_HOME", scratch_path(""), 1);
	getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&sin, &size);
	snprintf(line, sizeof(line), "127.0.0.1 %u %s\n", ntohs(sin.sin_port), mine);
	scratch_write("punch/known_servers", line, strlen(line), 0600);
	refuse_unheard("known_servers");
	strcpy(node.conf.rendezvous_key, pinned);
}

/* --- bytes */

static void frames_out_of_bounds_end_the_connection(void **state)
{
	static const char *const heads[] = { "\0\0\0\0", "\0\0\100\001", "\377\377\377\377" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(heads); i++) {
		begin(NULL);
		say_bytes(heads[i], 4);
		run(UPLINK_IDLE, "malformed frame");
		if (i + 1 < COUNT(heads))
			end(NULL);
	}
}

static void garbage_in_a_frame_ends_the_connection(void **state)
{
	(void)state;
	say_welcome(PROTOCOL_VERSION, 4431, NULL);
	say_bytes("\0\0\0\4\377\377\377\377", 8);
	run(UPLINK_IDLE, "malformed frame");
	assert_int_equal(told, 2);	/* ready, and lost */
}

static void largest_frame_in_small_pieces_is_read(void **state)
{
	static uint8_t body[LIMIT_FRAME];
	static const uint8_t head[] = { 0, 0, LIMIT_FRAME >> 8, 0 };

	(void)state;
	/* field 1000, bytes: unknown to us, so all of it is skipped */
	body[0] = 0xc2;
	body[1] = 0x3e;
	body[2] = (uint8_t)((LIMIT_FRAME - 5) & 0x7f) | 0x80;
	body[3] = (uint8_t)((LIMIT_FRAME - 5) >> 7 & 0x7f) | 0x80;
	body[4] = (uint8_t)((LIMIT_FRAME - 5) >> 14);
	say_bytes(head, sizeof(head));
	say_bytes(body, sizeof(body));
	say_bytes(head, sizeof(head));
	say_bytes(body, sizeof(body));
	say_welcome(PROTOCOL_VERSION, 4431, NULL);
	run(UPLINK_READY, NULL);
	assert_int_equal(messages, 0);
}

/* --- messages */

static void other_version_is_refused(void **state)
{
	(void)state;
	say_welcome(9, 4431, NULL);
	run(UPLINK_REFUSED, "version 9");
	assert_false(uplink_wrong_key(node.uplinks[0]));
}

static void message_before_welcome_is_out_of_turn(void **state)
{
	(void)state;
	say_go();
	run(UPLINK_IDLE, "out of turn");
	assert_int_equal(messages, 0);
}

static void pings_are_answered_at_any_time(void **state)
{
	(void)state;
	say_ping(0x1234);
	say_welcome(PROTOCOL_VERSION, 4431, NULL);
	say_ping(0x5678);
	say_go();
	run(UPLINK_READY, NULL);
	world_turn(base, 100);
	assert_int_equal(messages, 1);
	/* Hello, Pong, Pong: one Pong with such a nonce is 10 bytes long */
	assert_true(heard >= 10 + 10);
	assert_memory_equal(said_to_us + heard - 10, "\0\0\0\6\42\4\10\370\254\1", 10);
}

static void servers_words_cannot_move_the_cursor(void **state)
{
	const char *at;

	(void)state;
	say_failed(PUNCH__FAIL_REASON__FAIL_LIMIT, "\033[2Jtoo many\r\nlines\177\xc2\x9b" "2J");
	run(UPLINK_IDLE, "too many");
	for (at = uplink_problem(node.uplinks[0]); *at; at++)
		assert_true((unsigned char)*at >= ' ' && *at != 0x7f && (unsigned char)*at != 0x9b);
}

static void refusals_end_in_refused(void **state)
{
	static const struct {
		Punch__FailReason reason;
		const char *text;
	} cases[] = {
		{ PUNCH__FAIL_REASON__FAIL_NOT_ALLOWED, "has to allow" },
		{ PUNCH__FAIL_REASON__FAIL_VERSION, "refuses version 1" },
		{ PUNCH__FAIL_REASON__FAIL_REPLACED, "each node (each user of a host) needs a key of its own" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		begin(NULL);
		say_welcome(PROTOCOL_VERSION, 0, NULL);
		say_failed(cases[i].reason, "because");
		run(UPLINK_REFUSED, cases[i].text);
		world_turn(base, 300);
		assert_int_equal(accepted, 1);	/* it does not try again by itself now */
		if (i + 1 < COUNT(cases))
			end(NULL);
	}
}

/* Two servers of one store, both named, give the key to each other's connection */
static void of_several_servers_two_may_share_a_store(void **state)
{
	(void)state;
	node.uplink_count = 2;
	say_welcome(PROTOCOL_VERSION, 0, NULL);
	say_failed(PUNCH__FAIL_REASON__FAIL_REPLACED, "because");
	run(UPLINK_REFUSED, "share one store: name one of them alone");
}

static void messages_behind_a_refusal_are_not_heard(void **state)
{
	(void)state;
	say_welcome(PROTOCOL_VERSION, 0, NULL);
	say_failed(PUNCH__FAIL_REASON__FAIL_REPLACED, "");
	say_go();
	run(UPLINK_REFUSED, NULL);
	world_turn(base, 50);
	assert_int_equal(messages, 0);
}

/* The server is at a private address here, so it may name such; never multicast */
static void impossible_probes_are_left_out(void **state)
{
	struct endpoint probes[UPLINK_PROBES];

	(void)state;
	say_welcome(PROTOCOL_VERSION, 70000, "239.192.0.1:80");
	run(UPLINK_READY, NULL);
	assert_int_equal(uplink_probes(node.uplinks[0], probes), 0);
}

static void flood_of_messages_is_digested(void **state)
{
	unsigned int i;

	(void)state;
	say_welcome(PROTOCOL_VERSION, 4431, NULL);
	for (i = 0; i < 3000; i++)
		say_go();
	run(UPLINK_READY, NULL);
	for (i = 0; i < 50 && messages < 3000; i++)
		world_turn(base, 20);
	assert_int_equal(messages, 3000);
}

/* One that never reads: what is queued for it has a bound */
static void server_that_does_not_read_does_not_fill_memory(void **state)
{
	static uint8_t body[8192];
	uint8_t session[SESSION_SIZE] = { 0 }, signature[SIGNATURE_SIZE] = { 0 };
	Punch__Message message;
	Punch__Reply reply;
	Punch__Signed payload;
	unsigned int i;
	int error = 0;

	(void)state;
	say_welcome(PROTOCOL_VERSION, 4431, NULL);
	run(UPLINK_READY, NULL);
	bufferevent_disable(client, EV_READ);
	punch__message__init(&message);
	punch__reply__init(&reply);
	punch__signed__init(&payload);
	payload.body = (ProtobufCBinaryData){ sizeof(body), body };
	payload.signature = (ProtobufCBinaryData){ sizeof(signature), signature };
	reply.session = (ProtobufCBinaryData){ sizeof(session), session };
	reply.payload = &payload;
	message.kind_case = PUNCH__MESSAGE__KIND_REPLY;
	message.reply = &reply;
	for (i = 0; i < 100000 && !error; i++)
		error = uplink_send(node.uplinks[0], &message);
	assert_int_equal(error, -ENOMEM);
	assert_true(i < 1000);
}

/* --- */

static int setup(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	char pinned[KEY_TEXT_SIZE];

	if (scratch_setup(state) || world_isolate()) {
		perror("a network of our own");
		return -1;
	}
	base = event_base_new();
	assert_int_equal(key_generate(&server_key), 0);
	assert_int_equal(key_generate(&node.key), 0);
	server_context = tls_context(&server_key, true);
	listener = evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 16,
					   (struct sockaddr *)&sin, sizeof(sin));
	node.base = base;
	node.dns = dns_new(base);
	strcpy(node.conf.rendezvous_key, key_text(server_key.public, pinned));
	return base && server_context && listener && node.dns ? 0 : -1;
}

static int teardown(void **state)
{
	evconnlistener_free(listener);
	SSL_CTX_free(server_context);
	dns_free(node.dns);
	key_wipe(&server_key);
	key_wipe(&node.key);
	event_base_free(base);
	return scratch_teardown(state);
}

#define LIVE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		LIVE(server_without_tls_is_told_from_a_rendezvous),
		LIVE(silent_listener_is_given_up),
		LIVE(silence_after_tls_is_given_up),
		LIVE(another_server_hears_nothing),
		LIVE(frames_out_of_bounds_end_the_connection),
		LIVE(garbage_in_a_frame_ends_the_connection),
		LIVE(largest_frame_in_small_pieces_is_read),
		LIVE(other_version_is_refused),
		LIVE(message_before_welcome_is_out_of_turn),
		LIVE(pings_are_answered_at_any_time),
		LIVE(servers_words_cannot_move_the_cursor),
		LIVE(refusals_end_in_refused),
		LIVE(of_several_servers_two_may_share_a_store),
		LIVE(messages_behind_a_refusal_are_not_heard),
		LIVE(impossible_probes_are_left_out),
		LIVE(flood_of_messages_is_digested),
		LIVE(server_that_does_not_read_does_not_fill_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
