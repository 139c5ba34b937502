/* SPDX-License-Identifier: MIT */
/*
 * test_broker_servers.c - introductions between nodes of two servers with one store
 */
#include "rendezvous/broker_internal.h"
#include "tests/unit/broker_log.h"

#include <errno.h>
#include <string.h>

static const struct broker_origin elsewhere = {
	.server = "s1", .source = { 4, 198, 51, 100, 7 }, .rtt_us = 20000, .hop_us = 45000,
};

static void test_callee_on_another_server(void **state)
{
	struct broker_call call = make_call('1', 'A', 'B');
	struct broker_payload payload = text("answer");

	(void)state;
	find_answer = 1;
	join(&alice, 'A', false, WARM);
	invite(&alice, '1', 'B', WARM);
	assert_string_equal(heard(), "store<find B\n");
	broker_found(broker, &call, "s2", 0, WARM);
	assert_string_equal(heard(), "s2<invite 1 to B 'invitation' 20000 of 192.0.2.1\n");
	/* the other server's clock comes first */
	assert_int_equal(broker_run(broker, WARM), WARM + RDV_AWAY_TIME);
	broker_remote_reply(broker, &call, &payload, 70000, 12345);
	assert_string_equal(heard(), "alice<answered 1 'answer' 70000 20000\nalice<go 1 12345\n");
	broker_remote_reply(broker, &call, &payload, 70000, 12345);
	assert_string_equal(heard(), "");
}

static void test_caller_on_another_server(void **state)
{
	struct broker_call call = make_call('1', 'A', 'B');
	struct broker_payload payload = text("invitation");
	int relays;

	(void)state;
	join(&bob, 'B', true, WARM);
	heard();
	broker_remote_invite(broker, &elsewhere, &call, &payload, &relays, WARM);
	assert_string_equal(heard(), "bob<invited 1 from A 'invitation' 20000 60000 relays\n");
	reply(&bob, '1', "answer", WARM);
	/* 45 + 10 ms to alice, 30 ms to bob: bob waits 25 ms */
	assert_string_equal(heard(), "s1<reply 1 'answer' 60000 0\nbob<go 1 25000\n");
	/* nothing of me */
	broker_remote_invite(broker, &elsewhere, &call, &payload, &relays, WARM);
	heard();
	reply(&bob, '1', "", WARM);
	assert_string_equal(heard(), "s1<failed 1 1\n");
	/* gone meanwhile */
	broker_leave(broker, bob.node, WARM);
	heard();
	broker_remote_invite(broker, &elsewhere, &call, &payload, &relays, WARM);
	assert_string_equal(heard(), "s1<failed 1 1 retry\n");
}

static void test_what_the_store_may_say(void **state)
{
	struct broker_call call = make_call('1', 'A', 'B');

	(void)state;
	find_answer = 1;
	join(&alice, 'A', false, WARM);
	invite(&alice, '1', 'B', WARM);
	broker_found(broker, &call, NULL, 0, WARM);
	assert_string_equal(heard(), "store<find B\nalice<failed 1 1\n");
	invite(&alice, '1', 'B', WARM);
	broker_found(broker, &call, NULL, -EIO, WARM);
	assert_string_equal(heard(), "store<find B\nalice<failed 1 1 retry\n");
	/* silence */
	invite(&alice, '1', 'B', WARM);
	broker_run(broker, WARM + RDV_SEEK_TIME);
	assert_string_equal(heard(), "store<find B\nalice<failed 1 1 retry\n");
	broker_found(broker, &call, "s2", 0, WARM + RDV_SEEK_TIME);
	assert_string_equal(heard(), "");
	/* it takes nothing */
	invite(&alice, '1', 'B', WARM);
	forward_answer = -EIO;
	broker_found(broker, &call, "s2", 0, WARM);
	assert_non_null(strstr(heard(), "alice<failed 1 1 retry\n"));
	/* it is down altogether */
	find_answer = -ENOTCONN;
	invite(&alice, '1', 'B', WARM);
	assert_string_equal(heard(), "store<find B\nalice<failed 1 1 retry\n");
	/* bob came here while the store was asked */
	find_answer = 1;
	invite(&alice, '1', 'B', WARM);
	join(&bob, 'B', true, WARM);
	heard();
	broker_found(broker, &call, "s2", 0, WARM);
	assert_string_equal(heard(), "bob<invited 1 from A 'invitation' 20000 60000\n");
}

static void test_what_the_other_server_may_say(void **state)
{
	const struct broker_failure refusal = { PUNCH__FAIL_REASON__FAIL_LIMIT, "full", true };
	struct broker_call call = make_call('1', 'A', 'B'), wrong = make_call('1', 'A', 'C');

	(void)state;
	find_answer = 1;
	join(&alice, 'A', false, WARM);
	invite(&alice, '1', 'B', WARM);
	broker_found(broker, &call, "s2", 0, WARM);
	heard();
	broker_remote_failed(broker, &wrong, &refusal, WARM);
	assert_string_equal(heard(), "");
	broker_remote_failed(broker, &call, &refusal, WARM);
	assert_string_equal(heard(), "alice<failed 1 2 retry\n");
	invite(&alice, '1', 'B', WARM);
	broker_found(broker, &call, "s2", 0, WARM);
	heard();
	broker_undelivered(broker, &call);
	assert_string_equal(heard(), "alice<failed 1 1 retry\n");
	invite(&alice, '1', 'B', WARM);
	broker_found(broker, &call, "s2", 0, WARM);
	heard();
	broker_run(broker, WARM + RDV_AWAY_TIME);
	assert_string_equal(heard(), "alice<failed 1 6\n");
}

/* A store that comes back may be empty: whether it does not know the peer, or the peer says nothing, try again */
static void test_a_store_that_comes_back_is_given_time(void **state)
{
	const struct broker_failure silent = { PUNCH__FAIL_REASON__FAIL_OFFLINE, "not connected", false };
	struct broker_call call = make_call('1', 'A', 'B');
	const uint64_t later = WARM + RDV_GRACE;

	(void)state;
	find_answer = 1;
	join(&alice, 'A', false, WARM);
	broker_store_up(broker, WARM);
	invite(&alice, '1', 'B', later - 1);
	broker_found(broker, &call, NULL, 0, later - 1);
	assert_string_equal(heard(), "store<find B\nalice<failed 1 1 retry\n");
	invite(&alice, '1', 'B', later - 1);
	broker_found(broker, &call, "s2", 0, later - 1);
	heard();
	broker_remote_failed(broker, &call, &silent, later - 1);
	assert_string_equal(heard(), "alice<failed 1 1 retry\n");
	invite(&alice, '1', 'B', later);
	broker_found(broker, &call, NULL, 0, later);
	assert_string_equal(heard(), "store<find B\nalice<failed 1 1\n");
}

static void test_another_server_has_the_key_now(void **state)
{
	(void)state;
	join(&bob, 'B', true, WARM);
	join(&bob2, 'B', false, WARM);
	heard();
	broker_lost(broker, key_of('B'), "s2", WARM);
	/* nothing is withdrawn: the entry is the other server's */
	assert_string_equal(heard(), "bob<failed - 7\nbob<drop\n");
	assert_non_null(bob2.node);
	broker_lost(broker, key_of('B'), "s2", WARM);
	assert_string_equal(heard(), "");
}

/* What is kept of a payload, for the store to answer, is of no use from then on */
static void test_payloads_are_kept_no_longer_than_needed(void **state)
{
	struct broker_call away = make_call('1', 'A', 'B'), here = make_call('2', 'A', 'C');
	struct session *session;

	(void)state;
	find_answer = 1;
	join(&alice, 'A', false, WARM);
	invite(&alice, '1', 'B', WARM);
	session = session_find(broker->sessions, away.session);
	assert_memory_equal(session->kept.body, "invitation", 10);
	broker_found(broker, &away, "s2", 0, WARM);
	assert_int_equal(session->state, SESSION_AWAY);
	assert_null(session->kept.body);
	/* it came here while the store was asked */
	invite(&alice, '2', 'C', WARM);
	join(&carol, 'C', true, WARM);
	heard();
	session = session_find(broker->sessions, here.session);
	assert_non_null(session->kept.body);
	broker_found(broker, &here, "s2", 0, WARM);
	assert_string_equal(heard(), "carol<invited 2 from A 'invitation' 20000 0\n");
	assert_int_equal(session->state, SESSION_RINGING);
	assert_null(session->kept.body);
}

/* Return: how many of @count invitations of an address elsewhere rang, each of a key of its own */
static unsigned int ring_at(const uint8_t callee[KEY_SIZE], const struct broker_origin *origin, unsigned int count)
{
	struct broker_payload payload = text("invitation");
	struct broker_call call = make_call('1', 'A', 'B');
	static unsigned int sessions;
	unsigned int rang = 0;

	memcpy(call.callee, callee, KEY_SIZE);
	for (unsigned int i = 0; i < count; i++) {
		sessions++;
		memcpy(call.session + 1, &sessions, sizeof(sessions));
		memcpy(call.caller, &sessions, sizeof(sessions));
		broker_remote_invite(broker, origin, &call, &payload, NULL, WARM);
		rang += strncmp(heard(), "bob<invited", 11) == 0;
	}
	return rang;
}

static unsigned int ring_from(const struct broker_origin *origin, unsigned int count)
{
	return ring_at(key_of('B'), origin, count);
}

#define OTHERS 8	/* addresses: one in RDV_RING_SOURCES has the fate of another one, half of these never */

/* Keys cost nothing: whoever calls through another server has the share of his address, as who calls through ours */
static void test_rings_of_an_address_elsewhere_are_limited(void **state)
{
	static const struct rate rate = RDV_RING_SOURCE_RATE;
	struct broker_origin other = elsewhere;
	unsigned int unharmed = 0;

	(void)state;
	join(&bob, 'B', true, WARM);
	heard();
	assert_int_equal(ring_from(&elsewhere, 1000), rate.burst);
	for (unsigned int i = 0; i < OTHERS; i++) {
		other.source[4] = (uint8_t)(100 + i);
		unharmed += ring_from(&other, 10) == 10;
	}
	assert_in_range(unharmed, OTHERS / 2, OTHERS);
}

#define CALLEES 80	/* that do not reply: more than RDV_SESSIONS / RDV_RINGING */

/* Whoever calls his own nodes here, through other servers, takes no place of callers here, nor all of theirs */
static void test_calls_of_63_addresses_elsewhere_leave_room(void **state)
{
	static struct peer callees[CALLEES];
	const struct endpoint here = { .family = AF_INET, .address = { 10, 1, 1, 1 } };
	struct broker_origin hostile = elsewhere, other = elsewhere;
	uint8_t key[KEY_SIZE] = { 9 };
	unsigned int rang = 0;

	(void)state;
	for (unsigned int i = 0; i < CALLEES; i++) {
		callees[i].name = "bob";
		key[1] = (uint8_t)i;
		assert_int_equal(broker_join(broker, &callees[i], key, &here, true, WARM, &callees[i].node), 0);
		heard();
		for (hostile.source[4] = 1; hostile.source[4] < 64; hostile.source[4]++)
			rang += ring_at(key, &hostile, 250);
	}
	assert_int_equal(broker_stats(broker)->sessions, rang);
	assert_in_range(rang, 8192, RDV_SESSIONS - RDV_OWN_SESSIONS);
	join(&alice, 'A', false, WARM);
	join(&bob, 'B', true, WARM);
	heard();
	invite(&alice, '1', 'B', WARM);
	assert_string_equal(heard(), "bob<invited 1 from A 'invitation' 20000 60000\n");
	other.source[1] = 203;
	assert_int_equal(ring_from(&other, 8), 8);
	/* and when their time is over, all is well again */
	broker_run(broker, WARM + RDV_REPLY_TIME);
	heard();
	assert_int_equal(broker_stats(broker)->sessions, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, broker_setup, broker_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_callee_on_another_server),
		TEST(test_caller_on_another_server),
		TEST(test_rings_of_an_address_elsewhere_are_limited),
		TEST(test_calls_of_63_addresses_elsewhere_leave_room),
		TEST(test_payloads_are_kept_no_longer_than_needed),
		TEST(test_what_the_store_may_say),
		TEST(test_what_the_other_server_may_say),
		TEST(test_a_store_that_comes_back_is_given_time),
		TEST(test_another_server_has_the_key_now),
	};

	return cmocka_run_group_tests_name("broker_servers", tests, NULL, NULL);
}
