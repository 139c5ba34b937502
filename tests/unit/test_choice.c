/* SPDX-License-Identifier: MIT */
/*
 * test_choice.c - the path that is nominated, and how its round trip is told from two figures
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/punch.pb-c.h"
#include "resolver/choice.h"

#define NOW	(1000 * SECOND)

static const struct choice_path none;
static uint64_t again;

static struct choice_path direct(uint64_t ms)
{
	struct choice_path path = none;

	path.proven = true;
	path.priority = choice_priority(PUNCH__CANDIDATE_TYPE__CANDIDATE_REFLEXIVE);
	path.rtt = ms * MS;
	return path;
}

static struct choice_path relay(uint64_t ms)
{
	struct choice_path path = none;

	path.proven = path.relay = true;
	path.rtt = ms * MS;
	return path;
}

/* Both sides are joined since @since, our leg takes @leg ms */
static struct choice_path joined(uint64_t leg, uint64_t since)
{
	struct choice_path path = none;

	path.relay = true;
	path.leg = leg * MS;
	path.since = since;
	return path;
}

static int choose_beside(unsigned int others, struct choice_path a, struct choice_path b, bool hope)
{
	struct choice_path paths[] = { a, b };

	return choice_make(paths, 2, others, hope, NOW, &again);
}

static int choose(struct choice_path a, struct choice_path b, bool hope)
{
	return choose_beside(0, a, b, hope);
}

static void a_direct_path_is_taken_at_once(void **state)
{
	struct choice_path one = direct(50);

	(void)state;
	assert_int_equal(choice_make(&one, 1, 0, true, NOW, &again), 0);
	assert_int_equal(choose(relay(50), direct(50), true), 1);
	assert_int_equal(choose(direct(50), relay(100), true), 0);
}

static void a_relay_waits_while_there_is_hope(void **state)
{
	struct choice_path one = relay(50);

	(void)state;
	assert_int_equal(choice_make(&one, 1, 0, true, NOW, &again), -1);
	assert_true(again == NEVER);
	assert_int_equal(choice_make(&one, 1, 0, false, NOW, &again), 0);
	assert_int_equal(choice_make(&one, 0, 0, false, NOW, &again), -1);
}

static void a_direct_path_slower_by_more_than_a_fifth_is_not_taken(void **state)
{
	(void)state;
	assert_int_equal(choose(direct(121), relay(100), true), 1);
	assert_int_equal(choose(direct(120), relay(100), true), 0);
	assert_int_equal(choose(direct(300), relay(100), false), 1);
	/* Within the noise of a busy host */
	assert_int_equal(choose(direct(20), relay(1), true), 0);
	assert_int_equal(choose(direct(22), relay(1), true), 1);
	/* Within that of one that sets up many at once */
	assert_int_equal(choose_beside(50, direct(60), relay(1), true), 0);
	assert_int_equal(choose_beside(50, direct(72), relay(1), true), 1);
	assert_int_equal(choose_beside(50, direct(60), joined(1, NOW), true), 0);
	/* Without a measurement there is no reason against it */
	assert_int_equal(choose(direct(0), relay(100), true), 0);
	assert_int_equal(choose(direct(300), relay(0), true), 0);
}

static void a_relay_that_may_still_win_is_waited_for(void **state)
{
	(void)state;
	/* 240 ms direct: the relay must take 200 at most, and 20 ms are ours */
	assert_int_equal(choose(direct(240), joined(20, NOW - 10 * MS), true), -1);
	assert_true(again == NOW - 10 * MS + 180 * MS);
	assert_int_equal(choose(direct(240), joined(20, NOW - 180 * MS), true), 0);
	/* Our leg alone takes too long */
	assert_int_equal(choose(direct(240), joined(210, NOW), true), 0);
	/* Not for ever */
	assert_int_equal(choose(direct(3000), joined(20, NOW), true), -1);
	assert_true(again == NOW + CHOICE_PATIENCE);
	assert_int_equal(choose(direct(3000), joined(20, NOW - CHOICE_PATIENCE), true), 0);
	/* Near paths: no waiting at all */
	assert_int_equal(choose(direct(10), joined(1, NOW), true), 0);
}

static void priorities_are_those_of_rfc_6544(void **state)
{
	struct choice_path host = direct(20), mapped = direct(10);

	(void)state;
	assert_true(choice_priority(PUNCH__CANDIDATE_TYPE__CANDIDATE_HOST) > choice_priority(0));
	assert_true(choice_priority(0) > choice_priority(PUNCH__CANDIDATE_TYPE__CANDIDATE_MAPPED));
	assert_true(choice_priority(PUNCH__CANDIDATE_TYPE__CANDIDATE_MAPPED) >
		    choice_priority(PUNCH__CANDIDATE_TYPE__CANDIDATE_REFLEXIVE));
	host.priority = choice_priority(PUNCH__CANDIDATE_TYPE__CANDIDATE_HOST);
	mapped.priority = choice_priority(PUNCH__CANDIDATE_TYPE__CANDIDATE_MAPPED);
	assert_int_equal(choose(mapped, host, true), 1);
	/* Of two alike the nearer one */
	assert_int_equal(choose(direct(20), direct(10), true), 1);
}

/* One way D: what each side of each tactic sees, from the sequence of packets */
static void a_round_trip_is_told_from_the_half_of_it(void **state)
{
	const uint64_t d = 50 * MS;

	(void)state;
	/* crossing SYNs, at one instant, and one side 5 ms late */
	assert_int_equal(choice_rtt(d, 2 * d, d), 2 * d);
	assert_int_equal(choice_rtt(d + 5 * MS, 2 * d, d - 5 * MS), 2 * d);
	/* the dialler of an ordered opening, its opener, and a listener */
	assert_int_equal(choice_rtt(2 * d, 0, 2 * d), 2 * d);
	assert_int_equal(choice_rtt(2 * d, 0, 1 * MS), 2 * d);
	/* a SYN that was dropped, so that the socket became an opener by chance: connect() took long */
	assert_int_equal(choice_rtt(2 * d, 5 * d, 1 * MS), 2 * d);
	/* the same, and its proof came late (seen with both lanes under way) */
	assert_int_equal(choice_rtt(2 * d, 4 * d + 3 * MS, d + 1 * MS), 2 * d);
	/* nothing measured */
	assert_int_equal(choice_rtt(0, 1 * SECOND + 2 * d, d), 0);
	assert_int_equal(choice_rtt(0, 0, d), 0);
}

static void late_successes_are_waited_for(void **state)
{
	const uint64_t window = NOW + 100 * MS;

	(void)state;
	/* Attempts go on: to the end of the window, not beyond */
	assert_true(choice_hope(window, 0, false, NOW) == window);
	assert_true(choice_hope(window, 0, false, window) == 0);
	/* Connected in the last moment: its proof may come 200 ms late */
	assert_true(choice_hope(window, 0, true, window) == window + 200 * MS);
	assert_true(choice_hope(window, NOW, true, window + 199 * MS) == window + 200 * MS);
	assert_true(choice_hope(window, 0, true, window + 200 * MS) == 0);
	/* All have failed: the far end's SYN may be on its way */
	assert_true(choice_hope(NOW + SECOND, NOW - 50 * MS, false, NOW) == NOW + 150 * MS);
	assert_true(choice_hope(NOW + SECOND, NOW - 200 * MS, false, NOW) == 0);
	assert_true(choice_hope(window, NOW - 50 * MS, false, NOW) == window);
}

static void a_silent_path_is_given_up_while_there_is_time(void **state)
{
	const uint64_t rtt = 40 * MS, enough = 4 * SECOND + 4 * rtt;

	(void)state;
	assert_true(choice_cover(true, enough + 1, 14 * SECOND, rtt) == enough);
	/* No time for another try: this one gets all that is left */
	assert_true(choice_cover(true, enough, 8 * SECOND, rtt) == 8 * SECOND);
	assert_true(choice_cover(true, 0, 8 * SECOND, rtt) == 8 * SECOND);
	/* The caller may be done, and its last word still on its way */
	assert_true(choice_cover(false, 0, 60 * SECOND, rtt) == 60 * SECOND);
	assert_true(choice_cover(false, 50 * SECOND, 60 * SECOND, rtt) == 60 * SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_direct_path_is_taken_at_once),
		cmocka_unit_test(a_relay_waits_while_there_is_hope),
		cmocka_unit_test(a_direct_path_slower_by_more_than_a_fifth_is_not_taken),
		cmocka_unit_test(a_relay_that_may_still_win_is_waited_for),
		cmocka_unit_test(priorities_are_those_of_rfc_6544),
		cmocka_unit_test(late_successes_are_waited_for),
		cmocka_unit_test(a_round_trip_is_told_from_the_half_of_it),
		cmocka_unit_test(a_silent_path_is_given_up_while_there_is_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
