/* SPDX-License-Identifier: MIT */
/*
 * test_sources.c - limits per address, in bounded memory; and the hash under the tables
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/hash.h"
#include "common/sources.h"

static const struct rate slow = { .per_second = 1, .burst = 2 };
static const struct rate fast = { .per_second = 1000000, .burst = 1000000 };

static struct endpoint ipv4(uint32_t address)
{
	struct endpoint ep = { .family = AF_INET, .port = (uint16_t)address };

	for (int i = 0; i < 4; i++)
		ep.address[i] = (uint8_t)(address >> (24 - 8 * i));
	return ep;
}

static struct endpoint ipv6(uint8_t network, uint8_t host)
{
	struct endpoint ep = { .family = AF_INET6, .port = 1 };

	ep.address[0] = 0x20;
	ep.address[7] = network;
	ep.address[15] = host;
	return ep;
}

static void test_rate(void **state)
{
	struct sources *sources = sources_new(100, 100, &slow);
	struct endpoint a = ipv4(1), b = ipv4(2);

	(void)state;
	assert_int_equal(sources_admit(sources, &a, SECOND), 0);
	assert_int_equal(sources_admit(sources, &a, SECOND), 0);
	assert_int_equal(sources_admit(sources, &a, SECOND), -EAGAIN);
	assert_int_equal(sources_admit(sources, &b, SECOND), 0);	/* others do not pay for it */
	assert_int_equal(sources_admit(sources, &a, 2 * SECOND - 1), -EAGAIN);
	assert_int_equal(sources_admit(sources, &a, 2 * SECOND), 0);
	sources_free(sources);
}

static void test_open_connections(void **state)
{
	struct sources *sources = sources_new(100, 2, &fast);
	struct endpoint a = ipv4(1);

	(void)state;
	assert_int_equal(sources_admit(sources, &a, 0), 0);
	a.port = 4711;		/* the same source */
	assert_int_equal(sources_admit(sources, &a, 0), 0);
	assert_int_equal(sources_admit(sources, &a, 0), -EUSERS);
	sources_release(sources, &a, 0);
	assert_int_equal(sources_admit(sources, &a, 0), 0);
	sources_free(sources);
}

static void test_an_ipv6_network_is_one_source(void **state)
{
	struct sources *sources = sources_new(100, 1, &fast);
	struct endpoint one = ipv6(1, 1), neighbour = ipv6(1, 2), other = ipv6(2, 1);

	(void)state;
	assert_int_equal(sources_admit(sources, &one, 0), 0);
	assert_int_equal(sources_admit(sources, &neighbour, 0), -EUSERS);
	assert_int_equal(sources_admit(sources, &other, 0), 0);
	sources_free(sources);
}

static void test_memory_is_bounded(void **state)
{
	struct sources *sources = sources_new(1000, 10, &slow);
	struct endpoint ep;

	(void)state;
	/* a flood from everywhere: the longest idle ones are forgotten */
	for (uint32_t i = 0; i < 100000; i++) {
		ep = ipv4(i);
		assert_int_equal(sources_admit(sources, &ep, i), 0);
		sources_release(sources, &ep, i);
		assert_in_range(sources_count(sources), 0, 1000);
	}
	/* those with connections are not */
	for (uint32_t i = 0; i < 1000; i++) {
		ep = ipv4(i);
		assert_int_equal(sources_admit(sources, &ep, 100000), 0);
	}
	ep = ipv4(5000);
	assert_int_equal(sources_admit(sources, &ep, 100000), -ENOBUFS);
	ep = ipv4(7);
	sources_release(sources, &ep, 100000);
	ep = ipv4(5000);
	assert_int_equal(sources_admit(sources, &ep, 100000), 0);
	sources_free(sources);
}

/* What a source spends is remembered beyond its last connection */
static void test_spending(void **state)
{
	struct sources *sources = sources_new(100, 100, &fast);
	struct endpoint a = ipv4(1), b = ipv4(2);

	(void)state;
	sources_admit(sources, &a, SECOND);
	sources_admit(sources, &b, SECOND);
	assert_true(sources_spend(sources, &a, 0, &slow, SECOND));
	assert_true(sources_spend(sources, &a, 0, &slow, SECOND));
	assert_false(sources_spend(sources, &a, 0, &slow, SECOND));
	assert_true(sources_spend(sources, &a, 1, &slow, SECOND));	/* for something else */
	assert_true(sources_spend(sources, &b, 0, &slow, SECOND));
	sources_release(sources, &a, SECOND + MS);
	sources_release(sources, &b, SECOND + MS);
	sources_admit(sources, &a, SECOND + 100 * MS);
	assert_false(sources_spend(sources, &a, 0, &slow, SECOND + 100 * MS));
	assert_true(sources_spend(sources, &a, 0, &slow, 2 * SECOND));
	sources_free(sources);
}

static void test_quiet_sources_are_forgotten(void **state)
{
	struct sources *sources = sources_new(1000, 10, &slow);
	struct endpoint a = ipv4(1), b = ipv4(2);

	(void)state;
	sources_admit(sources, &a, 0);
	sources_release(sources, &a, 0);
	assert_int_equal(sources_count(sources), 1);	/* its rate is remembered */
	sources_admit(sources, &b, 10 * SECOND);
	assert_int_equal(sources_count(sources), 1);
	sources_free(sources);
}

/* Appendix A of "SipHash: a fast short-input PRF": key 00..0f, message 00..0e */
static void test_hash_is_siphash(void **state)
{
	uint8_t seed[HASH_SEED_SIZE], message[15];

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		seed[i] = i;
	memcpy(message, seed, sizeof(message));
	assert_true(hash_bytes(seed, message, sizeof(message)) == 0xa129ca6149be45e5ULL);
	assert_true(hash_bytes(seed, message, 0) == 0x726fdb47dd0e0e31ULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_open_connections),
		cmocka_unit_test(test_an_ipv6_network_is_one_source),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_spending),
		cmocka_unit_test(test_quiet_sources_are_forgotten),
		cmocka_unit_test(test_hash_is_siphash),
	};

	return cmocka_run_group_tests_name("sources", tests, NULL, NULL);
}
