/* SPDX-License-Identifier: MIT */
/*
 * test_memory.c - what worked between two networks is found again, for a while, within bounds
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "resolver/memory.h"

#define NOW		1700000000u
#define OPENS		PUNCH__FIRST__FIRST_CALLER_OPENS
#define OPENED		PUNCH__FIRST__FIRST_CALLEE_OPENS
#define SYNC		PUNCH__FIRST__FIRST_SYNC
#define RELAY		PUNCH__FIRST__FIRST_RELAY
#define UNKNOWN		PUNCH__FIRST__FIRST_UNKNOWN

static struct description site(const char *public)
{
	struct description d = { .mapping = PUNCH__MAPPING__MAPPING_ENDPOINT_INDEPENDENT, .count = 1 };

	d.candidates[0].type = PUNCH__CANDIDATE_TYPE__CANDIDATE_REFLEXIVE;
	assert_int_equal(endpoint_parse(&d.candidates[0].endpoint, public, 0), 0);
	return d;
}

static void found_again_from_both_ends(void **state)
{
	struct description a = site("198.51.100.1:5000"), b = site("203.0.113.9:6000"), near = site("203.0.113.77:1");
	struct memory memory = { 0 };

	(void)state;
	assert_int_equal(memory_first(&memory, &a, &b, NOW), UNKNOWN);
	assert_true(memory_learn(&memory, &a, &b, OPENS, NOW));
	assert_int_equal(memory_first(&memory, &a, &b, NOW), OPENS);
	/* who calls is another one now: who opens is the same */
	assert_int_equal(memory_first(&memory, &b, &a, NOW), OPENED);
	assert_int_equal(memory_first(&memory, &a, &near, NOW), OPENS);
	assert_false(memory_learn(&memory, &a, &b, OPENS, NOW + 60));
	assert_true(memory_learn(&memory, &a, &b, SYNC, NOW + 60));
	assert_int_equal(memory_first(&memory, &b, &a, NOW), SYNC);
}

static void another_network_or_nat_is_unknown(void **state)
{
	struct description a = site("198.51.100.1:5000"), b = site("203.0.113.9:6000"), c = site("203.0.114.9:6000");
	struct memory memory = { 0 };

	(void)state;
	memory_learn(&memory, &a, &b, OPENS, NOW);
	assert_int_equal(memory_first(&memory, &a, &c, NOW), UNKNOWN);
	b.mapping = PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT;
	assert_int_equal(memory_first(&memory, &a, &b, NOW), UNKNOWN);
	b.count = 0;
	assert_int_equal(memory_first(&memory, &a, &b, NOW), UNKNOWN);
	assert_false(memory_learn(&memory, &a, &b, OPENS, NOW));
}

static void failure_is_forgotten_soon(void **state)
{
	struct description a = site("198.51.100.1:5000"), b = site("203.0.113.9:6000");
	struct memory memory = { 0 };

	(void)state;
	memory_learn(&memory, &a, &b, RELAY, NOW);
	memory_learn(&memory, &a, &b, RELAY, NOW);
	assert_int_equal(memory_first(&memory, &b, &a, NOW + MEMORY_FAILED - 1), RELAY);
	assert_int_equal(memory_first(&memory, &a, &b, NOW + MEMORY_FAILED), UNKNOWN);
	memory_learn(&memory, &a, &b, OPENS, NOW);
	assert_int_equal(memory_first(&memory, &a, &b, NOW + MEMORY_WORKED - 1), OPENS);
	assert_int_equal(memory_first(&memory, &a, &b, NOW + MEMORY_WORKED), UNKNOWN);
}

static void one_failure_is_an_accident(void **state)
{
	struct description a = site("198.51.100.1:5000"), b = site("203.0.113.9:6000");
	struct memory memory = { 0 };

	(void)state;
	assert_false(memory_learn(&memory, &a, &b, RELAY, NOW));
	assert_int_equal(memory_first(&memory, &a, &b, NOW), UNKNOWN);
	/* what worked stands, until it has failed twice in a row */
	memory_learn(&memory, &a, &b, OPENS, NOW);
	assert_false(memory_learn(&memory, &a, &b, RELAY, NOW));
	assert_int_equal(memory_first(&memory, &a, &b, NOW), OPENS);
	memory_learn(&memory, &a, &b, OPENS, NOW);
	assert_false(memory_learn(&memory, &a, &b, RELAY, NOW));
	assert_int_equal(memory_first(&memory, &b, &a, NOW), OPENED);
	assert_true(memory_learn(&memory, &a, &b, RELAY, NOW));
	assert_int_equal(memory_first(&memory, &b, &a, NOW), RELAY);
	memory_learn(&memory, &a, &b, SYNC, NOW);
	assert_int_equal(memory_first(&memory, &b, &a, NOW), SYNC);
}

static void bounded_and_the_oldest_gives_way(void **state)
{
	struct description a = site("198.51.100.1:5000"), b;
	struct memory memory = { 0 };
	char text[40];
	unsigned int i;

	(void)state;
	for (i = 0; i < MEMORY_MAX; i++) {
		snprintf(text, sizeof(text), "203.%u.113.9:6000", i);
		b = site(text);
		memory_learn(&memory, &a, &b, SYNC, NOW + i);
	}
	assert_int_equal(memory_first(&memory, &a, &b, NOW + i), SYNC);
	b = site("203.0.113.9:6000");
	assert_int_equal(memory_first(&memory, &a, &b, NOW + i), UNKNOWN);
}

static void nonsense_from_the_disk_is_ignored(void **state)
{
	struct description a = site("198.51.100.1:5000"), b = site("203.0.113.9:6000");
	struct memory memory = { 0 }, other = { 0 };
	struct memory_entry entry;

	(void)state;
	memory_learn(&memory, &a, &b, OPENS, NOW);
	entry = memory.entries[0];
	entry.first = RELAY + 1;
	memory_restore(&other, &entry, NOW);
	entry.first = OPENS;
	entry.until = NOW;
	memory_restore(&other, &entry, NOW);
	entry.until = UINT64_MAX;
	memory_restore(&other, &entry, NOW);
	assert_int_equal(memory_first(&other, &a, &b, NOW), UNKNOWN);
	entry = memory.entries[0];
	memory_restore(&other, &entry, NOW);
	assert_int_equal(memory_first(&other, &a, &b, NOW), OPENS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_again_from_both_ends),
		cmocka_unit_test(another_network_or_nat_is_unknown),
		cmocka_unit_test(failure_is_forgotten_soon),
		cmocka_unit_test(one_failure_is_an_accident),
		cmocka_unit_test(bounded_and_the_oldest_gives_way),
		cmocka_unit_test(nonsense_from_the_disk_is_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
