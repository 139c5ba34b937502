/* SPDX-License-Identifier: MIT */
/*
 * test_broker.c - introductions on one server, hours of them in microseconds
 */
#include "tests/unit/broker_log.h"

#include <errno.h>
#include <string.h>

#define PAYLOAD 4096	/* bytes, the most */

/* ---------------------------------------------------------------- on one server */

static void test_introduction_with_compensated_start(void **state)
{
	(void)state;
	join(&alice, 'A', false, WARM);
	join(&bob, 'B', true, WARM);
	assert_string_equal(heard(), "store<announce B\n");
	invite(&alice, '1', 'B', WARM);
	assert_string_equal(heard(), "bob<invited 1 from A 'invitation' 20000 60000\n");
	reply(&bob, '1', "answer", WARM);
	/* Go takes 10 ms to alice, 30 ms to bob: alice waits 20 ms more */
	assert_string_equal(heard(), "alice<answered 1 'answer' 60000 20000\n"
				     "alice<go 1 20000\n"
				     "bob<go 1 0\n");
	assert_int_equal(broker_stats(broker)->sessions, 0);
	/* a second reply finds nothing */
	reply(&bob, '1', "answer", WARM);
	assert_string_equal(heard(), "");
}

static void test_the_nearer_one_waits_whoever_calls(void **state)
{
	(void)state;
	join(&alice, 'A', true, WARM);
	join(&bob, 'B', false, WARM);
	heard();
	invite(&bob, '1', 'A', WARM);
	reply(&alice, '1', "x", WARM);
	assert_non_null(strstr(heard(), "bob<go 1 0\nalice<go 1 20000\n"));
	/* a round-trip time of minutes is a lie or a dead link: nobody waits for it */
	bob.rtt_us = 400 * SECOND;
	invite(&bob, '2', 'A', WARM);
	reply(&alice, '2', "x", WARM);
	assert_non_null(strstr(heard(), "alice<go 2 1000000\n"));
}

static void test_offline(void **state)
{
	(void)state;
	join(&alice, 'A', false, START + SECOND);
	invite(&alice, '1', 'B', START + 2 * SECOND);
	/* the server is young: bob may be on his way back */
	assert_string_equal(heard(), "alice<failed 1 1 retry\n");
	invite(&alice, '2', 'B', START + RDV_GRACE);
	assert_string_equal(heard(), "alice<failed 2 1\n");
	/* connected, but only to dial */
	join(&bob, 'B', false, WARM);
	invite(&alice, '3', 'B', WARM);
	assert_string_equal(heard(), "alice<failed 3 1\n");
}

static void test_empty_reply_is_no_different_from_offline(void **state)
{
	char offline[256];

	(void)state;
	join(&alice, 'A', false, WARM);
	invite(&alice, '1', 'B', WARM);
	strcpy(offline, heard());
	join(&bob, 'B', true, WARM);
	heard();
	invite(&alice, '1', 'B', WARM);
	heard();
	reply(&bob, '1', "", WARM);
	assert_string_equal(heard(), offline);
	assert_int_equal(broker_stats(broker)->sessions, 0);
}

static void test_silent_callee(void **state)
{
	(void)state;
	join(&alice, 'A', false, WARM);
	join(&bob, 'B', true, WARM);
	invite(&alice, '1', 'B', WARM);
	invite(&alice, '2', 'B', WARM + SECOND);
	heard();
	assert_int_equal(broker_run(broker, WARM + SECOND), WARM + RDV_REPLY_TIME);
	assert_int_equal(broker_run(broker, WARM + RDV_REPLY_TIME), WARM + SECOND + RDV_REPLY_TIME);
	assert_string_equal(heard(), "alice<failed 1 6\n");
	broker_run(broker, WARM + SECOND + RDV_REPLY_TIME);
	assert_string_equal(heard(), "alice<failed 2 6\n");
	/* too late */
	reply(&bob, '1', "answer", WARM + 12 * SECOND);
	assert_string_equal(heard(), "");
}

static void test_nobody_replies_for_another(void **state)
{
	(void)state;
	join(&alice, 'A', false, WARM);
	join(&bob, 'B', true, WARM);
	join(&carol, 'C', true, WARM);
	invite(&alice, '1', 'B', WARM);
	heard();
	reply(&carol, '1', "I am bob", WARM);
	reply(&alice, '1', "so am I", WARM);
	assert_string_equal(heard(), "");
	reply(&bob, '1', "answer", WARM);
	assert_non_null(strstr(heard(), "alice<answered 1 'answer'"));
}

static void test_session_in_use_is_refused(void **state)
{
	(void)state;
	join(&alice, 'A', false, WARM);
	join(&bob, 'B', true, WARM);
	join(&carol, 'C', true, WARM);
	invite(&alice, '1', 'B', WARM);
	heard();
	invite(&carol, '1', 'B', WARM);
	assert_string_equal(heard(), "carol<failed 1 2 retry\n");
	reply(&bob, '1', "answer", WARM);
	assert_non_null(strstr(heard(), "alice<answered 1 'answer'"));
}

static void test_leaving(void **state)
{
	(void)state;
	join(&alice, 'A', false, WARM);
	join(&bob, 'B', true, WARM);
	invite(&alice, '1', 'B', WARM);
	heard();
	broker_leave(broker, bob.node, WARM);
	assert_string_equal(heard(), "store<withdraw B\nalice<failed 1 1 retry\n");
	join(&bob, 'B', true, WARM);
	invite(&alice, '2', 'B', WARM);
	heard();
	/* the caller goes: the callee's reply finds nobody */
	broker_leave(broker, alice.node, WARM);
	reply(&bob, '2', "answer", WARM);
	assert_string_equal(heard(), "");
	assert_int_equal(broker_stats(broker)->sessions, 0);
	assert_int_equal(broker_stats(broker)->nodes, 1);
}

static void test_a_node_may_call_itself(void **state)
{
	(void)state;
	join(&bob, 'B', true, WARM);
	heard();
	invite(&bob, '1', 'B', WARM);
	assert_string_equal(heard(), "bob<invited 1 from B 'invitation' 60000 60000\n");
	reply(&bob, '1', "answer", WARM);
	assert_non_null(strstr(heard(), "bob<go 1 0\nbob<go 1 0\n"));
	invite(&bob, '2', 'B', WARM);
	broker_leave(broker, bob.node, WARM);
	assert_int_equal(broker_stats(broker)->sessions, 0);
}

/* ---------------------------------------------------------------- one key, several connections */

static void test_newer_receiver_replaces_the_older(void **state)
{
	(void)state;
	join(&alice, 'A', false, WARM);
	join(&bob, 'B', true, WARM);
	invite(&alice, '1', 'B', WARM);
	heard();
	join(&bob2, 'B', true, WARM);
	assert_string_equal(heard(), "bob<failed - 7\nbob<drop\nalice<failed 1 1 retry\n"
				     "store<announce B\n");
	invite(&alice, '2', 'B', WARM);
	assert_string_equal(heard(), "bob2<invited 2 from A 'invitation' 20000 10000\n");
	assert_int_equal(broker_stats(broker)->receivers, 1);
}

static void test_who_only_dials_replaces_nobody(void **state)
{
	(void)state;
	join(&bob, 'B', true, WARM);
	heard();
	join(&bob2, 'B', false, WARM);
	assert_string_equal(heard(), "");
	broker_leave(broker, bob2.node, WARM);
	assert_string_equal(heard(), "");
	assert_non_null(bob.node);
	/* and a receiver leaves dialling connections alone */
	join(&bob2, 'B', false, WARM);
	broker_leave(broker, bob.node, WARM);
	join(&bob, 'B', true, WARM);
	assert_non_null(bob2.node);
}

static void test_hello_again(void **state)
{
	(void)state;
	join(&alice, 'A', false, WARM);
	join(&bob, 'B', false, WARM);
	broker_receive(broker, bob.node, true, WARM);
	broker_receive(broker, bob.node, true, WARM);
	assert_string_equal(heard(), "store<announce B\n");
	invite(&alice, '1', 'B', WARM);
	assert_non_null(strstr(heard(), "bob<invited 1"));
	/* it may still answer what rang before it stopped */
	broker_receive(broker, bob.node, false, WARM);
	assert_string_equal(heard(), "store<withdraw B\n");
	invite(&alice, '2', 'B', WARM);
	assert_string_equal(heard(), "alice<failed 2 1\n");
	reply(&bob, '1', "answer", WARM);
	assert_non_null(strstr(heard(), "alice<answered 1"));
	/* and replaces like a new connection */
	join(&bob2, 'B', true, WARM);
	heard();
	broker_receive(broker, bob.node, true, WARM);
	assert_string_equal(heard(), "bob2<failed - 7\nbob2<drop\nstore<announce B\n");
	assert_int_equal(broker_stats(broker)->receivers, 1);
	assert_int_equal(broker_stats(broker)->nodes, 2);
}

static void test_connections_of_one_key_are_limited(void **state)
{
	static struct peer peers[RDV_PER_KEY + 1];

	(void)state;
	for (int i = 0; i < RDV_PER_KEY; i++) {
		peers[i].name = "many";
		join(&peers[i], 'B', false, WARM);
	}
	peers[RDV_PER_KEY].name = "late";
	assert_int_equal(broker_join(broker, &peers[RDV_PER_KEY], key_of('B'), &somewhere, false, WARM,
				     &peers[RDV_PER_KEY].node), -EUSERS);
	assert_string_equal(heard(), "late<failed - 2 retry\n");
	broker_leave(broker, peers[0].node, WARM);
	join(&peers[0], 'B', false, WARM);
}

/* ---------------------------------------------------------------- limits */

/* Four times an hour, for a day, all connections that a key may have are lost, and twice so at once: nobody is refused */
static void test_reconnecting_is_never_refused(void **state)
{
	static struct peer peers[RDV_PER_KEY];
	uint64_t now = WARM;

	(void)state;
	for (int i = 0; i < RDV_PER_KEY; i++)
		peers[i].name = "many";
	for (int round = 0; round < 96; round++, now += 900 * SECOND) {
		for (int twice = 0; twice < 2; twice++) {
			for (int i = 0; i < RDV_PER_KEY; i++)
				join(&peers[i], 'B', false, now);
			for (int i = 0; i < RDV_PER_KEY; i++)
				broker_leave(broker, peers[i].node, now);
		}
		broker_run(broker, now);
	}
	/* one connection that lives for a fifth of a second, for an hour */
	for (int i = 0; i < 5 * 3600; i++, now += SECOND / 5) {
		join(&bob, 'B', true, now);
		broker_leave(broker, bob.node, now + SECOND / 10);
		broker_run(broker, now + SECOND / 10);
	}
	assert_null(strstr(heard(), "failed"));
}

static void test_registrations_are_limited_by_key(void **state)
{
	static const struct rate rate = RDV_JOIN_RATE;
	unsigned int refused = 0;

	(void)state;
	for (unsigned int i = 0; i < rate.burst + 10; i++) {
		if (broker_join(broker, &bob, key_of('B'), &somewhere, true, WARM, &bob.node) == 0)
			broker_leave(broker, bob.node, WARM);
		else
			refused++;
		heard();
	}
	assert_in_range(refused, 9, 10);	/* the first one of a key that is not known yet is free */
	assert_int_equal(broker_join(broker, &bob, key_of('B'), &somewhere, true, WARM, &bob.node), -EAGAIN);
	assert_string_equal(heard(), "bob<failed - 2 retry\n");
	/* others do not notice; a second gives back what it says */
	join(&alice, 'A', false, WARM);
	broker_leave(broker, alice.node, WARM);
	for (unsigned int i = 0; i < rate.per_second; i++) {
		join(&bob, 'B', true, WARM + SECOND);
		broker_leave(broker, bob.node, WARM + SECOND);
	}
	assert_int_equal(broker_join(broker, &bob, key_of('B'), &somewhere, true, WARM + SECOND, &bob.node), -EAGAIN);
}

/* To say Hello again and again costs the store as much as to connect again and again */
static void test_changes_of_mind_are_registrations(void **state)
{
	static const struct rate rate = RDV_JOIN_RATE;
	unsigned int announced = 0;

	(void)state;
	join(&bob, 'B', false, WARM);
	heard();
	for (unsigned int i = 0; i < 2 * rate.burst; i++) {
		announced += !broker_receive(broker, bob.node, true, WARM);
		assert_int_equal(broker_receive(broker, bob.node, false, WARM), 0);
		heard();
	}
	assert_int_equal(announced, rate.burst);
	assert_int_equal(broker_receive(broker, bob.node, true, WARM), -EAGAIN);
	assert_string_equal(heard(), "bob<failed - 2 retry\n");
	assert_int_equal(broker_receive(broker, bob.node, true, WARM + SECOND), 0);
	assert_string_equal(heard(), "store<announce B\n");
}

static void test_invitations_are_limited_by_key(void **state)
{
	static const struct rate rate = RDV_INVITE_RATE;
	unsigned int refused = 0;

	(void)state;
	join(&alice, 'A', false, WARM);
	for (unsigned int i = 0; i < rate.burst + 10; i++) {
		invite(&alice, '1', 'B', WARM);
		refused += strstr(heard(), "failed 1 2 retry") != NULL;
	}
	assert_int_equal(refused, 10);
	/* a new connection does not help, a second does */
	broker_leave(broker, alice.node, WARM);
	join(&alice, 'A', false, WARM);
	invite(&alice, '1', 'B', WARM);
	assert_string_equal(heard(), "alice<failed 1 2 retry\n");
	invite(&alice, '1', 'B', WARM + SECOND);
	assert_string_equal(heard(), "alice<failed 1 1\n");
}

/* Node number @i, with a key of its own */
static int join_from(unsigned int address, unsigned int i)
{
	const struct endpoint from = { .family = AF_INET, .address = { 10, 0, 0, (uint8_t)address } };
	static struct peer peers[RDV_NODES];
	uint8_t key[KEY_SIZE] = { 1 };
	int err;

	memcpy(key + 1, &i, sizeof(i));
	peers[i].name = "one of many";
	err = broker_join(broker, &peers[i], key, &from, true, WARM, &peers[i].node);
	if (err)
		assert_string_equal(heard(), "one of many<failed - 2 retry\n");
	heard();
	return err;
}

/* An address takes all the places that it gets. Return: how many */
static unsigned int fill_from(unsigned int address, unsigned int first)
{
	unsigned int i = first;

	while (!join_from(address, i))
		i++;
	return i - first;
}

static void test_nodes_of_63_addresses_leave_room(void **state)
{
	unsigned int count = 0, alone;

	(void)state;
	alone = fill_from(1, 0);
	assert_in_range(alone, 3000, RDV_NODES);	/* a carrier's NAT */
	count = alone;
	for (unsigned int address = 2; address < 64; address++)
		count += fill_from(address, count);
	/* who is there stays */
	assert_int_equal(broker_stats(broker)->nodes, count);
	assert_int_equal(broker_stats(broker)->replaced, 0);
	assert_in_range(fill_from(64, count), 64, RDV_NODES);
	/* the same key again, from an address that has more than it would get now: it is no newcomer; from elsewhere it is one */
	assert_int_equal(join_from(1, 0), 0);
	assert_int_equal(broker_stats(broker)->replaced, 1);
	assert_int_equal(join_from(2, 0), -EUSERS);
	assert_int_equal(broker_stats(broker)->replaced, 1);
}

/* An address calls as often as it can, by as many keys as that takes, and nobody answers. Return: how often it could */
static unsigned int call_from(unsigned int address)
{
	static const struct rate rate = RDV_INVITE_RATE;
	static struct peer callers[1024];
	static unsigned int keys, sessions;
	const struct endpoint from = { .family = AF_INET, .address = { 10, 1, 0, (uint8_t)address } };
	const struct broker_payload payload = text("invitation");
	uint8_t key[KEY_SIZE] = { 2 }, session[SESSION_SIZE] = { 2 };
	struct peer *caller = NULL;
	unsigned int calls;

	for (calls = 0;; calls++, sessions++) {
		if (calls % rate.burst == 0) {
			assert_in_range(keys, 0, sizeof(callers) / sizeof(callers[0]) - 1);
			caller = &callers[keys];
			caller->name = "one";
			memcpy(key + 1, &keys, sizeof(keys));
			keys++;
			assert_int_equal(broker_join(broker, caller, key, &from, false, WARM, &caller->node), 0);
		}
		memcpy(session + 1, &sessions, sizeof(sessions));
		broker_invite(broker, caller->node, session, key_of('B'), &payload, WARM);
		if (strncmp(heard(), "one<failed", 10) == 0)
			return calls;
	}
}

static void test_calls_of_63_addresses_leave_room(void **state)
{
	unsigned int count, alone;

	(void)state;
	find_answer = 1;	/* the store is asked, and takes its time */
	alone = count = call_from(1);
	assert_in_range(alone, 2500, RDV_OWN_SESSIONS);
	for (unsigned int address = 2; address < 64; address++)
		count += call_from(address);
	assert_int_equal(broker_stats(broker)->sessions, count);
	assert_in_range(call_from(64), 32, RDV_OWN_SESSIONS);
	/* and when their time is over, all is well again */
	broker_run(broker, WARM + RDV_SEEK_TIME);
	heard();
	assert_int_equal(broker_stats(broker)->sessions, 0);
	assert_int_equal(call_from(1), alone);
}

static void join_at(struct peer *peer, unsigned int address, char key)
{
	const struct endpoint from = { .family = AF_INET, .address = { 10, 2, (uint8_t)(address >> 8), (uint8_t)address } };

	assert_int_equal(broker_join(broker, peer, key_of(key), &from, false, WARM, &peer->node), 0);
}

/* Return: how many of @count invitations of @size bytes rang */
static unsigned int ring(struct peer *caller, unsigned int count, size_t size)
{
	static const char body[PAYLOAD];
	const struct broker_payload payload = { .body = (const uint8_t *)body, .body_size = size };
	static unsigned int sessions;
	uint8_t id[SESSION_SIZE] = { 3 };
	unsigned int rang = 0;

	for (unsigned int i = 0; i < count; i++) {
		sessions++;
		memcpy(id + 1, &sessions, sizeof(sessions));
		heard();
		broker_invite(broker, caller->node, id, key_of('B'), &payload, WARM);
		rang += strncmp(heard(), "bob<invited", 11) == 0;
	}
	return rang;
}

#define OTHERS 8	/* addresses: one in RDV_RING_SOURCES has the fate of another one, half of these never */

/* One address rings a callee as often as one of its keys can, or less often with more bytes; others do all the same */
static void test_rings_of_an_address_are_limited(void **state)
{
	static const struct rate rate = RDV_RING_SOURCE_RATE, key = RDV_INVITE_RATE;
	struct peer again = { .name = "again" }, others[OTHERS] = { { .name = "another" } };
	unsigned int unharmed = 0;

	(void)state;
	join(&bob, 'B', true, WARM);
	join_at(&alice, 1, 'A');
	join_at(&again, 1, 'D');
	assert_int_equal(ring(&alice, key.burst, 900), key.burst);
	assert_int_equal(ring(&again, key.burst, 900), rate.burst - key.burst);
	assert_int_equal(ring(&again, 10, 100), 0);
	for (unsigned int i = 0; i < OTHERS; i++) {
		others[i].name = "another";
		join_at(&others[i], 2 + i, (char)('E' + i));
		unharmed += ring(&others[i], 10, PAYLOAD) == 10;
	}
	assert_in_range(unharmed, OTHERS / 2, OTHERS);
}

/* However many addresses: a callee's line is not for them alone */
static void test_rings_of_all_addresses_are_limited(void **state)
{
	static const struct rate rate = RDV_RING_RATE;
	static struct peer callers[100];
	unsigned int rang = 0;

	(void)state;
	join(&bob, 'B', true, WARM);
	for (unsigned int i = 0; i < 100; i++) {
		callers[i].name = "caller";
		join_at(&callers[i], i, (char)('C' + i));
		rang += ring(&callers[i], 20, PAYLOAD);
	}
	assert_in_range(rang, rate.burst / 5 / 2, rate.burst / 5);
}

/* What waits for a callee already gets no longer, but for those who have sent nothing to it lately */
static void test_a_full_line_is_for_newcomers(void **state)
{
	struct peer others[OTHERS] = { { .name = "another" } };
	unsigned int rang = 0;

	(void)state;
	join(&bob, 'B', true, WARM);
	join_at(&alice, 1, 'A');
	assert_int_equal(ring(&alice, 5, 900), 5);
	bob.waiting = RDV_RING_QUEUE;
	assert_int_equal(ring(&alice, 5, 900), 0);
	for (unsigned int i = 0; i < OTHERS; i++) {
		others[i].name = "another";
		join_at(&others[i], 4 + i, (char)('E' + i));
		rang += ring(&others[i], 5, 900);
	}
	assert_in_range(rang, OTHERS / 2, OTHERS);
	bob.waiting = RDV_RING_QUEUE_NEW;
	join_at(&bob2, 3, 'D');
	assert_int_equal(ring(&bob2, 5, 900), 0);
	bob.waiting = RDV_RING_QUEUE - 1;
	assert_int_equal(ring(&bob2, 5, 900), 5);
}

static void test_ringing_is_limited(void **state)
{
	static const struct rate rate = RDV_INVITE_RATE;
	static struct peer callers[RDV_RINGING / 20 + 1];
	uint8_t id[SESSION_SIZE] = { 0 };
	struct broker_payload payload = text("x");
	unsigned int count = 0;

	(void)state;
	assert_in_range(rate.burst, 20, UINT32_MAX);
	join(&bob, 'B', true, WARM);
	for (unsigned int i = 0; i < RDV_RINGING / 20 + 1; i++) {
		callers[i].name = "caller";
		join_at(&callers[i], 10 + i, (char)(100 + i));
		for (int n = 0; n < 20; n++, count++) {
			memcpy(id, &count, sizeof(count));
			heard();
			broker_invite(broker, callers[i].node, id, key_of('B'), &payload, WARM);
			if (count == RDV_RINGING)
				assert_non_null(strstr(heard(), "caller<failed"));
		}
	}
	assert_int_equal(broker_stats(broker)->sessions, RDV_RINGING);
	broker_run(broker, WARM + RDV_REPLY_TIME);
	assert_int_equal(broker_stats(broker)->sessions, 0);
}

/* A day of nodes that come, call and go: nothing stays behind */
static void test_a_day(void **state)
{
	uint64_t now = WARM;
	char session;

	(void)state;
	join(&bob, 'B', true, now);
	for (unsigned int i = 0; i < 100000; i++, now += 864 * MS) {
		session = (char)('a' + i % 26);
		alice.rtt_us = i % 200000;
		join(&alice, (char)(i % 60), i % 3 == 0, now);
		invite(&alice, session, 'B', now);
		if (i % 5)
			reply(&bob, session, i % 7 ? "answer" : "", now + 100 * MS);
		if (i % 11)
			broker_run(broker, now + 200 * MS);
		if (alice.node)
			broker_leave(broker, alice.node, now + 300 * MS);
		heard();
	}
	broker_run(broker, now + SECOND);
	assert_int_equal(broker_stats(broker)->sessions, 0);
	assert_int_equal(broker_stats(broker)->nodes, 1);
	assert_int_equal(broker_stats(broker)->invites, 100000);
	broker_leave(broker, bob.node, now);
	assert_int_equal(broker_run(broker, now + RDV_LINGER), NEVER);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, broker_setup, broker_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_introduction_with_compensated_start),
		TEST(test_the_nearer_one_waits_whoever_calls),
		TEST(test_offline),
		TEST(test_empty_reply_is_no_different_from_offline),
		TEST(test_silent_callee),
		TEST(test_nobody_replies_for_another),
		TEST(test_session_in_use_is_refused),
		TEST(test_leaving),
		TEST(test_a_node_may_call_itself),
		TEST(test_newer_receiver_replaces_the_older),
		TEST(test_who_only_dials_replaces_nobody),
		TEST(test_hello_again),
		TEST(test_connections_of_one_key_are_limited),
		TEST(test_reconnecting_is_never_refused),
		TEST(test_registrations_are_limited_by_key),
		TEST(test_changes_of_mind_are_registrations),
		TEST(test_invitations_are_limited_by_key),
		TEST(test_nodes_of_63_addresses_leave_room),
		TEST(test_calls_of_63_addresses_leave_room),
		TEST(test_rings_of_an_address_are_limited),
		TEST(test_rings_of_all_addresses_are_limited),
		TEST(test_a_full_line_is_for_newcomers),
		TEST(test_ringing_is_limited),
		TEST(test_a_day),
	};

	return cmocka_run_group_tests_name("broker", tests, NULL, NULL);
}
