/* SPDX-License-Identifier: MIT */
/*
 * test_resolver_names.c - stand-in slots: stable, unique, bounded
 */
#include <errno.h>

#include "tests/unit/scratch.h"
#include "common/standin.h"
#include "resolver/names.h"

#define LAST (STANDIN_SLOTS - 2)

static int begin(void **state)
{
	*state = names_new();
	return *state ? 0 : -1;
}

static int end(void **state)
{
	names_free(*state);
	return 0;
}

static void a_slot_follows_from_the_name(void **state)
{
	uint32_t slot = names_slot(*state, "bob");

	assert_in_range(slot, 1, LAST);
	assert_int_equal(slot, names_preferred("bob"));
	assert_int_equal(names_slot(*state, "BoB"), slot);
	assert_int_equal(names_find(*state, "BOB"), slot);
	assert_string_equal(names_of_slot(*state, slot), "bob");
	assert_int_equal(names_find(*state, "alice"), 0);
	assert_null(names_of_slot(*state, slot % LAST + 1));
}

/* Whoever comes first has it; the other one moves on, past the end to the first */
static void names_that_collide_get_neighbouring_slots(void **state)
{
	uint32_t taken = names_preferred("bob"), next = taken % LAST + 1;

	assert_int_equal(names_restore(*state, "squatter", taken), 0);
	assert_int_equal(names_slot(*state, "bob"), next);
	assert_int_equal(names_find(*state, "bob"), next);
	assert_string_equal(names_of_slot(*state, taken), "squatter");
}

static void the_last_slot_is_followed_by_the_first(void **state)
{
	char name[16];
	unsigned int i;

	for (i = 0; i < 4000000; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		if (names_preferred(name) == LAST)
			break;
	}
	assert_int_equal(names_preferred(name), LAST);
	assert_int_equal(names_restore(*state, "squatter", LAST), 0);
	assert_int_equal(names_slot(*state, name), 1);
}

static void what_was_saved_must_make_sense(void **state)
{
	char huge[LIMIT_HOST + 1];

	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	assert_int_equal(names_restore(*state, "zero", 0), -EINVAL);
	assert_int_equal(names_restore(*state, "beyond", LAST + 1), -EINVAL);
	assert_int_equal(names_restore(*state, "", 5), -EINVAL);
	assert_int_equal(names_restore(*state, huge, 5), -EINVAL);
	assert_int_equal(names_restore(*state, "bob", 5), 0);
	assert_int_equal(names_restore(*state, "Bob", 6), -EEXIST);
	assert_int_equal(names_restore(*state, "carol", 5), -EEXIST);
	assert_int_equal(names_slot(*state, "bob"), 5);
	assert_int_equal(names_slot(*state, huge), 0);
	assert_int_equal(names_slot(*state, ""), 0);
}

static void a_full_table_gives_nothing_and_keeps_all(void **state)
{
	static uint8_t seen[STANDIN_SLOTS];
	char name[16];
	const char *text;
	uint32_t slot;
	unsigned int i;

	for (i = 0; i < NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		slot = names_slot(*state, name);
		assert_in_range(slot, 1, LAST);
		assert_false(seen[slot]++);
	}
	assert_int_equal(names_slot(*state, "one-more"), 0);
	assert_true(names_slot(*state, "n7") > 0);
	assert_true(names_get(*state, NAMES_MAX - 1, &text, &slot));
	assert_string_equal(text, name);
	assert_false(names_get(*state, NAMES_MAX, &text, &slot));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_slot_follows_from_the_name, begin, end),
		cmocka_unit_test_setup_teardown(names_that_collide_get_neighbouring_slots, begin, end),
		cmocka_unit_test_setup_teardown(the_last_slot_is_followed_by_the_first, begin, end),
		cmocka_unit_test_setup_teardown(what_was_saved_must_make_sense, begin, end),
		cmocka_unit_test_setup_teardown(a_full_table_gives_nothing_and_keeps_all, begin, end),
	};

	return cmocka_run_group_tests_name("resolver names", tests, NULL, NULL);
}
