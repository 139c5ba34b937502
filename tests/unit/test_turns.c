/* SPDX-License-Identifier: MIT */
/*
 * test_turns.c - one goes at a time, each to a place of its own
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "resolver/turns.h"

static struct turns turns;
static const uint8_t bob[KEY_SIZE] = { 1 }, carol[KEY_SIZE] = { 2 };
static const char one, two;

static int setup(void **state)
{
	(void)state;
	memset(&turns, 0, sizeof(turns));
	return 0;
}

static int take(const uint8_t peer[KEY_SIZE], uint16_t port, uint64_t bucket, const void *who)
{
	return turns_take(&turns, peer, port, bucket, 3, who);
}

static void the_second_waits_for_the_first(void **state)
{
	(void)state;
	assert_int_equal(take(bob, 22, 7, &one), 0);
	assert_int_equal(take(bob, 22, 7, &two), -EBUSY);
	assert_int_equal(take(bob, 22, 7, &one), 0);	/* again: a retry */
	turns_end(&turns, &one, 0);
	assert_int_equal(take(bob, 22, 7, &two), 1);
	/* Another port, another peer: their own */
	assert_int_equal(take(bob, 80, 7, &one), 0);
	turns_end(&turns, &one, -1);
	assert_int_equal(take(carol, 22, 7, &one), 0);
}

static void a_place_that_was_not_used_is_gone_to_again(void **state)
{
	(void)state;
	assert_int_equal(take(bob, 22, 7, &one), 0);
	turns_end(&turns, &one, -1);
	assert_int_equal(take(bob, 22, 7, &two), 0);
}

/* Whose Invite opened it: what the caller had thought before does not count */
static void the_place_that_was_used_decides(void **state)
{
	(void)state;
	assert_int_equal(take(bob, 22, 7, &one), 0);
	turns_end(&turns, &one, 1);
	assert_int_equal(take(bob, 22, 7, &one), 2);
	turns_end(&turns, &one, 0);
	assert_int_equal(take(bob, 22, 7, &one), 1);
}

static void refused_it_tries_others_in_between(void **state)
{
	static const unsigned int from_0[] = { 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 1 };
	static const unsigned int from_5[] = { 5, 5, 5, 5, 5, 6, 5, 4, 5, 7, 5, 3, 5, 8, 5, 0, 5, 6 };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(from_0) / sizeof(*from_0); i++) {
		assert_int_equal(turns_try(0, i, 64), from_0[i]);
		assert_int_equal(turns_try(5, i, 64), from_5[i]);
	}
	for (i = 0; i < 40; i++)
		assert_true(turns_try(63, i, 64) < 64);
}

static void a_clock_that_is_set_back_blocks_nobody(void **state)
{
	uint16_t i;

	(void)state;
	for (i = 0; i < TURNS_MAX; i++) {
		assert_int_equal(take(bob, i + 1, 700, &one), 0);
		turns_end(&turns, &one, 0);
	}
	assert_int_equal(take(carol, 22, 700, &one), -EBUSY);
	assert_int_equal(take(carol, 22, 7, &one), 0);
}

static void each_bucket_has_its_own_places(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(take(bob, 22, 7, &one), i);
		turns_end(&turns, &one, i);
	}
	assert_int_equal(take(bob, 22, 7, &one), -ENOSPC);
	assert_int_equal(take(bob, 22, 8, &one), 0);
	/* Whoever is still on the way from the last bucket keeps the others back */
	assert_int_equal(take(bob, 22, 9, &two), -EBUSY);
	turns_end(&turns, &one, -1);
	assert_int_equal(take(bob, 22, 9, &two), 0);
}

static void a_full_table_makes_room_for_the_next_bucket(void **state)
{
	uint16_t port;

	(void)state;
	for (port = 1; port <= TURNS_MAX; port++) {
		assert_int_equal(take(bob, port, 7, &port), 0);
		turns_end(&turns, &port, 0);
	}
	assert_int_equal(take(bob, 1000, 7, &one), -EBUSY);
	assert_int_equal(take(bob, 1000, 8, &one), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_second_waits_for_the_first, setup),
		cmocka_unit_test_setup(a_place_that_was_not_used_is_gone_to_again, setup),
		cmocka_unit_test_setup(the_place_that_was_used_decides, setup),
		cmocka_unit_test_setup(refused_it_tries_others_in_between, setup),
		cmocka_unit_test_setup(a_clock_that_is_set_back_blocks_nobody, setup),
		cmocka_unit_test_setup(each_bucket_has_its_own_places, setup),
		cmocka_unit_test_setup(a_full_table_makes_room_for_the_next_bucket, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
