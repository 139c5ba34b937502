/* SPDX-License-Identifier: MIT */
/*
 * test_portrule.c - a few ports tell a NAT that counts from one with blocks and one without any rule
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "resolver/portrule.h"

#define SEQUENTIAL	PUNCH__PORT_RULE__PORT_RULE_SEQUENTIAL
#define BLOCK		PUNCH__PORT_RULE__PORT_RULE_BLOCK
#define RANDOM		PUNCH__PORT_RULE__PORT_RULE_RANDOM
#define PARITY		PUNCH__PORT_RULE__PORT_RULE_PARITY
#define UNKNOWN		PUNCH__PORT_RULE__PORT_RULE_UNKNOWN

static uint32_t seed;

static uint32_t draw(uint32_t span)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return (uint32_t)((uint64_t)seed * span >> 32);
}

static struct portrule_verdict judge(const uint16_t *ports, unsigned int n)
{
	struct portrule_verdict verdict;
	struct portrule rule = { 0 };
	unsigned int i;

	for (i = 0; i < n; i++)
		portrule_see(&rule, 0, ports[i], SECOND + i * MS);
	portrule_judge(&rule, SECOND + n * MS, &verdict);
	return verdict;
}

static void counting_nat_names_its_next_ports(void **state)
{
	static const uint16_t ports[] = { 30001, 30002, 30004, 30003, 30006 };
	struct portrule_verdict verdict = judge(ports, 5);

	(void)state;
	assert_int_equal(verdict.rule, SEQUENTIAL);
	assert_int_equal(verdict.step, 1);
	assert_int_equal(verdict.low, 30007);
	assert_int_equal(verdict.high, 30070);
}

static void step_of_two_is_seen(void **state)
{
	static const uint16_t ports[] = { 30001, 30003, 30005, 30009 };

	(void)state;
	assert_int_equal(judge(ports, 4).step, 2);
}

static void counting_begins_again_from_below(void **state)
{
	static const uint16_t ports[] = { 65533, 65535, 1025, 1027, 1028 };
	struct portrule_verdict verdict = judge(ports, 5);

	(void)state;
	assert_int_equal(verdict.rule, SEQUENTIAL);
	assert_int_equal(verdict.low, 1029);
}

static void pace_of_others_is_counted_and_extrapolated(void **state)
{
	struct portrule_verdict verdict;
	struct portrule rule = { 0 };
	uint16_t port = 20000;
	unsigned int i;

	(void)state;
	for (i = 0; i < 12; i++) {
		/* bursts of four, and 5 ports a second for a minute between them */
		if (i && i % 4 == 0)
			port = (uint16_t)(port + 300);
		portrule_see(&rule, 0, ++port, SECOND + i / 4 * 60 * SECOND + i % 4 * MS);
	}
	portrule_judge(&rule, 121 * SECOND + 10 * SECOND, &verdict);
	assert_int_equal(verdict.rule, SEQUENTIAL);
	assert_in_range(verdict.pace, 4950, 5050);
	/* ten seconds after the newest */
	assert_in_range(verdict.low, port + 49, port + 52);
}

static void own_burst_moves_the_count_on(void **state)
{
	static const uint16_t ports[] = { 65000, 65001, 65002, 65003 };
	struct portrule_verdict verdict;
	struct portrule rule = { 0 };
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++)
		portrule_see(&rule, 0, ports[i], SECOND + i * MS);
	portrule_took(&rule, 64, SECOND + 10 * MS);
	/* seen late, but given before */
	portrule_see(&rule, 0, 65004, SECOND + 5 * MS);
	portrule_see(&rule, 0, 65069, SECOND + 50 * MS);
	portrule_judge(&rule, SECOND + 60 * MS, &verdict);
	assert_int_equal(verdict.rule, SEQUENTIAL);
	assert_int_equal(verdict.low, 65070);
	/* beyond the last port */
	portrule_took(&rule, 600, SECOND + 55 * MS);
	portrule_judge(&rule, SECOND + 60 * MS, &verdict);
	assert_int_equal(verdict.rule, SEQUENTIAL);
	assert_in_range(verdict.low, 1024, 1200);
}

/* Others took 5 ports a second, over the end of all ports: the band moves on from the first one with the time */
static void band_goes_on_from_below(void **state)
{
	static const struct {
		unsigned int seconds;
		uint16_t low, high;
	} cases[] = {
		{ 0, 65408, 65471 },
		{ 20, 65508, 65535 },	/* cut short: what comes after it is not above it */
		{ 25, 65533, 65535 },
		{ 26, 1026, 1089 },
		{ 126, 1526, 1589 },
		{ 12926, 65526, 65535 },
		{ 12928, 1024, 1087 },
	};
	struct portrule_verdict verdict;
	struct portrule rule = { 0 };
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++)
		portrule_see(&rule, 0, (uint16_t)(65101 + i), SECOND + i * MS);
	for (i = 0; i < 4; i++)
		portrule_see(&rule, 0, (uint16_t)(65404 + i), 61 * SECOND + i * MS);
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		portrule_judge(&rule, 61 * SECOND + 3 * MS + cases[i].seconds * SECOND, &verdict);
		assert_int_equal(verdict.rule, SEQUENTIAL);
		assert_int_equal(verdict.low, cases[i].low);
		assert_int_equal(verdict.high, cases[i].high);
	}
}

/* Of @runs draws of @n ports out of blocks of @size: how many bands are the block, and lie within it */
static void blocks(unsigned int size, unsigned int n, unsigned int runs, unsigned int *exact, unsigned int *within)
{
	uint16_t ports[PORTRULE_SEEN];
	unsigned int run, i;

	*exact = *within = 0;
	for (run = 0; run < runs; run++) {
		uint32_t first = 1024 + draw(64512 / size) * size;
		struct portrule_verdict verdict;

		for (i = 0; i < n; i++)
			ports[i] = (uint16_t)(first + draw(size));
		verdict = judge(ports, n);
		*exact += verdict.rule == BLOCK && verdict.low == first && verdict.high == first + size - 1;
		*within += verdict.rule == BLOCK && verdict.low >= first && verdict.high < first + size;
	}
}

static void bounds_of_a_block_are_found(void **state)
{
	static const unsigned int sizes[] = { 128, 256, 512, 1024, 2048 };
	unsigned int i, exact, within;

	(void)state;
	seed = 11;
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		blocks(sizes[i], 8, 1000, &exact, &within);
		/* all in one half of it: 2 / 2^8 */
		assert_true(exact >= 970);
		assert_true(within >= 990);
		blocks(sizes[i], 4, 1000, &exact, &within);
		assert_true(exact >= 780);
		assert_true(within >= 960);
	}
}

static void band_that_is_no_power_of_two_is_estimated(void **state)
{
	static const uint16_t ports[] = { 9950, 10310, 10100, 10220, 10010, 10280, 10170, 10090 };
	struct portrule_verdict verdict = judge(ports, 8);

	(void)state;
	assert_int_equal(verdict.rule, BLOCK);
	assert_in_range(verdict.low, 9728, 9950);
	assert_in_range(verdict.high, 10310, 10600);
}

static void random_ports_have_no_band(void **state)
{
	uint16_t ports[4];
	unsigned int run, i, random = 0;

	(void)state;
	seed = 5;
	for (run = 0; run < 1000; run++) {
		for (i = 0; i < 4; i++)
			ports[i] = (uint16_t)(1024 + draw(64512));
		random += judge(ports, 4).rule == RANDOM;
	}
	assert_true(random >= 998);
	/* two are enough when they lie far apart */
	ports[0] = 2000;
	ports[1] = 40000;
	assert_int_equal(judge(ports, 2).rule, RANDOM);
	assert_int_equal(judge(ports, 2).low, 0);
}

/* @n ports with the parity of those they were bound to, but for the last @wrong of them */
static struct portrule_verdict judge_parity(unsigned int n, unsigned int wrong)
{
	struct portrule_verdict verdict;
	struct portrule rule = { 0 };
	unsigned int i;

	for (i = 0; i < n; i++) {
		uint16_t local = (uint16_t)(32768 + draw(20000)), port = (uint16_t)(1024 + draw(64512));

		port = (uint16_t)((port & ~1) | ((local ^ (i + wrong >= n)) & 1));
		portrule_see(&rule, local, port, SECOND + i * MS);
	}
	portrule_judge(&rule, 2 * SECOND, &verdict);
	return verdict;
}

static void parity_is_told_when_enough_ports_kept_it(void **state)
{
	struct portrule_verdict verdict = judge_parity(PORTRULE_PARITY, 0);

	(void)state;
	assert_int_equal(verdict.rule, PARITY);
	assert_false(verdict.open);
	assert_int_equal(verdict.low, 0);
	verdict = judge_parity(PORTRULE_PARITY - 1, 0);
	assert_int_equal(verdict.rule, RANDOM);
	assert_true(verdict.open);
	/* one is enough to the contrary, the newest and the oldest of those remembered */
	verdict = judge_parity(PORTRULE_PARITY, 1);
	assert_int_equal(verdict.rule, RANDOM);
	assert_false(verdict.open);
	assert_int_equal(judge_parity(PORTRULE_SEEN, PORTRULE_SEEN).rule, RANDOM);
	assert_int_equal(judge_parity(PORTRULE_SEEN, 0).rule, PARITY);
}

static void few_ports_are_no_rule(void **state)
{
	static const uint16_t ports[] = { 30001, 30002, 30003 };

	(void)state;
	assert_int_equal(judge(ports, 0).rule, UNKNOWN);
	assert_int_equal(judge(ports, 3).rule, UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counting_nat_names_its_next_ports),
		cmocka_unit_test(step_of_two_is_seen),
		cmocka_unit_test(counting_begins_again_from_below),
		cmocka_unit_test(pace_of_others_is_counted_and_extrapolated),
		cmocka_unit_test(band_goes_on_from_below),
		cmocka_unit_test(own_burst_moves_the_count_on),
		cmocka_unit_test(bounds_of_a_block_are_found),
		cmocka_unit_test(band_that_is_no_power_of_two_is_estimated),
		cmocka_unit_test(random_ports_have_no_band),
		cmocka_unit_test(parity_is_told_when_enough_ports_kept_it),
		cmocka_unit_test(few_ports_are_no_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
