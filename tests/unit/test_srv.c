/* SPDX-License-Identifier: MIT */
/*
 * test_srv.c - the order of RFC 2782, with every draw it can make
 */
#include "tests/unit/scratch.h"
#include "resolver/srv.h"

static uint32_t draws[16], asked[16];
static unsigned int drawn;

/* Plays back draws[], notes what it was asked for */
static uint32_t below(uint32_t n)
{
	asked[drawn] = n;
	return draws[drawn++] % n;
}

static struct srv list[4];

/* @text: a letter names each; order() gives the letters in their new order */
static void add(unsigned int i, char name, uint16_t priority, uint16_t weight)
{
	list[i] = (struct srv){ .host = { name }, .port = 1, .priority = priority, .weight = weight };
}

static const char *order(unsigned int n)
{
	static char names[5];
	unsigned int i;

	drawn = 0;
	srv_order(list, n, below);
	for (i = 0; i < n; i++)
		names[i] = list[i].host[0];
	names[n] = '\0';
	return names;
}

static void priority_goes_before_weight(void **state)
{
	(void)state;
	memset(draws, 0, sizeof(draws));
	add(0, 'c', 30, 1000);
	add(1, 'a', 10, 0);
	add(2, 'b', 20, 65535);
	assert_string_equal(order(3), "abc");
}

static void each_draw_picks_by_the_running_sum(void **state)
{
	static const char *const expected[] = { "ab", "ab", "ba", "ba", "ba" };
	unsigned int i;

	(void)state;
	for (i = 0; i < COUNT(expected); i++) {
		draws[0] = i;
		add(0, 'a', 1, 1);
		add(1, 'b', 1, 3);
		assert_string_equal(order(2), expected[i]);
		assert_int_equal(asked[0], 5);	/* 0 to the sum of weights, both included */
	}
}

static void weight_zero_has_a_small_chance_and_only_that(void **state)
{
	(void)state;
	draws[0] = 0;
	add(0, 'b', 1, 1000);
	add(1, 'a', 1, 0);
	assert_string_equal(order(2), "ab");
	draws[0] = 1;
	add(0, 'b', 1, 1000);
	add(1, 'a', 1, 0);
	assert_string_equal(order(2), "ba");
}

static void later_places_are_drawn_among_the_rest(void **state)
{
	(void)state;
	draws[0] = 60;	/* of 0 .. 60: the last */
	draws[1] = 15;	/* of 0 .. 30: the second of the two left */
	add(0, 'a', 1, 10);
	add(1, 'b', 1, 20);
	add(2, 'c', 1, 30);
	assert_string_equal(order(3), "cba");
	assert_int_equal(asked[1], 31);
}

static void largest_weights_do_not_overflow(void **state)
{
	(void)state;
	draws[0] = 4 * 65535u;
	draws[1] = draws[2] = 0;
	add(0, 'a', 1, 65535);
	add(1, 'b', 1, 65535);
	add(2, 'c', 1, 65535);
	add(3, 'd', 1, 65535);
	assert_int_equal(order(4)[0], 'd');
	assert_int_equal(asked[0], 4 * 65535u + 1);
}

static void none_and_one_need_no_draw(void **state)
{
	(void)state;
	assert_string_equal(order(0), "");
	add(0, 'a', 1, 1);
	assert_string_equal(order(1), "a");
	assert_int_equal(drawn, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(priority_goes_before_weight),
		cmocka_unit_test(each_draw_picks_by_the_running_sum),
		cmocka_unit_test(weight_zero_has_a_small_chance_and_only_that),
		cmocka_unit_test(later_places_are_drawn_among_the_rest),
		cmocka_unit_test(largest_weights_do_not_overflow),
		cmocka_unit_test(none_and_one_need_no_draw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
