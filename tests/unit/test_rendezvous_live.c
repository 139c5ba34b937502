/* SPDX-License-Identifier: MIT */
/*
 * test_rendezvous_live.c - the real punch-rendezvous with well-behaved nodes
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/stun.h"
#include "common/tls.h"
#include "tests/unit/rdv_client.h"

static struct rdv rdv;
static uint8_t secret[RELAY_SECRET_SIZE];
static struct node alice, bob;

static void test_welcome_tells_the_truth(void **state)
{
	Punch__Message *message = node_hello(&alice, rdv.address, rdv.port, false);
	const Punch__Welcome *welcome;
	struct endpoint observed, local;
	char line[128], text[KEY_TEXT_SIZE];
	uint8_t key[KEY_SIZE];

	(void)state;
	assert_non_null(message);
	welcome = message->welcome;
	assert_int_equal(welcome->version, PROTOCOL_VERSION);
	assert_int_equal(welcome->n_probe_ports, 2);
	assert_int_equal(welcome->probe_ports[0], rdv.probes[0]);
	assert_int_equal(welcome->probe_ports[1], rdv.probes[1]);
	assert_int_equal(endpoint_from_message(&observed, welcome->observed), 0);
	assert_int_equal(endpoint_local(alice.fd, &local), 0);
	assert_true(endpoint_equal(&observed, &local));
	assert_int_equal(welcome->keepalive_s, 25);
	assert_int_equal(welcome->n_relays, 2);
	assert_string_equal(welcome->relays[0]->address, "relay1.example.org");
	assert_int_equal(welcome->relays[0]->port, 4433);
	assert_string_equal(welcome->relays[1]->address, "::1");
	assert_int_equal(welcome->relays[1]->port, 443);
	/* the key that was printed is the one that TLS proved */
	assert_int_equal(tls_peer(alice.ssl, key), 0);
	snprintf(line, sizeof(line), "rendezvous-key = %s\n", key_text(key, text));
	assert_non_null(strstr(rdv.program.said, line));
	assert_true(rdv_ping(&alice));
	punch__message__free_unpacked(message, NULL);
	node_close(&alice);
}

static void test_probe_tells_our_address_again_and_again(void **state)
{
	uint8_t id[STUN_ID] = "transaction", message[STUN_MAX];
	struct endpoint mapped, local;
	size_t size;

	(void)state;
	for (int i = 0; i < 2; i++) {
		int fd = live_connect("127.0.0.1", rdv.probes[i]);

		assert_int_equal(endpoint_local(fd, &local), 0);
		for (int n = 0; n < 3; n++) {
			id[0] = (uint8_t)n;
			size = stun_request(message, id);
			/* in two pieces */
			assert_int_equal(send(fd, message, 7, MSG_NOSIGNAL), 7);
			assert_int_equal(send(fd, message + 7, size - 7, MSG_NOSIGNAL), size - 7);
			assert_int_equal(recv(fd, message, STUN_HEADER, MSG_WAITALL), STUN_HEADER);
			size = STUN_HEADER + (size_t)(message[2] << 8 | message[3]);
			assert_in_range(size, STUN_HEADER + 1, sizeof(message));
			recv(fd, message + STUN_HEADER, size - STUN_HEADER, MSG_WAITALL);
			assert_int_equal(stun_mapped(message, size, id, &mapped), 0);
			assert_true(endpoint_equal(&mapped, &local));
		}
		close(fd);
	}
}

/* One question about connecting back, and its answer */
static struct stun_back ask_back(int fd, uint8_t what, uint8_t scope)
{
	const struct stun_back want = { .what = what, .scope = scope };
	uint8_t id[STUN_ID] = "transaction", message[STUN_MAX];
	struct endpoint mapped;
	struct stun_back back;
	size_t size = stun_request_back(message, id, &want);

	assert_int_equal(send(fd, message, size, MSG_NOSIGNAL), size);
	assert_int_equal(recv(fd, message, STUN_HEADER, MSG_WAITALL), STUN_HEADER);
	size = STUN_HEADER + (size_t)(message[2] << 8 | message[3]);
	assert_in_range(size, STUN_HEADER + 1, sizeof(message));
	recv(fd, message + STUN_HEADER, size - STUN_HEADER, MSG_WAITALL);
	assert_int_equal(stun_mapped(message, size, id, &mapped), 0);
	assert_true(stun_get_back(message, size, &back));
	return back;
}

/* A TCP socket of ours at @local, with SO_REUSEADDR */
static int bound(const struct endpoint *local)
{
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	socklen_t size = (socklen_t)endpoint_to_sockaddr(local, AF_INET, &ss);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, size), 0);
	return fd;
}

/*
 * Bound before it connects: a port that connect() chooses may be that of an older connection elsewhere
 * too, in TIME_WAIT perhaps, and then nobody else binds it
 */
static int connect_from_a_port_to_listen_at(struct endpoint *local)
{
	const struct timeval wait = { .tv_sec = LIVE_WAIT_S };
	struct sockaddr_storage ss;
	struct endpoint probe;
	int fd;

	assert_int_equal(endpoint_parse(local, "127.0.0.1", 0), 0);
	assert_int_equal(endpoint_parse(&probe, "127.0.0.1", rdv.probes[0]), 0);
	fd = bound(local);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	assert_int_equal(connect(fd, (struct sockaddr *)&ss,
				 (socklen_t)endpoint_to_sockaddr(&probe, AF_INET, &ss)), 0);
	assert_int_equal(endpoint_local(fd, local), 0);
	return fd;
}

static void test_probe_connects_back_to_nobody_but_its_client(void **state)
{
	int fd = live_connect("127.0.0.1", rdv.probes[0]), listener, guest;
	struct endpoint local, remote;
	struct stun_back back;
	unsigned int i;

	(void)state;
	assert_int_equal(endpoint_local(fd, &local), 0);
	/* Nothing is reserved, no such scope, and only one address */
	assert_int_equal(ask_back(fd, STUN_STEP_GO, STUN_SCOPE_PORT).what, STUN_OUTCOME_UNAVAILABLE);
	assert_int_equal(ask_back(fd, STUN_STEP_RESERVE, 9).what, STUN_OUTCOME_UNAVAILABLE);
	assert_int_equal(ask_back(fd, STUN_STEP_RESERVE, STUN_SCOPE_ADDRESS).what, STUN_OUTCOME_UNAVAILABLE);
	close(fd);
	/* Refused, as nobody listens on our end ... */
	fd = connect_from_a_port_to_listen_at(&local);
	back = ask_back(fd, STUN_STEP_RESERVE, STUN_SCOPE_PORT);
	assert_int_equal(back.what, STUN_OUTCOME_RESERVED);
	assert_int_not_equal(back.port, rdv.probes[0]);
	assert_int_equal(ask_back(fd, STUN_STEP_GO, STUN_SCOPE_PORT).what, STUN_OUTCOME_REFUSED);
	/* ... and let in where somebody does, from the port that was told */
	listener = bound(&local);
	assert_int_equal(listen(listener, 1), 0);
	back = ask_back(fd, STUN_STEP_RESERVE, STUN_SCOPE_PORT);
	assert_int_equal(ask_back(fd, STUN_STEP_GO, STUN_SCOPE_PORT).what, STUN_OUTCOME_ESTABLISHED);
	guest = accept(listener, NULL, NULL);
	assert_int_equal(endpoint_remote(guest, &remote), 0);
	assert_int_equal(remote.port, back.port);
	close(guest);
	/* Again and again it is not to be had */
	for (i = 0; i < 8 && back.what == STUN_OUTCOME_RESERVED; i++)
		back = ask_back(fd, STUN_STEP_RESERVE, STUN_SCOPE_PORT);
	assert_int_equal(back.what, STUN_OUTCOME_UNAVAILABLE);
	close(listener);
	close(fd);
}

static void test_probe_keeps_silent_as_long_as_it_is_asked(void **state)
{
	const struct stun_back wait = { .what = STUN_STEP_WAIT, .port = 1 };
	int fd = live_connect("127.0.0.1", rdv.probes[0]);
	uint8_t id[STUN_ID] = "transaction", message[STUN_MAX];
	size_t size = stun_request_back(message, id, &wait);
	struct stun_back back;
	uint64_t before = clock_now();

	(void)state;
	assert_int_equal(send(fd, message, size, MSG_NOSIGNAL), size);
	/* A question meanwhile has to wait for its turn */
	size = stun_request(message, id);
	assert_int_equal(send(fd, message, size, MSG_NOSIGNAL), size);
	assert_int_equal(recv(fd, message, 40, MSG_WAITALL), 40);
	assert_true(clock_now() - before >= SECOND - 10 * MS);
	assert_true(stun_get_back(message, 40, &back));
	assert_int_equal(back.what, STUN_OUTCOME_RESERVED);
	assert_int_equal(recv(fd, message, 32, MSG_WAITALL), 32);
	assert_false(stun_get_back(message, 32, &back));
	close(fd);
	/* Not for ever */
	fd = live_connect("127.0.0.1", rdv.probes[0]);
	back = (struct stun_back){ .what = STUN_STEP_WAIT, .port = 60000 };
	size = stun_request_back(message, id, &back);
	assert_int_equal(send(fd, message, size, MSG_NOSIGNAL), size);
	assert_int_equal(recv(fd, message, 40, MSG_WAITALL), 40);
	assert_true(stun_get_back(message, 40, &back));
	assert_int_equal(back.what, STUN_OUTCOME_UNAVAILABLE);
	/* Whoever floods meanwhile is shown out */
	back = (struct stun_back){ .what = STUN_STEP_WAIT, .port = 500 };
	size = stun_request_back(message, id, &back);
	for (unsigned int i = 0; i < 2 * STUN_MAX / size; i++)
		send(fd, message, size, MSG_NOSIGNAL);
	assert_true(recv(fd, message, 1, 0) <= 0);
	close(fd);
}

static void check_offers(Punch__RelayOffer **offers, size_t count, enum ticket_side side)
{
	const char *const hosts[] = { "relay1.example.org", "::1" };
	const uint32_t ports[] = { 4433, 443 };
	struct ticket ticket;

	assert_int_equal(count, 2);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(offers[i]->address, hosts[i]);
		assert_int_equal(offers[i]->port, ports[i]);
		assert_int_equal(ticket_open(&ticket, secret, offers[i]->ticket.data,
					     offers[i]->ticket.len, (uint64_t)time(NULL)), 0);
		assert_int_equal(ticket.side, side);
		assert_memory_equal(ticket.caller_key, alice.key.public, KEY_SIZE);
		assert_memory_equal(ticket.callee_key, bob.key.public, KEY_SIZE);
		assert_int_equal(ticket.session[0], 7);
	}
}

static uint32_t take_go(struct node *node)
{
	Punch__Message *message = rdv_expect(node, PUNCH__MESSAGE__KIND_GO);
	uint32_t in;

	assert_non_null(message);
	assert_int_equal(message->go->session.data[0], 7);
	in = message->go->start_in_us;
	punch__message__free_unpacked(message, NULL);
	return in;
}

static void test_introduction(void **state)
{
	Punch__Message *message;
	uint32_t alice_rtt, bob_rtt, far;

	(void)state;
	assert_true(rdv_online(&rdv, &alice, false));
	assert_true(rdv_online(&rdv, &bob, true));
	assert_true(rdv_invite(&alice, 7, &bob, "invitation"));
	message = rdv_expect(&bob, PUNCH__MESSAGE__KIND_INVITED);
	assert_non_null(message);
	assert_int_equal(message->invited->session.len, SESSION_SIZE);
	assert_memory_equal(message->invited->from.data, alice.key.public, KEY_SIZE);
	assert_memory_equal(message->invited->payload->body.data, "invitation", 10);
	assert_int_equal(message->invited->payload->signature.len, SIGNATURE_SIZE);
	assert_in_range(message->invited->caller_rtt_us, 1, SECOND);
	assert_in_range(message->invited->own_rtt_us, 1, SECOND);
	check_offers(message->invited->relays, message->invited->n_relays, TICKET_CALLEE);
	punch__message__free_unpacked(message, NULL);
	assert_true(rdv_reply(&bob, 7, "answer"));
	message = rdv_expect(&alice, PUNCH__MESSAGE__KIND_ANSWERED);
	assert_non_null(message);
	assert_memory_equal(message->answered->payload->body.data, "answer", 6);
	check_offers(message->answered->relays, message->answered->n_relays, TICKET_CALLER);
	alice_rtt = message->answered->own_rtt_us;
	bob_rtt = message->answered->callee_rtt_us;
	punch__message__free_unpacked(message, NULL);
	/* both start when Go has had time to reach the farther one */
	far = alice_rtt > bob_rtt ? alice_rtt : bob_rtt;
	assert_int_equal(take_go(&alice), far / 2 - alice_rtt / 2);
	assert_int_equal(take_go(&bob), far / 2 - bob_rtt / 2);
	node_close(&alice);
	node_close(&bob);
}

static void test_offline_and_saying_nothing_sound_the_same(void **state)
{
	int reason;

	(void)state;
	assert_true(rdv_online(&rdv, &alice, false));
	assert_true(rdv_invite(&alice, 1, &bob, "invitation"));
	reason = rdv_failed(&alice, 1);
	assert_true(reason == PUNCH__FAIL_REASON__FAIL_OFFLINE ||
		    reason == PUNCH__FAIL_REASON__FAIL_OFFLINE + RETRY);
	assert_true(rdv_online(&rdv, &bob, true));
	assert_true(rdv_invite(&alice, 2, &bob, "invitation"));
	punch__message__free_unpacked(rdv_expect(&bob, PUNCH__MESSAGE__KIND_INVITED), NULL);
	assert_true(rdv_reply(&bob, 2, ""));
	reason %= RETRY;
	assert_int_equal(rdv_failed(&alice, 2) % RETRY, reason);
	assert_true(rdv_ping(&bob));	/* and no Go came before it */
	node_close(&alice);
	node_close(&bob);
}

static void test_newer_connection_replaces(void **state)
{
	struct node second = { .key = bob.key }, dialler = { .key = bob.key };

	(void)state;
	assert_true(rdv_online(&rdv, &alice, false));
	assert_true(rdv_online(&rdv, &bob, true));
	assert_true(rdv_online(&rdv, &dialler, false));
	assert_true(rdv_ping(&bob));		/* a dialler replaces nobody */
	assert_true(rdv_online(&rdv, &second, true));
	assert_int_equal(rdv_failed(&bob, 0), PUNCH__FAIL_REASON__FAIL_REPLACED);
	assert_true(rdv_closed(&bob));
	assert_true(rdv_introduce(&alice, &second, 3));
	assert_true(rdv_ping(&dialler));
	assert_int_equal(rdv_metric(&rdv, "replaced_total"), 1);
	node_close(&alice);
	node_close(&bob);
	node_close(&second);
	node_close(&dialler);
}

/* A node that begins to serve, and stops, on one connection */
static void test_hello_again_changes_what_is_received(void **state)
{
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Hello hello;

	(void)state;
	punch__hello__init(&hello);
	hello.version = PROTOCOL_VERSION;
	message.kind_case = PUNCH__MESSAGE__KIND_HELLO;
	message.hello = &hello;
	assert_true(rdv_online(&rdv, &alice, false));
	assert_true(rdv_online(&rdv, &bob, false));
	assert_true(rdv_invite(&alice, 1, &bob, "invitation"));
	assert_int_equal(rdv_failed(&alice, 1) % RETRY, PUNCH__FAIL_REASON__FAIL_OFFLINE);
	hello.receive = true;
	assert_true(node_send(&bob, &message));
	punch__message__free_unpacked(rdv_expect(&bob, PUNCH__MESSAGE__KIND_WELCOME), NULL);
	assert_true(rdv_introduce(&alice, &bob, 1));
	hello.receive = false;
	assert_true(node_send(&bob, &message));
	punch__message__free_unpacked(rdv_expect(&bob, PUNCH__MESSAGE__KIND_WELCOME), NULL);
	assert_true(rdv_invite(&alice, 1, &bob, "invitation"));
	assert_int_equal(rdv_failed(&alice, 1) % RETRY, PUNCH__FAIL_REASON__FAIL_OFFLINE);
	node_close(&alice);
	node_close(&bob);
}

static bool warned_of_fight(void *arg)
{
	(void)arg;
	return live_log_has(rdv.folder, "two hosts, or two users of one, with one key");
}

static void test_two_hosts_with_one_key_are_told_apart_in_the_log(void **state)
{
	struct node nodes[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		nodes[i] = (struct node){ .key = bob.key };
		assert_true(rdv_online(&rdv, &nodes[i], true));
	}
	assert_true(live_until(warned_of_fight, NULL));
	for (int i = 0; i < 4; i++)
		node_close(&nodes[i]);
}

static void test_callee_that_goes_away(void **state)
{
	(void)state;
	assert_true(rdv_online(&rdv, &alice, false));
	assert_true(rdv_online(&rdv, &bob, true));
	assert_true(rdv_invite(&alice, 4, &bob, "invitation"));
	punch__message__free_unpacked(rdv_expect(&bob, PUNCH__MESSAGE__KIND_INVITED), NULL);
	node_close(&bob);
	assert_int_equal(rdv_failed(&alice, 4), PUNCH__FAIL_REASON__FAIL_OFFLINE + RETRY);
	node_close(&alice);
}

static void test_silent_callee(void **state)
{
	uint64_t before = clock_now();

	(void)state;
	assert_true(rdv_online(&rdv, &alice, false));
	assert_true(rdv_online(&rdv, &bob, true));
	assert_true(rdv_invite(&alice, 5, &bob, "invitation"));
	assert_int_equal(rdv_failed(&alice, 5), PUNCH__FAIL_REASON__FAIL_TIMEOUT);
	assert_in_range(clock_now() - before, 9900 * MS, 13 * SECOND);
	assert_true(rdv_ping(&alice));
	node_close(&alice);
	node_close(&bob);
}

static void test_restart_keeps_the_key_and_asks_for_patience(void **state)
{
	char line[128], text[KEY_TEXT_SIZE];
	uint8_t key[KEY_SIZE];
	struct stat st;

	(void)state;
	assert_true(rdv_online(&rdv, &alice, false));
	assert_int_equal(tls_peer(alice.ssl, key), 0);
	assert_int_equal(rdv_stop(&rdv), 0);
	assert_true(rdv_closed(&alice));
	node_close(&alice);
	rdv_start(&rdv, "relay = relay1.example.org:4433 [::1]:443\n", 0);
	snprintf(line, sizeof(line), "public key: %s\n", key_text(key, text));
	assert_non_null(strstr(rdv.program.said, line));
	assert_int_equal(stat(live_path(rdv.folder, "rendezvous.key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(rdv_online(&rdv, &alice, false));
	assert_true(rdv_invite(&alice, 6, &bob, "invitation"));
	assert_int_equal(rdv_failed(&alice, 6), PUNCH__FAIL_REASON__FAIL_OFFLINE + RETRY);
	assert_true(rdv_online(&rdv, &bob, true));
	assert_true(rdv_introduce(&alice, &bob, 7));
	node_close(&alice);
	node_close(&bob);
}

static bool nobody_here(void *arg)
{
	(void)arg;
	return rdv_metric(&rdv, "nodes") == 0 && rdv_metric(&rdv, "connections") == 0 &&
	       rdv_metric(&rdv, "sessions") == 0;
}

static void test_nothing_stays_behind(void **state)
{
	static struct node nodes[30];

	(void)state;
	for (int i = 0; i < 30; i++)
		assert_true(rdv_online(&rdv, &nodes[i], i % 2));
	assert_int_equal(rdv_metric(&rdv, "nodes"), 30);
	assert_int_equal(rdv_metric(&rdv, "receivers"), 15);
	for (int i = 0; i < 30; i++)
		node_free(&nodes[i]);
	assert_true(live_until(nobody_here, NULL));
}

static int setup(void **state)
{
	char why[256];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	alarm(150);
	live_folder(rdv.folder);
	if (ticket_secret_load(secret, live_path(rdv.folder, "relay.secret"), 1, why, sizeof(why)) ||
	    key_generate(&alice.key) || key_generate(&bob.key))
		return -1;
	rdv_start(&rdv, "relay = relay1.example.org:4433 [::1]:443\n", 0);
	return 0;
}

static int teardown(void **state)
{
	int status = rdv_stop(&rdv);

	(void)state;
	node_free(&alice);
	node_free(&bob);
	live_folder_remove(rdv.folder);
	return status;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_welcome_tells_the_truth),
		cmocka_unit_test(test_probe_tells_our_address_again_and_again),
		cmocka_unit_test(test_probe_keeps_silent_as_long_as_it_is_asked),
		cmocka_unit_test(test_probe_connects_back_to_nobody_but_its_client),
		cmocka_unit_test(test_introduction),
		cmocka_unit_test(test_offline_and_saying_nothing_sound_the_same),
		cmocka_unit_test(test_newer_connection_replaces),
		cmocka_unit_test(test_hello_again_changes_what_is_received),
		cmocka_unit_test(test_two_hosts_with_one_key_are_told_apart_in_the_log),
		cmocka_unit_test(test_callee_that_goes_away),
		cmocka_unit_test(test_silent_callee),
		cmocka_unit_test(test_restart_keeps_the_key_and_asks_for_patience),
		cmocka_unit_test(test_nothing_stays_behind),
	};

	return cmocka_run_group_tests_name("rendezvous_live", tests, setup, teardown);
}
