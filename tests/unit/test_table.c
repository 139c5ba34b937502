/* SPDX-License-Identifier: MIT */
/*
 * test_table.c - the hash table under all others
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/table.h"

#define MANY 5000u	/* more than the chains of the tables here */

struct thing {
	struct table_entry entry;
	unsigned int before;
	uint32_t key;
	unsigned int after;
};

static struct thing things[MANY];

static struct table *filled(size_t many)
{
	struct table *table = table_new(many, TABLE_KEY(struct thing, key));

	assert_non_null(table);
	for (uint32_t i = 0; i < MANY; i++) {
		things[i] = (struct thing){ .before = i + 1, .key = i, .after = i - 1 };
		table_add(table, &things[i].entry);
	}
	return table;
}

static void what_is_in_it_is_found(void **state)
{
	struct table *table = filled(100);
	uint32_t key;

	(void)state;
	assert_int_equal(table_count(table), MANY);
	for (key = 0; key < MANY; key++)
		assert_ptr_equal(table_find(table, &key), &things[key]);
	assert_null(table_find(table, &key));
	table_free(table, NULL);
}

/* In any order, and each of them only */
static void what_was_removed_is_not(void **state)
{
	struct table *table = filled(1);
	uint32_t i, key;

	(void)state;
	for (i = 0; i < MANY; i++) {
		key = i * 7 % MANY;	/* 7 is no divisor of MANY */
		table_remove(table, &things[key].entry);
		assert_null(table_find(table, &key));
		if (i % 500)
			continue;
		for (uint32_t other = 0; other < MANY; other += 11)
			if (other * 2143 % MANY > i)	/* 2143 * 7 % MANY == 1: its turn comes later */
				assert_ptr_equal(table_find(table, &other), &things[other]);
	}
	assert_int_equal(table_count(table), 0);
	/* and may come back */
	table_add(table, &things[3].entry);
	key = 3;
	assert_ptr_equal(table_find(table, &key), &things[3]);
	table_free(table, NULL);
}

/* Keys that differ in their first and last bytes alone, many in each chain; what is beside a key does not count */
static void keys_are_compared_as_a_whole(void **state)
{
	static struct { struct table_entry entry; uint8_t before, key[9], behind; } all[2][256];
	struct table *table = table_new(1, offsetof(__typeof__(all[0][0]), key), sizeof(all[0][0].key));
	uint8_t key[9] = { 0 };

	(void)state;
	assert_non_null(table);
	for (unsigned int i = 0; i < 512; i++) {
		all[i % 2][i / 2].key[i % 2 * 8] = (uint8_t)(i / 2);
		if (i != 1)	/* the same as 0 */
			table_add(table, &all[i % 2][i / 2].entry);
	}
	for (unsigned int i = 2; i < 512; i++) {
		all[i % 2][i / 2].before = all[i % 2][i / 2].behind = (uint8_t)i;
		key[i % 2 * 8] = (uint8_t)(i / 2);
		assert_ptr_equal(table_find(table, key), &all[i % 2][i / 2]);
		key[i % 2 * 8] = 0;
	}
	key[4] = 1;
	assert_null(table_find(table, key));
	table_free(table, NULL);
}

static unsigned int freed;

static void count_free(void *entry)
{
	freed++;
	free(entry);
}

static void all_that_is_left_is_freed(void **state)
{
	struct table *table = table_new(10, TABLE_KEY(struct thing, key));
	struct thing *thing = NULL;

	(void)state;
	assert_non_null(table);
	for (uint32_t i = 0; i < 1000; i++) {
		thing = calloc(1, sizeof(*thing));
		assert_non_null(thing);
		thing->key = i;
		table_add(table, &thing->entry);
	}
	table_remove(table, &thing->entry);
	free(thing);
	table_free(table, count_free);
	assert_int_equal(freed, 999);
	table_free(NULL, count_free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_in_it_is_found),
		cmocka_unit_test(what_was_removed_is_not),
		cmocka_unit_test(keys_are_compared_as_a_whole),
		cmocka_unit_test(all_that_is_left_is_freed),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
