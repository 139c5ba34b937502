/* SPDX-License-Identifier: MIT */
/*
 * test_relay_keys.c - what one key may use of a relay: pairs, and bytes a second, in bounded memory
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "relay/keys.h"
#include "relay/limits.h"

#define START	(1000 * SECOND)

static struct key_use *uses[64];

static int hold(int i, uint32_t name, uint64_t now)
{
	uint8_t key[KEY_SIZE] = { 0 };

	memcpy(key + KEY_SIZE - sizeof(name), &name, sizeof(name));
	return key_hold(key, &uses[i], now);
}

static int close_keys(void **state)
{
	(void)state;
	keys_close();
	return 0;
}

static void pairs_of_one_key_are_limited(void **state)
{
	(void)state;
	assert_int_equal(keys_open(100, 2, 0), 0);
	assert_int_equal(hold(0, 1, START), 0);
	assert_int_equal(hold(1, 1, START), 0);
	assert_int_equal(hold(2, 1, START), -EUSERS);
	assert_int_equal(hold(2, 2, START), 0);	/* others do not notice */
	key_release(uses[0]);
	assert_int_equal(hold(0, 1, START), 0);
	assert_int_equal(hold(3, 1, START), -EUSERS);
}

static void zero_is_no_limit(void **state)
{
	(void)state;
	assert_int_equal(keys_open(100, 0, 0), 0);
	for (int i = 0; i < 64; i++)
		assert_int_equal(hold(i, 1, START), 0);
	keys_charge(uses, SIZE_MAX / 2, START);
	assert_int_equal(keys_wait(uses, START), 0);
}

/* A million bytes a second, for ten seconds, in chunks of a pipe */
static void bytes_of_one_key_are_limited(void **state)
{
	uint64_t carried = 0, now;

	(void)state;
	assert_int_equal(keys_open(100, 0, 1000000), 0);
	hold(0, 1, START);
	hold(1, 2, START);
	for (now = START; now < START + 10 * SECOND; now += MS)
		while (!keys_wait(uses, now)) {
			keys_charge(uses, RELAY_PIPE, now);
			carried += RELAY_PIPE;
		}
	/* what comes ahead is RELAY_KEY_BURST and a chunk at most */
	assert_in_range(carried, 9900000, 10000000 + 200000 + RELAY_PIPE);
	/* the time it names is the time */
	now = keys_wait(uses, START + 10 * SECOND);
	assert_true(now > START + 10 * SECOND);
	assert_true(keys_wait(uses, now - 1) != 0);
	assert_int_equal(keys_wait(uses, now), 0);
}

/* The callee pays, too: a pair waits for whoever of the two is busy */
static void both_keys_pay(void **state)
{
	(void)state;
	assert_int_equal(keys_open(100, 0, 1000000), 0);
	hold(0, 1, START);
	hold(1, 2, START);
	hold(2, 3, START);
	hold(3, 4, START);
	keys_charge(uses, 5000000, START);
	assert_int_equal(keys_wait(&uses[2], START), 0);
	assert_true(keys_wait((struct key_use *[2]){ uses[2], uses[1] }, START) > START + 4 * SECOND);
	assert_true(keys_wait((struct key_use *[2]){ uses[0], uses[3] }, START) > START + 4 * SECOND);
}

static void coming_again_pays_no_debt(void **state)
{
	(void)state;
	assert_int_equal(keys_open(100, 0, 1000000), 0);
	hold(0, 1, START);
	hold(1, 2, START);
	keys_charge(uses, 5000000, START);
	key_release(uses[0]);
	key_release(uses[1]);
	hold(2, 9, START + SECOND);	/* the occasion to forget what is idle */
	key_release(uses[2]);
	hold(0, 1, START + SECOND);
	hold(1, 3, START + SECOND);
	assert_true(keys_wait(uses, START + SECOND) != 0);
	key_release(uses[0]);
	key_release(uses[1]);
	/* paid: forgotten at the next occasion */
	hold(0, 4, START + 10 * SECOND);
	assert_int_equal(keys_count(), 1);
}

static void memory_is_bounded(void **state)
{
	(void)state;
	assert_int_equal(keys_open(16, 1, 1000000), 0);
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(hold(0, 2 * i, START), 0);
		assert_int_equal(hold(1, 2 * i + 1, START), 0);
		keys_charge(uses, 5000000, START);
		key_release(uses[0]);
		key_release(uses[1]);
		assert_in_range(keys_count(), 1, 16);
	}
	/* keys with pairs are not pushed out */
	for (int i = 0; i < 16; i++)
		assert_int_equal(hold(i, (uint32_t)(5000 + i), START), 0);
	assert_int_equal(hold(16, 6000, START), -ENOBUFS);
	key_release(uses[3]);
	assert_int_equal(hold(16, 6000, START), 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, close_keys)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pairs_of_one_key_are_limited),
		TEST(zero_is_no_limit),
		TEST(bytes_of_one_key_are_limited),
		TEST(both_keys_pay),
		TEST(coming_again_pays_no_debt),
		TEST(memory_is_bounded),
	};

	return cmocka_run_group_tests_name("relay_keys", tests, NULL, NULL);
}
