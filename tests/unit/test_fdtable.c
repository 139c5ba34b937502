/* SPDX-License-Identifier: MIT */
/*
 * The shim's memory of single sockets: what was put is found, the eldest is
 * forgotten when there are too many, threads never read a torn entry.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "shim/fdtable.h"

static struct fdtable table;

static int empty(void **state)
{
	(void)state;
	memset(&table, 0, sizeof(table));
	return 0;
}

static void what_was_put_is_found(void **state)
{
	uint64_t value = 0;

	(void)state;
	assert_true(fdtable_empty(&table));
	assert_false(fdtable_get(&table, 7, &value));
	fdtable_put(&table, 7, 70);
	assert_false(fdtable_empty(&table));
	assert_true(fdtable_get(&table, 7, &value));
	assert_int_equal(value, 70);
	fdtable_put(&table, 7, 71);
	assert_true(fdtable_get(&table, 7, &value));
	assert_int_equal(value, 71);
	assert_true(fdtable_remove(&table, 7));
	assert_false(fdtable_get(&table, 7, &value));
	assert_false(fdtable_remove(&table, 7));
}

static void a_descriptor_that_is_no_socket_is_never_found(void **state)
{
	uint64_t value;

	(void)state;
	fdtable_put(&table, 0, 1);
	assert_false(fdtable_get(&table, 0, &value));
}

static void a_change_needs_the_present_value(void **state)
{
	uint64_t value = 0;

	(void)state;
	fdtable_put(&table, 9, 1);
	assert_false(fdtable_change(&table, 9, 2, 3));
	assert_true(fdtable_change(&table, 9, 1, 2));
	assert_true(fdtable_get(&table, 9, &value));
	assert_int_equal(value, 2);
	assert_false(fdtable_change(&table, 10, 0, 1));
}

static void the_eldest_is_overwritten(void **state)
{
	uint64_t value, n;

	(void)state;
	/* all of one set */
	for (n = 1; n <= FDTABLE_WAYS; n++)
		fdtable_put(&table, n * FDTABLE_SETS, n);
	fdtable_put(&table, 1 * FDTABLE_SETS, 100);		/* used again: young now */
	fdtable_put(&table, (FDTABLE_WAYS + 1) * FDTABLE_SETS, 200);
	assert_true(fdtable_get(&table, 1 * FDTABLE_SETS, &value));
	assert_false(fdtable_get(&table, 2 * FDTABLE_SETS, &value));
	for (n = 3; n <= FDTABLE_WAYS + 1; n++)
		assert_true(fdtable_get(&table, n * FDTABLE_SETS, &value));
}

static void two_thousand_sockets_fit(void **state)
{
	uint64_t value, n;

	(void)state;
	for (n = 1; n <= FDTABLE_SETS * FDTABLE_WAYS; n++)
		fdtable_put(&table, n, n * 3);
	for (n = 1; n <= FDTABLE_SETS * FDTABLE_WAYS; n++) {
		assert_true(fdtable_get(&table, n, &value));
		assert_int_equal(value, n * 3);
	}
}

#define ROUNDS 200000

/* Cookies of few sets, so that writers meet; a value tells whose it is */
static void *write_and_read(void *argument)
{
	uint64_t me = (uint64_t)(uintptr_t)argument, value, wrong = 0, i;

	for (i = 1; i <= ROUNDS; i++) {
		uint64_t cookie = (i * 4 + me) * FDTABLE_SETS;

		fdtable_put(&table, cookie, cookie * 5);
		cookie = (i * 4 + (me + 1) % 4) * FDTABLE_SETS;
		wrong += fdtable_get(&table, cookie, &value) && value != cookie * 5;
		if (i % 3 == 0)
			fdtable_remove(&table, cookie);
	}
	return (void *)(uintptr_t)wrong;
}

static void threads_never_see_a_value_of_another_socket(void **state)
{
	pthread_t threads[4];
	void *wrong;
	uintptr_t i;

	(void)state;
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_and_read, (void *)i), 0);
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
}

static void *claim_all(void *argument)
{
	uintptr_t won = 0, i;

	(void)argument;
	for (i = 1; i <= 1000; i++)
		won += fdtable_change(&table, i, 1, 2);
	return (void *)won;
}

static void each_claim_is_won_by_one_thread(void **state)
{
	pthread_t threads[4];
	uintptr_t sum = 0, i;
	uint64_t value;
	void *won;

	(void)state;
	for (i = 1; i <= 1000; i++)
		fdtable_put(&table, i, 1);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, claim_all, NULL), 0);
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], &won);
		sum += (uintptr_t)won;
	}
	/* one may lose to a busy place, but none is won twice, and what is not won is still to be had */
	for (i = 1; i <= 1000; i++) {
		assert_true(fdtable_get(&table, i, &value));
		sum += value == 1;
	}
	assert_int_equal(sum, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_was_put_is_found, empty),
		cmocka_unit_test_setup(a_descriptor_that_is_no_socket_is_never_found, empty),
		cmocka_unit_test_setup(a_change_needs_the_present_value, empty),
		cmocka_unit_test_setup(the_eldest_is_overwritten, empty),
		cmocka_unit_test_setup(two_thousand_sockets_fit, empty),
		cmocka_unit_test_setup(threads_never_see_a_value_of_another_socket, empty),
		cmocka_unit_test_setup(each_claim_is_won_by_one_thread, empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
