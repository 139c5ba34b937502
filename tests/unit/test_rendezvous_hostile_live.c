/* SPDX-License-Identifier: MIT */
/*
 * test_rendezvous_hostile_live.c - the real punch-rendezvous with clients that do what they must not
 *
 * After each of them a good node must be served as before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/frame.h"
#include "common/stun.h"
#include "common/tls.h"
#include "rendezvous/limits.h"
#include "tests/unit/rdv_client.h"

#define MALFORMED	PUNCH__FAIL_REASON__FAIL_MALFORMED
#define LIMIT		PUNCH__FAIL_REASON__FAIL_LIMIT

static struct rdv rdv;
static struct node good, peer;

/* Started first, looked at last, so that their 10 s pass beside the other tests */
static int slow_tcp;
static struct node slow_hello;
static uint64_t started;

/* A fresh node, with Hello said or not, sends this; Failed must say why and the connection must end */
static int answer_to(bool hello, const void *bytes, size_t size)
{
	struct node node = { .fd = -1 };
	int reason;

	assert_true(hello ? rdv_online(&rdv, &node, true) : node_connect(&node, rdv.address, rdv.port));
	assert_true(node_write(&node, bytes, size));
	reason = rdv_failed(&node, 0);
	assert_true(rdv_closed(&node));
	node_free(&node);
	assert_true(rdv_ping(&good));
	return reason;
}

static int answer_to_message(bool hello, const Punch__Message *message)
{
	uint8_t *frame;
	ssize_t size = frame_pack(&message->base, &frame);
	int reason;

	assert_true(size > 0);
	reason = answer_to(hello, frame, (size_t)size);
	free(frame);
	return reason;
}

static void test_frames_that_are_none(void **state)
{
	static const uint8_t huge[] = "\xff\xff\xff\xff rest", empty[] = "\0\0\0\0";
	static const uint8_t above[] = "\0\0\x40\1", unparsable[] = "\0\0\0\4\xff\xff\xff\xff";
	static const uint8_t unknown_kind[] = "\0\0\0\4\xfa\x06\x01x";	/* field 111 */

	(void)state;
	for (int hello = 0; hello < 2; hello++) {
		assert_int_equal(answer_to(hello, huge, sizeof(huge) - 1), MALFORMED);
		assert_int_equal(answer_to(hello, empty, 4), MALFORMED);
		assert_int_equal(answer_to(hello, above, 4), MALFORMED);
		assert_int_equal(answer_to(hello, unparsable, 8), MALFORMED);
		assert_int_equal(answer_to(hello, unknown_kind, 8), MALFORMED);
	}
}

/* Behind a bad frame there is much more: Failed must not drown in a RST */
static void test_refusal_reaches_a_node_that_talks_on(void **state)
{
	static uint8_t talk[100000] = { 0xff };

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(answer_to(i % 2, talk, sizeof(talk)), MALFORMED);
}

static void test_messages_out_of_place(void **state)
{
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Ping ping = PUNCH__PING__INIT;
	Punch__Hello hello;
	Punch__Go go = PUNCH__GO__INIT;

	(void)state;
	message.kind_case = PUNCH__MESSAGE__KIND_PING;
	message.ping = &ping;
	assert_int_equal(answer_to_message(false, &message), MALFORMED);
	punch__hello__init(&hello);
	message.kind_case = PUNCH__MESSAGE__KIND_HELLO;
	message.hello = &hello;
	hello.version = PROTOCOL_VERSION + 1;
	assert_int_equal(answer_to_message(false, &message), PUNCH__FAIL_REASON__FAIL_VERSION);
	message.kind_case = PUNCH__MESSAGE__KIND_GO;
	message.go = &go;
	assert_int_equal(answer_to_message(true, &message), MALFORMED);
}

static void test_sizes_in_invite_and_reply(void **state)
{
	static uint8_t bytes[16000];
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Invite invite = PUNCH__INVITE__INIT;
	Punch__Reply reply = PUNCH__REPLY__INIT;
	Punch__Signed payload = PUNCH__SIGNED__INIT;

	(void)state;
	message.kind_case = PUNCH__MESSAGE__KIND_INVITE;
	message.invite = &invite;
	assert_int_equal(answer_to_message(true, &message), MALFORMED);
	invite.session = convert_bytes(bytes, SESSION_SIZE);
	assert_int_equal(answer_to_message(true, &message), MALFORMED);
	invite.to = convert_bytes(bytes, KEY_SIZE);
	assert_int_equal(answer_to_message(true, &message), MALFORMED);
	invite.payload = &payload;
	assert_int_equal(answer_to_message(true, &message), MALFORMED);
	payload.body = convert_bytes(bytes, 100);
	assert_int_equal(answer_to_message(true, &message), MALFORMED);
	payload.signature = convert_bytes(bytes, SIGNATURE_SIZE);
	payload.body = convert_bytes(bytes, 4097);
	assert_int_equal(answer_to_message(true, &message), MALFORMED);
	payload.body = convert_bytes(bytes, 100);
	invite.session = convert_bytes(bytes, SESSION_SIZE + 1);
	assert_int_equal(answer_to_message(true, &message), MALFORMED);
	message.kind_case = PUNCH__MESSAGE__KIND_REPLY;
	message.reply = &reply;
	assert_int_equal(answer_to_message(true, &message), MALFORMED);
	reply.session = convert_bytes(bytes, SESSION_SIZE);
	reply.payload = &payload;
	payload.signature.len = 3;
	assert_int_equal(answer_to_message(true, &message), MALFORMED);
}

static void test_largest_payload_passes(void **state)
{
	static char body[4096 + 1];

	(void)state;
	memset(body, 'x', sizeof(body) - 1);
	assert_true(rdv_invite(&good, 9, &peer, body));
	Punch__Message *message = rdv_expect(&peer, PUNCH__MESSAGE__KIND_INVITED);
	assert_non_null(message);
	assert_int_equal(message->invited->payload->body.len, 4096);
	punch__message__free_unpacked(message, NULL);
	assert_true(rdv_reply(&peer, 9, body));
	message = rdv_expect(&good, PUNCH__MESSAGE__KIND_ANSWERED);
	assert_non_null(message);
	assert_int_equal(message->answered->payload->body.len, 4096);
	punch__message__free_unpacked(message, NULL);
	punch__message__free_unpacked(rdv_expect(&good, PUNCH__MESSAGE__KIND_GO), NULL);
	punch__message__free_unpacked(rdv_expect(&peer, PUNCH__MESSAGE__KIND_GO), NULL);
}

static void test_flood_of_messages(void **state)
{
	static uint8_t pings[3000][8];
	struct node node = { .fd = -1 };
	Punch__Message *message;
	int pongs = 0, reason = -1;

	(void)state;
	for (int i = 0; i < 3000; i++)
		memcpy(pings[i], "\0\0\0\4\x1a\2\x08\x07", 8);	/* Ping{7} */
	assert_true(rdv_online(&rdv, &node, false));
	assert_true(node_write(&node, pings, sizeof(pings)));
	while ((message = node_recv(&node))) {
		pongs += message->kind_case == PUNCH__MESSAGE__KIND_PONG;
		if (message->kind_case == PUNCH__MESSAGE__KIND_FAILED)
			reason = (int)message->failed->reason;
		punch__message__free_unpacked(message, NULL);
	}
	assert_int_equal(reason, LIMIT);
	assert_in_range(pongs, 1900, 2900);
	node_free(&node);
	assert_true(rdv_ping(&good));
}

static void test_flood_of_invitations_leaves_the_connection(void **state)
{
	struct node node = { .fd = -1 }, nobody = { .fd = -1 };
	int limited = 0;

	(void)state;
	assert_int_equal(key_generate(&nobody.key), 0);
	assert_true(rdv_online(&rdv, &node, false));
	for (int i = 0; i < 300; i++)
		assert_true(rdv_invite(&node, 1, &nobody, "x"));
	for (int i = 0; i < 300; i++)
		limited += rdv_failed(&node, 1) == LIMIT + RETRY;
	assert_in_range(limited, 50, 100);
	assert_true(rdv_ping(&node));
	node_free(&node);
	node_free(&nobody);
}

/* Each of these keys stays below its own rate */
static void test_flood_of_invitations_from_one_address(void **state)
{
	struct rdv other = { .port = 0 };
	struct node nodes[16], nobody = { .fd = -1 };
	int limited = 0;

	(void)state;
	rdv_start(&other, "", 0);
	assert_int_equal(key_generate(&nobody.key), 0);
	for (int i = 0; i < 16; i++) {
		nodes[i] = (struct node){ .fd = -1 };
		assert_true(rdv_online(&other, &nodes[i], false));
	}
	for (int i = 0; i < 16 * 190; i++)
		assert_true(rdv_invite(&nodes[i % 16], 1, &nobody, "x"));
	for (int i = 0; i < 16 * 190; i++)
		limited += rdv_failed(&nodes[i % 16], 1) == LIMIT + RETRY;
	assert_in_range(limited, 1, 16 * 190 - 2000);
	assert_true(rdv_ping(&nodes[0]));
	for (int i = 0; i < 16; i++)
		node_free(&nodes[i]);
	node_free(&nobody);
	assert_int_equal(rdv_stop(&other), 0);
	live_folder_remove(other.folder);
}

static bool online_with_little_room(struct node *node, bool receive)
{
	bool online;

	live_reads = 4096;
	online = rdv_online(&rdv, node, receive);
	live_reads = 0;
	return online;
}

static bool has_queue(void *arg)
{
	(void)arg;
	return rdv_metric(&rdv, "queued_bytes") >= RDV_QUEUE_OWN;
}

/* The same so many times in a row: nothing is under way any more */
static bool is_at_rest(void *arg)
{
	static long long last;
	static int times;
	long long now = rdv_metric(&rdv, "queued_bytes");

	(void)arg;
	times = now == last ? times + 1 : 0;
	last = now;
	return times >= 20;
}

/* It asks and reads no answer: it is not listened to any more, until it has read, and then each question is answered */
static void test_node_that_does_not_read(void **state)
{
	enum { COUNT = 1900 };
	struct node deaf = { .fd = -1, .from = "127.0.0.2" };

	(void)state;
	assert_true(online_with_little_room(&deaf, false));
	assert_true(rdv_ask(&deaf, COUNT));
	assert_true(live_until(has_queue, NULL));
	assert_true(live_until(is_at_rest, NULL));
	assert_true(rdv_ping(&good));
	assert_in_range(rdv_metric(&rdv, "queued_bytes"), RDV_QUEUE_OWN, 2 * RDV_QUEUE_OWN + 8192);
	for (int i = 0; i < COUNT; i++) {
		Punch__Message *message = rdv_expect(&deaf, PUNCH__MESSAGE__KIND_FAILED);

		assert_non_null(message);
		punch__message__free_unpacked(message, NULL);
	}
	assert_true(rdv_ping(&deaf));
	node_free(&deaf);
}

/*
 * One key sends as many as it can at once to one that reads slowly: most are refused, who is called stays, hears what
 * came through, and a caller from elsewhere beside it
 */
static void test_burst_of_large_invitations(void **state)
{
	enum { COUNT = 200, HONEST = 250 };
	static char body[4096 + 1];
	static const char *const elsewhere[] = { "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6", "127.0.0.7" };
	struct node callee = { .fd = -1 }, caller = { .fd = -1 }, honest = { .fd = -1 };
	unsigned int tries = 0;
	Punch__Message *message;
	int refused = 0;

	(void)state;
	memset(body, 'x', sizeof(body) - 1);
	assert_true(online_with_little_room(&callee, true) && rdv_online(&rdv, &caller, false));
	for (int i = 0; i < COUNT; i++)
		assert_true(rdv_invite(&caller, (uint8_t)(1 + i), &callee, body));
	/* the last ones are refused, and in order */
	while ((message = rdv_expect(&caller, PUNCH__MESSAGE__KIND_FAILED))) {
		bool last = message->failed->session.data[0] == COUNT;

		assert_int_equal(message->failed->reason, LIMIT);
		refused++;
		punch__message__free_unpacked(message, NULL);
		if (last)
			break;
	}
	assert_in_range(refused, COUNT / 2, COUNT - 10);
	assert_in_range(rdv_metric(&rdv, "queued_bytes"), 0, RDV_RING_QUEUE + 8192);
	/* one address in 32 shares the fate of the flood's */
	do {
		assert_in_range(tries, 0, 4);
		node_close(&honest);
		honest.from = elsewhere[tries++];
		assert_true(rdv_online(&rdv, &honest, false));
		assert_true(rdv_invite(&honest, HONEST, &callee, body));
	} while (!rdv_ping(&honest));
	for (int i = refused; i < COUNT; i++) {
		message = rdv_expect(&callee, PUNCH__MESSAGE__KIND_INVITED);
		assert_non_null(message);
		punch__message__free_unpacked(message, NULL);
	}
	assert_true(rdv_finish(&honest, &callee, HONEST));
	assert_true(rdv_ping(&callee));
	node_free(&callee);
	node_free(&caller);
	node_free(&honest);
}

/* Many connections of one address, each below its own rate: what is above the address's waits, and nobody is to blame */
static void test_flood_of_messages_from_one_address(void **state)
{
	enum { NODES = 8, COUNT = 1500 };
	static uint8_t pings[COUNT][8];
	struct node nodes[NODES], neighbour = { .fd = -1 };
	uint64_t from;

	(void)state;
	for (int i = 0; i < COUNT; i++)
		memcpy(pings[i], "\0\0\0\4\x1a\2\x08\x07", 8);	/* Ping{7} */
	for (int i = 0; i < NODES; i++) {
		nodes[i] = (struct node){ .fd = -1, .from = "127.0.0.4" };
		assert_true(rdv_online(&rdv, &nodes[i], false));
	}
	neighbour.from = "127.0.0.4";
	assert_true(rdv_online(&rdv, &neighbour, false));
	from = clock_now();
	for (int i = 0; i < NODES; i++)
		assert_true(node_write(&nodes[i], pings, sizeof(pings)));
	assert_true(rdv_ping(&good));
	assert_true(rdv_ping(&neighbour));
	for (int i = 0; i < NODES; i++)
		for (int n = 0; n < COUNT; n++) {
			Punch__Message *message = rdv_expect(&nodes[i], PUNCH__MESSAGE__KIND_PONG);

			assert_non_null(message);
			punch__message__free_unpacked(message, NULL);
		}
	/* the burst at once, the others as the rate lets them */
	assert_in_range(clock_now() - from, SECOND, 15 * SECOND);
	for (int i = 0; i < NODES; i++)
		node_free(&nodes[i]);
	node_free(&neighbour);
}

static void test_no_tls_and_no_key(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	char byte;
	int fd = live_connect(rdv.address, rdv.port);

	(void)state;
	/* HTTP on the port: an alert at most, then the end */
	send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL);
	while (recv(fd, &byte, 1, 0) > 0)
		;
	close(fd);
	/* TLS 1.3 without a certificate */
	fd = live_connect(rdv.address, rdv.port);
	SSL_set_alpn_protos(ssl, (const uint8_t *)"\x07punch/1", 8);
	SSL_set_fd(ssl, fd);
	SSL_connect(ssl);
	assert_true(SSL_read(ssl, &byte, 1) <= 0);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	assert_true(rdv_ping(&good));
}

static void test_probe_with_rubbish(void **state)
{
	static const char http[] = "GET / HTTP/1.1\r\nHost: probe\r\n\r\n";
	uint8_t id[STUN_ID] = { 0 }, request[STUN_MAX], answer[65536];
	int fd = live_connect("127.0.0.1", rdv.probes[0]), answers = 0;
	size_t size = stun_request(request, id);
	ssize_t n;

	(void)state;
	assert_int_equal(send(fd, http, sizeof(http) - 1, MSG_NOSIGNAL), sizeof(http) - 1);
	assert_true(recv(fd, answer, sizeof(answer), 0) <= 0);
	close(fd);
	/* a flood is cut off */
	fd = live_connect("127.0.0.1", rdv.probes[0]);
	for (int i = 0; i < 300; i++)
		send(fd, request, size, MSG_NOSIGNAL);
	while ((n = recv(fd, answer, sizeof(answer), 0)) > 0)
		answers += (int)n;
	assert_in_range(answers, 1, 200 * 32);
	close(fd);
}

static bool is_out_of_descriptors(void *folder)
{
	return live_log_has(folder, "out of descriptors");
}

static bool will_read_again(void *folder)
{
	return live_log_has(folder, "the old list stays, until this one can be read");
}

/* More than 8 who look at the figures: the others are closed at once, and nothing else is */
static void test_scrapers_are_few(void **state)
{
	int fds[20], open = 0;
	char byte;

	(void)state;
	for (int i = 0; i < 20; i++)
		fds[i] = live_connect("127.0.0.1", rdv.metrics);
	/* the last one has been looked at: so have those before */
	assert_int_equal(recv(fds[19], &byte, 1, 0), 0);
	for (int i = 0; i < 20; i++)
		open += recv(fds[i], &byte, 1, MSG_DONTWAIT) < 0;
	assert_int_equal(open, RDV_SCRAPERS);
	assert_true(rdv_ping(&good));
	for (int i = 0; i < 20; i++)
		close(fds[i]);
}

/* Its tables are as large as what it had at its start: then there is less, as where the whole system runs out */
static void test_out_of_descriptors(void **state)
{
	const struct rlimit less = { .rlim_cur = 60, .rlim_max = 60 };
	struct rdv small = { .port = 0 };
	struct node node = { .fd = -1 }, revoked = { .fd = -1 };
	char text[KEY_TEXT_SIZE];
	unsigned int cpu;
	struct stat log;
	int fds[100];

	(void)state;
	live_folder(small.folder);
	assert_int_equal(key_generate(&node.key) | key_generate(&revoked.key), 0);
	live_write(small.folder, "friends", key_text(revoked.key.public, text));
	rdv_start(&small, "allow = friends\n", 0);
	assert_true(rdv_online(&small, &revoked, true));
	assert_return_code(prlimit(small.program.pid, RLIMIT_NOFILE, &less, NULL), errno);
	for (int i = 0; i < 100; i++)
		fds[i] = live_connect(small.address, i % 2 ? small.port : small.metrics);
	assert_true(live_until(is_out_of_descriptors, small.folder));
	/* half a second to measure in: it must not spin on what it cannot accept */
	cpu = live_cpu_ms(small.program.pid);
	poll(NULL, 0, 500);
	assert_in_range(live_cpu_ms(small.program.pid) - cpu, 0, 50);
	assert_int_equal(stat(live_path(small.folder, "log"), &log), 0);
	assert_in_range(log.st_size, 1, 256 * 1024);
	/* nor to read a file: that is done later */
	live_write(small.folder, "friends", key_text(node.key.public, text));
	kill(small.program.pid, SIGHUP);
	assert_true(live_until(will_read_again, small.folder));
	for (int i = 0; i < 100; i++)
		close(fds[i]);
	assert_int_equal(rdv_failed(&revoked, 0), PUNCH__FAIL_REASON__FAIL_NOT_ALLOWED);
	assert_true(rdv_online(&small, &node, false));
	node_free(&node);
	node_free(&revoked);
	assert_int_equal(rdv_stop(&small), 0);
	live_folder_remove(small.folder);
}

static void test_slow_clients_are_closed(void **state)
{
	char byte;

	(void)state;
	assert_true(rdv_closed(&slow_hello));
	assert_int_equal(recv(slow_tcp, &byte, 1, 0), 0);
	assert_in_range(clock_now() - started, 9 * SECOND, 30 * SECOND);
	assert_int_equal(rdv_metric(&rdv, "closed_total{reason=\"slow\"}"), 2);
	close(slow_tcp);
	node_free(&slow_hello);
	assert_true(rdv_ping(&good));
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	alarm(150);
	rdv_start(&rdv, "", 0);
	started = clock_now();
	slow_tcp = live_connect(rdv.address, rdv.port);
	if (!node_connect(&slow_hello, rdv.address, rdv.port) || !rdv_online(&rdv, &good, true) ||
	    !rdv_online(&rdv, &peer, true))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	int status = rdv_stop(&rdv);

	(void)state;
	node_free(&good);
	node_free(&peer);
	live_folder_remove(rdv.folder);
	return status;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_that_are_none),
		cmocka_unit_test(test_refusal_reaches_a_node_that_talks_on),
		cmocka_unit_test(test_messages_out_of_place),
		cmocka_unit_test(test_sizes_in_invite_and_reply),
		cmocka_unit_test(test_largest_payload_passes),
		cmocka_unit_test(test_flood_of_messages),
		cmocka_unit_test(test_flood_of_invitations_leaves_the_connection),
		cmocka_unit_test(test_flood_of_invitations_from_one_address),
		cmocka_unit_test(test_node_that_does_not_read),
		cmocka_unit_test(test_burst_of_large_invitations),
		cmocka_unit_test(test_flood_of_messages_from_one_address),
		cmocka_unit_test(test_no_tls_and_no_key),
		cmocka_unit_test(test_probe_with_rubbish),
		cmocka_unit_test(test_scrapers_are_few),
		cmocka_unit_test(test_out_of_descriptors),
		cmocka_unit_test(test_slow_clients_are_closed),
	};

	return cmocka_run_group_tests_name("rendezvous_hostile_live", tests, setup, teardown);
}
