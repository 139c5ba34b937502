/* SPDX-License-Identifier: MIT */
/*
 * test_nearest.c - the shortest round trip of a minute
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "common/clock.h"
#include "resolver/nearest.h"

#define NOW	(1000 * SECOND)

static struct nearest nearest;

static uint64_t note(const char *remote, uint64_t ms, uint64_t now)
{
	struct endpoint ep;

	assert_int_equal(endpoint_parse(&ep, remote, 0), 0);
	return nearest_note(&nearest, &ep, ms * MS, now) / MS;
}

static int begin(void **state)
{
	(void)state;
	nearest = (struct nearest){ .entries = { { .until = 0 } } };
	return 0;
}

static void the_shortest_counts_whatever_the_port(void **state)
{
	(void)state;
	assert_int_equal(note("198.51.100.2:1000", 20, NOW), 20);
	assert_int_equal(note("198.51.100.2:2000", 4, NOW + SECOND), 4);
	assert_int_equal(note("198.51.100.2:3000", 37, NOW + 2 * SECOND), 4);
	assert_int_equal(note("198.51.100.3:1000", 37, NOW), 37);
	assert_int_equal(note("[2001:db8::2]:1000", 9, NOW), 9);
}

static void for_a_minute(void **state)
{
	(void)state;
	note("198.51.100.2:1000", 4, NOW);
	assert_int_equal(note("198.51.100.2:1000", 37, NOW + 59 * SECOND), 4);
	assert_int_equal(note("198.51.100.2:1000", 37, NOW + 60 * SECOND), 37);
	assert_int_equal(note("198.51.100.2:1000", 38, NOW + 61 * SECOND), 37);
}

static void what_was_not_measured_stays_so(void **state)
{
	(void)state;
	assert_int_equal(note("198.51.100.2:1000", 0, NOW), 0);
	note("198.51.100.2:1000", 4, NOW);
	assert_int_equal(note("198.51.100.2:1000", 0, NOW), 0);
	assert_int_equal(note("198.51.100.2:1000", 5, NOW), 4);
}

static void the_oldest_makes_room(void **state)
{
	char text[32];
	int i;

	(void)state;
	for (i = 0; i <= NEAREST_MAX; i++) {
		snprintf(text, sizeof(text), "198.51.100.%d:1000", i + 1);
		note(text, 4, NOW + (uint64_t)i * MS);
	}
	assert_int_equal(note("198.51.100.2:1000", 37, NOW + SECOND), 4);
	assert_int_equal(note("198.51.100.1:1000", 37, NOW + SECOND), 37);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_shortest_counts_whatever_the_port, begin),
		cmocka_unit_test_setup(for_a_minute, begin),
		cmocka_unit_test_setup(what_was_not_measured_stays_so, begin),
		cmocka_unit_test_setup(the_oldest_makes_room, begin),
	};

	return cmocka_run_group_tests_name("nearest", tests, NULL, NULL);
}
