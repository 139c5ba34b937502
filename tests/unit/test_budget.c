/* SPDX-License-Identifier: MIT */
/*
 * test_budget.c - SYNs are bounded whatever others name as the peer's address
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "resolver/budget.h"

static struct endpoint host(uint8_t last)
{
	return (struct endpoint){ .family = AF_INET, .port = 4711, .address = { 198, 51, 100, last } };
}

/* SYNs that may be sent to @to at @now by sessions that never end; each socket is closed at once */
static unsigned int drain(struct budget *budget, struct endpoint to, uint64_t now)
{
	unsigned int n = 0, session = 0;

	while (!budget_take(budget, &session, &to, now)) {
		budget_done(budget);
		session = 0;
		to.port++;
		if (++n > 10 * BUDGET_ALL)
			break;
	}
	return n;
}

static void never_more_than_256_half_open(void **state)
{
	struct budget budget = { 0 };
	unsigned int session = 0, i;
	struct endpoint to = host(1);

	(void)state;
	for (i = 0; i < 256; i++)
		assert_int_equal(budget_take(&budget, &session, &to, SECOND), 0);
	assert_false(budget_room(&budget));
	assert_int_equal(budget_take(&budget, &session, &to, SECOND), -EBUSY);
	assert_int_equal(session, 256);
	budget_done(&budget);
	assert_int_equal(budget_take(&budget, &session, &to, SECOND), 0);
}

static void session_has_its_own_end(void **state)
{
	struct budget budget = { 0 };
	struct endpoint to = host(1);
	unsigned int session = 0, n = 0;

	(void)state;
	budget_trust(&budget, &to, SECOND);
	while (!budget_take(&budget, &session, &to, SECOND)) {
		budget_done(&budget);
		n++;
	}
	assert_int_equal(n, BUDGET_SESSION);
}

static void address_gets_one_round_and_then_one_a_minute(void **state)
{
	struct budget budget = { 0 };
	uint64_t now = SECOND;
	unsigned int n = 0;

	(void)state;
	assert_int_equal(drain(&budget, host(1), now), BUDGET_TARGET);
	/* other ports are the same target; another address is not */
	assert_int_equal(drain(&budget, host(1), now), 0);
	assert_true(drain(&budget, host(2), now) > 0);
	for (; now <= 61 * SECOND; now += 100 * MS)
		n += drain(&budget, host(1), now);
	assert_in_range(n, BUDGET_TARGET * 9 / 10, BUDGET_TARGET);
}

static void many_addresses_share_a_budget(void **state)
{
	struct budget budget = { 0 };
	unsigned int n = 0, i;

	(void)state;
	/* more of them than are remembered: forgetting must not be a way round */
	for (i = 0; i < 2 * BUDGET_TARGETS; i++)
		n += drain(&budget, host((uint8_t)i), SECOND);
	assert_int_equal(n, BUDGET_ALL);
}

static void ipv6_network_is_one_target(void **state)
{
	struct endpoint a = { .family = AF_INET6, .port = 1, .address = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } }, b = a;
	struct budget budget = { 0 };

	(void)state;
	b.address[15] = 2;
	assert_int_equal(drain(&budget, a, SECOND), BUDGET_TARGET);
	assert_int_equal(drain(&budget, b, SECOND), 0);
	b.address[7] = 1;
	assert_true(drain(&budget, b, SECOND) > 0);
}

static void proven_peer_is_free_for_a_while(void **state)
{
	struct budget budget = { 0 };
	struct endpoint peer = host(1), to;
	unsigned int i, session = 0;

	(void)state;
	drain(&budget, peer, SECOND);
	budget_trust(&budget, &peer, SECOND);
	assert_true(drain(&budget, peer, SECOND) > BUDGET_ALL);
	/* strangers do not push it out */
	for (i = 2; i < 2 + BUDGET_TARGETS; i++) {
		to = host((uint8_t)i);
		session = 0;
		if (!budget_take(&budget, &session, &to, SECOND))
			budget_done(&budget);
	}
	assert_true(drain(&budget, peer, SECOND) > BUDGET_ALL);
	assert_true(drain(&budget, peer, 2 * SECOND + BUDGET_TRUST) <= BUDGET_TARGET);
}

static unsigned int probe(struct budget *budget, struct endpoint to, uint64_t now)
{
	unsigned int n = 0;

	while (n < 10 * BUDGET_PROBES_ALL && budget_probe(budget, &to, 1, now)) {
		n++;
		to.port++;
	}
	return n;
}

/* A server that names a victim as its probe port gets few SYNs sent there, however often it drops its nodes */
static void unanswered_probes_are_few(void **state)
{
	struct budget budget = { 0 };
	uint64_t now = SECOND;
	unsigned int n = 0, i;

	(void)state;
	assert_int_equal(probe(&budget, host(1), now), BUDGET_PROBES);
	for (; now <= 61 * SECOND; now += 100 * MS)
		n += probe(&budget, host(1), now);
	assert_in_range(n, 54, 60);
	/* nor many to many addresses */
	n = 0;
	for (i = 2; i < 2 * BUDGET_TARGETS; i++)
		n += probe(&budget, host((uint8_t)i), now);
	assert_true(n <= BUDGET_PROBES_ALL);
	/* guesses have their own budget, and take none of this one */
	assert_int_equal(drain(&budget, host(200), now), BUDGET_TARGET);
	memset(&budget, 0, sizeof(budget));
	drain(&budget, host(1), now);
	assert_int_equal(probe(&budget, host(1), now), BUDGET_PROBES);
}

static void answered_probes_are_free(void **state)
{
	struct budget budget = { 0 };
	struct endpoint server = host(1);
	unsigned int i;

	(void)state;
	for (i = 0; i < 10 * BUDGET_PROBES_ALL; i++) {
		assert_true(budget_probe(&budget, &server, 2, SECOND));
		budget_answered(&budget, &server, 2, SECOND);
	}
	/* what was put back once too often makes no more room than there was */
	budget_answered(&budget, &server, 100, SECOND);
	assert_int_equal(probe(&budget, server, SECOND), BUDGET_PROBES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_more_than_256_half_open),
		cmocka_unit_test(session_has_its_own_end),
		cmocka_unit_test(address_gets_one_round_and_then_one_a_minute),
		cmocka_unit_test(many_addresses_share_a_budget),
		cmocka_unit_test(ipv6_network_is_one_target),
		cmocka_unit_test(proven_peer_is_free_for_a_while),
		cmocka_unit_test(unanswered_probes_are_few),
		cmocka_unit_test(answered_probes_are_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
