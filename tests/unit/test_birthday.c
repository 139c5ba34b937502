/* SPDX-License-Identifier: MIT */
/*
 * test_birthday.c - guesses that hit, in bounded waves
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "resolver/birthday.h"

static uint32_t seed;

static uint32_t next_random(void *arg)
{
	(void)arg;
	/* xorshift32: good enough in its high bits for a simulation */
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static void each_guess_is_new_and_usable(void **state)
{
	static uint8_t seen[65536];
	struct birthday b;
	unsigned int i;

	(void)state;
	memset(seen, 0, sizeof(seen));
	seed = 7;
	birthday_draw(&b, 40000, false, 0, 0, 50 * MS, 0, next_random, NULL);
	assert_int_equal(b.count, BIRTHDAY_GUESSES);
	for (i = 0; i < b.count; i++) {
		assert_true(b.guesses[i] >= 1024);
		assert_int_equal(seen[b.guesses[i]]++, 0);
	}
}

/* How many of @runs draws hit one of 256 ports that @hold opens */
static unsigned int hits(unsigned int runs, void (*hold)(uint8_t *open, uint16_t *seen), unsigned int guesses, bool parity)
{
	static uint8_t open[65536];
	unsigned int run, i, won = 0;
	struct birthday b;
	uint16_t seen;

	for (run = 0; run < runs; run++) {
		seed = 1 + run * 7919;
		memset(open, 0, sizeof(open));
		hold(open, &seen);
		birthday_draw(&b, seen, parity, 0, 0, 50 * MS, 0, next_random, NULL);
		for (i = 0; i < guesses && i < b.count; i++)
			if (open[b.guesses[i]]) {
				won++;
				break;
			}
	}
	return won;
}

static void hold_random(uint8_t *open, uint16_t *seen)
{
	unsigned int i;

	*seen = (uint16_t)(1024 + next_random(NULL) % 64512);
	for (i = 0; i < BIRTHDAY_HELD; i++)
		open[1024 + next_random(NULL) % 64512] = 1;
}

static void hold_sequential(uint8_t *open, uint16_t *seen)
{
	uint32_t port = 20000 + next_random(NULL) % 20000;
	unsigned int i;

	*seen = (uint16_t)port;
	port += next_random(NULL) % 100;	/* others' traffic meanwhile */
	for (i = 0; i < BIRTHDAY_HELD; i++)
		open[++port] = 1;
}

static void hold_block(uint8_t *open, uint16_t *seen)
{
	uint32_t block = 1024 + 512 * (next_random(NULL) % 120);
	unsigned int i;

	*seen = (uint16_t)(block + next_random(NULL) % 512);
	for (i = 0; i < 128; i++)
		open[block + next_random(NULL) % 512] = 1;
}

static void random_ports_are_hit(void **state)
{
	(void)state;
	/* 1 - exp(-240 * 2048 / 64512) = 99.95 % */
	assert_true(hits(1000, hold_random, BIRTHDAY_GUESSES, false) >= 995);
}

static void counted_ports_are_hit_in_the_first_wave(void **state)
{
	(void)state;
	assert_int_equal(hits(200, hold_sequential, BIRTHDAY_WAVE, false), 200);
}

static void blocks_are_hit_in_two_waves(void **state)
{
	(void)state;
	assert_true(hits(200, hold_block, 2 * BIRTHDAY_WAVE, false) >= 199);
}

static void band_comes_first_and_what_is_near_again(void **state)
{
	struct birthday b;
	unsigned int i, again = 0;

	(void)state;
	seed = 5;
	birthday_draw(&b, 20000, false, 20001, 20064, 50 * MS, 0, next_random, NULL);
	assert_int_equal(b.count, BIRTHDAY_GUESSES);
	for (i = 0; i < 64; i++)
		assert_int_equal(b.guesses[i], 20001 + i);
	for (; i < b.count; i++)
		again += b.guesses[i] >= 20001 && b.guesses[i] <= 20064;
	assert_int_equal(again, 64);
	assert_memory_equal(b.guesses, b.guesses + 2 * BIRTHDAY_WAVE, BIRTHDAY_WAVE * sizeof(*b.guesses));
	/* a band of all ports, from a far end that lies, leaves room for the rest */
	birthday_draw(&b, 20000, false, 1, 65535, 50 * MS, 0, next_random, NULL);
	assert_int_equal(b.count, BIRTHDAY_GUESSES);
	for (i = 0, again = 0; i < b.count; i++) {
		assert_true(b.guesses[i] >= 1024);
		again += b.guesses[i] > 3000;
	}
	assert_true(again > 500);
}

/* Of a NAT that counts, and is at the end of the ports */
static void what_is_near_goes_on_from_below(void **state)
{
	struct birthday b;
	unsigned int i;

	(void)state;
	seed = 5;
	birthday_draw(&b, 65530, false, 0, 0, 50 * MS, 0, next_random, NULL);
	for (i = 0; i < 100; i++)
		assert_int_equal(b.guesses[i], i < 5 ? 65531 + i : 1024 + i - 5);
}

static void hold_parity(uint8_t *open, uint16_t *seen)
{
	unsigned int i, odd = next_random(NULL) & 1;

	*seen = (uint16_t)(1024 + 2 * (next_random(NULL) % 32256) + odd);
	for (i = 0; i < BIRTHDAY_HELD; i++)
		open[1024 + 2 * (next_random(NULL) % 32256) + odd] = 1;
}

static void half_the_guesses_do_where_parity_is_kept(void **state)
{
	unsigned int i, half = BIRTHDAY_GUESSES / 2;
	struct birthday b;

	(void)state;
	seed = 9;
	birthday_draw(&b, 20001, true, 20001, 20064, 50 * MS, 0, next_random, NULL);
	assert_int_equal(b.count, BIRTHDAY_GUESSES);
	for (i = 0; i < b.count; i++)
		assert_int_equal(b.guesses[i] & 1, 1);
	/* 1 - exp(-240 * 1024 / 32256) = 99.95 %, and 97.8 % of all others */
	assert_true(hits(1000, hold_parity, half, true) >= 995);
	assert_in_range(hits(1000, hold_parity, half, false), 955, 992);
	/* that it is kept was a mistake: as if nothing had been said */
	assert_true(hits(1000, hold_random, BIRTHDAY_GUESSES, true) >= 995);
}

static void waves_are_bounded_and_paced(void **state)
{
	unsigned int first, n, total = 0, waves = 0;
	uint64_t now = 100 * MS, end;
	struct birthday b;

	(void)state;
	seed = 3;
	birthday_draw(&b, 0, false, 0, 0, 100 * MS, now, next_random, NULL);
	end = birthday_end(&b);
	assert_int_equal(birthday_wave(&b, now - 1, &first), 0);
	while (birthday_deadline(&b) != NEVER) {
		now = birthday_deadline(&b);
		n = birthday_wave(&b, now, &first);
		assert_in_range(n, 1, BIRTHDAY_WAVE);
		assert_int_equal(first, total);
		assert_int_equal(birthday_wave(&b, now + 139 * MS, &first), 0);
		total += n;
		waves++;
	}
	assert_int_equal(total, BIRTHDAY_GUESSES);
	assert_int_equal(waves, (BIRTHDAY_GUESSES + BIRTHDAY_WAVE - 1) / BIRTHDAY_WAVE);
	assert_true(now + b.wave <= end + 1);
}

static void far_peers_get_fewer_waves(void **state)
{
	unsigned int first, waves = 0;
	struct birthday b;

	(void)state;
	seed = 3;
	birthday_draw(&b, 0, false, 0, 0, 600 * MS, 0, next_random, NULL);
	while (birthday_deadline(&b) != NEVER && birthday_wave(&b, birthday_deadline(&b), &first))
		waves++;
	assert_int_equal(waves, 4);
}

static void waves_wait_for_a_proof_but_not_for_many(void **state)
{
	struct birthday_wait wait = { 0 };

	(void)state;
	assert_int_equal(birthday_put_off(&wait, false, 0, 1000 * MS), 0);
	assert_int_equal(birthday_put_off(&wait, false, 1000 * MS, 1000 * MS), 0);
	/* a port was hit; a second one meanwhile changes nothing */
	assert_int_equal(birthday_put_off(&wait, false, 1100 * MS, 1000 * MS), 1100 * MS);
	assert_int_equal(birthday_put_off(&wait, false, 1150 * MS, 1050 * MS), 1100 * MS);
	/* it was a stranger's, and so is the next; the third is not waited for */
	assert_int_equal(birthday_put_off(&wait, false, 1100 * MS, 1100 * MS), 0);
	assert_int_equal(birthday_put_off(&wait, false, 1250 * MS, 1200 * MS), 1250 * MS);
	assert_int_equal(birthday_put_off(&wait, false, 1350 * MS, 1300 * MS), 0);
	/* nothing is sent beside a path that is proven, as long as it lives */
	assert_true(birthday_put_off(&wait, true, 0, 1300 * MS) > 1300 * MS);
	assert_int_equal(birthday_put_off(&wait, false, 0, 1400 * MS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_guess_is_new_and_usable),
		cmocka_unit_test(random_ports_are_hit),
		cmocka_unit_test(counted_ports_are_hit_in_the_first_wave),
		cmocka_unit_test(blocks_are_hit_in_two_waves),
		cmocka_unit_test(band_comes_first_and_what_is_near_again),
		cmocka_unit_test(what_is_near_goes_on_from_below),
		cmocka_unit_test(half_the_guesses_do_where_parity_is_kept),
		cmocka_unit_test(waves_are_bounded_and_paced),
		cmocka_unit_test(far_peers_get_fewer_waves),
		cmocka_unit_test(waves_wait_for_a_proof_but_not_for_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
