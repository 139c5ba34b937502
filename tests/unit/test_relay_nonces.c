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
#include <sys/socket.h>

#include "relay/limits.h"
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

static struct endpoint address(uint32_t number)
{
	struct endpoint ep = { .family = AF_INET, .port = 1000 };

	ep.address[0] = 10;
	ep.address[1] = (uint8_t)(number >> 16);
	ep.address[2] = (uint8_t)(number >> 8);
	ep.address[3] = (uint8_t)number;
	return ep;
}

/* By the same address */
static int use(struct nonces *nonces, const uint8_t nonce[NONCE_SIZE], uint64_t expires_s, uint64_t now_s)
{
	const struct endpoint from = address(1);

	return nonces_use(nonces, nonce, &from, expires_s, now_s);
}

/* Return: of so many tickets of one address, how many are accepted */
static unsigned int use_many(struct nonces *nonces, uint32_t number, unsigned int tickets, uint64_t now_s)
{
	const struct endpoint from = address(number);
	uint8_t nonce[NONCE_SIZE];
	unsigned int good = 0;

	for (unsigned int i = 0; i < tickets; i++) {
		next_nonce(nonce);
		good += !nonces_use(nonces, nonce, &from, now_s + 60, now_s);
	}
	return good;
}

static void test_once(void **state)
{
	struct nonces *nonces = nonces_new(1024, 16);
	uint8_t nonce[NONCE_SIZE];

	(void)state;
	next_nonce(nonce);
	assert_int_equal(use(nonces, nonce, 160, 100), 0);
	assert_int_equal(use(nonces, nonce, 160, 100), -EALREADY);
	assert_int_equal(use(nonces, nonce, 160, 160), -EALREADY);
	nonce[15] ^= 1;		/* another ticket */
	assert_int_equal(use(nonces, nonce, 160, 160), 0);
	nonces_free(nonces);
}

static void test_expired_ones_make_room(void **state)
{
	struct nonces *nonces = nonces_new(32, 1);	/* 17 for one address */
	uint8_t nonce[NONCE_SIZE];

	(void)state;
	for (int i = 0; i < 16; i++) {
		next_nonce(nonce);
		assert_int_equal(use(nonces, nonce, 100 + (uint64_t)i, 50), 0);
	}
	next_nonce(nonce);
	/* full: never accepted without being remembered */
	assert_int_equal(use(nonces, nonce, 200, 50), -EUSERS);
	assert_int_equal(use(nonces, nonce, 200, 100), -EUSERS);
	assert_int_equal(use(nonces, nonce, 200, 101), 0);
	assert_int_equal(use(nonces, nonce, 200, 101), -EALREADY);
	nonces_free(nonces);
}

/* Tickets of before a step of the clock are good for hours then: what is used after it is forgotten all the same */
static void test_a_clock_that_steps_back(void **state)
{
	struct nonces *nonces = nonces_new(RELAY_NONCES, RELAY_NONCES_PART);
	const struct endpoint from = address(1);
	const uint64_t ahead = 100000;
	uint8_t nonce[NONCE_SIZE];

	(void)state;
	next_nonce(nonce);
	assert_int_equal(nonces_use(nonces, nonce, &from, ahead + 60, ahead), 0);
	assert_int_equal(use_many(nonces, 1, 1000, ahead), 1000);
	for (uint64_t now = ahead - 7200; now < ahead - 6600; now++)
		assert_int_equal(use_many(nonces, 1, 60, now), 60);
	/* nor is a ticket good twice that is shown again now */
	assert_int_equal(nonces_use(nonces, nonce, &from, ahead + 60, ahead - 6600), -EALREADY);
	nonces_free(nonces);
}

/* The later it expires the earlier it is shown: the place of a ticket is found at once all the same */
static void test_tickets_in_the_worst_order(void **state)
{
	struct nonces *nonces = nonces_new(RELAY_NONCES, RELAY_NONCES_PART);
	unsigned int late = 0, good = 0;
	struct endpoint from;
	uint8_t nonce[NONCE_SIZE];
	uint64_t begin;

	(void)state;
	for (uint32_t i = 1; i < 64; i++)
		late += use_many(nonces, i, 2000, 100);
	assert_in_range(late, 90000, RELAY_NONCES);
	begin = clock_now();
	for (uint32_t i = 0; i < 10000; i++) {
		next_nonce(nonce);
		from = address(1000 + i);
		good += !nonces_use(nonces, nonce, &from, 101 + i % 59, 100);
	}
	/* Behind 90,000 others each would take 0.1 ms at the very least */
	assert_in_range(clock_now() - begin, 0, SECOND / 2);
	assert_int_equal(good, 10000);
	nonces_free(nonces);
}

/* Ten minutes of 1,000 joins a second from 100 addresses, in the size that the relay uses */
static void test_a_busy_relay_fits(void **state)
{
	struct nonces *nonces = nonces_new(RELAY_NONCES, RELAY_NONCES_PART);

	(void)state;
	for (uint64_t now = 1; now < 600; now++)
		for (uint32_t from = 0; from < 100; from++)
			assert_int_equal(use_many(nonces, from, 10, now), 10);
	nonces_free(nonces);
}

/* 63 addresses use as many tickets as they get, second after second: the next one's are good all the same */
static void test_tickets_of_63_addresses_leave_room(void **state)
{
	struct nonces *nonces = nonces_new(RELAY_NONCES, RELAY_NONCES_PART);
	const struct endpoint hostile = address(1);
	uint8_t nonce[NONCE_SIZE];

	(void)state;
	next_nonce(nonce);
	assert_int_equal(nonces_use(nonces, nonce, &hostile, 61, 1), 0);
	for (uint64_t now = 1; now < 100; now++) {
		for (uint32_t from = 1; from < 64; from++)
			use_many(nonces, from, 1000, now);
		/* nothing that is still good was forgotten for it */
		if (now <= 61)
			assert_int_equal(nonces_use(nonces, nonce, &hostile, 61, now), -EALREADY);
		assert_int_equal(use_many(nonces, 1000 + (uint32_t)now % 8, 2, now), 2);
	}
	nonces_free(nonces);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_expired_ones_make_room),
		cmocka_unit_test(test_a_clock_that_steps_back),
		cmocka_unit_test(test_tickets_in_the_worst_order),
		cmocka_unit_test(test_a_busy_relay_fits),
		cmocka_unit_test(test_tickets_of_63_addresses_leave_room),
	};

	return cmocka_run_group_tests_name("relay_nonces", tests, NULL, NULL);
}
