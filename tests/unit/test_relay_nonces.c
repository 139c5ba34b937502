/* SPDX-License-Identifier: MIT */
/*
 * test_relay_nonces.c - a ticket is good once, and the memory of that is bounded
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "relay/nonces.h"

static uint64_t random_state = 88172645463325252ULL;

/* xorshift64: the same numbers in each run */
static void next_nonce(uint8_t nonce[NONCE_SIZE])
{
	for (int i = 0; i < NONCE_SIZE; i += 8) {
		random_state ^= random_state << 13;
		random_state ^= random_state >> 7;
		random_state ^= random_state << 17;
		memcpy(nonce + i, &random_state, 8);
	}
}

static void test_once(void **state)
{
	struct nonces *nonces = nonces_new(1024);
	uint8_t nonce[NONCE_SIZE];

	(void)state;
	next_nonce(nonce);
	assert_int_equal(nonces_use(nonces, nonce, 160, 100), 0);
	assert_int_equal(nonces_use(nonces, nonce, 160, 100), -EALREADY);
	assert_int_equal(nonces_use(nonces, nonce, 160, 160), -EALREADY);
	nonce[15] ^= 1;		/* another ticket */
	assert_int_equal(nonces_use(nonces, nonce, 160, 160), 0);
	nonces_free(nonces);
}

static void test_expired_ones_make_room(void **state)
{
	struct nonces *nonces = nonces_new(32);	/* one set */
	uint8_t nonce[NONCE_SIZE];

	(void)state;
	for (int i = 0; i < 32; i++) {
		next_nonce(nonce);
		assert_int_equal(nonces_use(nonces, nonce, 100 + (uint64_t)i, 50), 0);
	}
	next_nonce(nonce);
	/* full: never accepted without being remembered */
	assert_int_equal(nonces_use(nonces, nonce, 200, 50), -ENOBUFS);
	assert_int_equal(nonces_use(nonces, nonce, 200, 100), -ENOBUFS);
	assert_int_equal(nonces_use(nonces, nonce, 200, 101), 0);
	assert_int_equal(nonces_use(nonces, nonce, 200, 101), -EALREADY);
	nonces_free(nonces);
}

/* Half an hour of 1,000 joins a second, in the size the relay uses */
static void test_a_busy_relay_fits(void **state)
{
	struct nonces *nonces = nonces_new(131072);
	uint8_t nonce[NONCE_SIZE];
	unsigned int refused = 0;

	(void)state;
	for (uint64_t now = 1; now < 2000; now++)
		for (int i = 0; i < 1000; i++) {
			next_nonce(nonce);
			refused += nonces_use(nonces, nonce, now + 60, now) != 0;
		}
	assert_in_range(refused, 0, 200);	/* 1e-4 of 2 million, as nonces.c says */
	assert_int_equal(nonces_use(nonces, nonce, 2059, 2000), -EALREADY);
	nonces_free(nonces);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_expired_ones_make_room),
		cmocka_unit_test(test_a_busy_relay_fits),
	};

	return cmocka_run_group_tests_name("relay_nonces", tests, NULL, NULL);
}
