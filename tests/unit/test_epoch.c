/* SPDX-License-Identifier: MIT */
/*
 * test_epoch.c - when does a gateway's clock say that it has lost its mappings?
 */
#include "common/clock.h"
#include "resolver/epoch.h"
#include "tests/unit/scratch.h"

#define START	(1000 * SECOND)

/* It said 500 at START; what of the one that it says at START + @after? */
static bool lost(int64_t says, uint64_t after)
{
	struct epoch epoch = { 0 };

	epoch_take(&epoch, 500, START);
	return epoch_lost(&epoch, (uint32_t)says, START + after);
}

static void a_clock_that_goes_on_has_lost_nothing(void **state)
{
	(void)state;
	assert_false(lost(500, 0));
	assert_false(lost(3500, 3000 * SECOND));
	/* Packets overtake each other */
	assert_false(lost(499, 0));
	/* A sixteenth of drift and two seconds, either way */
	assert_false(lost(500 + 1600 - 100 - 2, 1600 * SECOND));
	assert_false(lost(500 + 1600, (1600 - 100 - 2) * SECOND));
}

static void a_clock_that_began_anew_has(void **state)
{
	(void)state;
	assert_true(lost(0, 100 * SECOND));
	assert_true(lost(498, 0));
	/* A restart so long ago that it counts higher than before */
	assert_true(lost(600, 1000 * SECOND));
	assert_true(lost(500 + 1600 - 100 - 3, 1600 * SECOND));
	assert_true(lost(500 + 1600, (1600 - 100 - 3) * SECOND));
}

/* ... within seconds of its first answer */
static void an_early_restart_is_seen_after_four_seconds(void **state)
{
	struct epoch epoch = { 0 };

	(void)state;
	epoch_take(&epoch, 1, START);
	assert_true(epoch_lost(&epoch, 0, START + 4 * SECOND));
}

static void whole_seconds_of_both_may_differ_by_two(void **state)
{
	(void)state;
	assert_false(lost(502, 0));
	assert_false(lost(500, 2 * SECOND + SECOND / 2));
	assert_true(lost(503, 0));
	assert_true(lost(500, 3 * SECOND));
}

static void before_the_first_answer_nothing_is_lost(void **state)
{
	struct epoch epoch = { 0 };

	(void)state;
	assert_false(epoch_lost(&epoch, 7, START));
}

static void the_largest_values_are_survived(void **state)
{
	struct epoch epoch = { 0 };

	(void)state;
	epoch_take(&epoch, UINT32_MAX, START);
	assert_true(epoch_lost(&epoch, 0, START));
	epoch_take(&epoch, 0, START);
	assert_true(epoch_lost(&epoch, UINT32_MAX, START));
	assert_true(epoch_lost(&epoch, 0, UINT64_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clock_that_goes_on_has_lost_nothing),
		cmocka_unit_test(a_clock_that_began_anew_has),
		cmocka_unit_test(an_early_restart_is_seen_after_four_seconds),
		cmocka_unit_test(whole_seconds_of_both_may_differ_by_two),
		cmocka_unit_test(before_the_first_answer_nothing_is_lost),
		cmocka_unit_test(the_largest_values_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
