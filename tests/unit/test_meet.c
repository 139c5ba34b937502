/* SPDX-License-Identifier: MIT */
/*
 * test_meet.c - two NATs that change ports within bands, played against each other
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "resolver/birthday.h"
#include "resolver/meet.h"

static uint32_t seed;

static uint32_t random32(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static uint32_t draw(uint32_t span)
{
	return (uint32_t)((uint64_t)random32() * span >> 32);
}

static struct description counting(uint16_t next)
{
	return (struct description){
		.mapping = PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT, .guess = true,
		.port_rule = PUNCH__PORT_RULE__PORT_RULE_SEQUENTIAL, .port_step = 1,
		.port_low = next, .port_high = (uint16_t)(next + 63),
	};
}

static struct description block(uint16_t first, unsigned int size)
{
	return (struct description){
		.mapping = PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT, .guess = true,
		.port_rule = PUNCH__PORT_RULE__PORT_RULE_BLOCK,
		.port_low = first, .port_high = (uint16_t)(first + size - 1),
	};
}

/* A side in play: its NAT, and which ports this wave's sockets got */
struct side {
	struct description d;
	unsigned int left;
	uint32_t next;		/* a NAT that counts: others took some since the forecast */
	uint8_t taken[65536], open[65536];
	uint16_t target;
};

static void side_wave(struct side *s, const struct side *far)
{
	unsigned int n = s->left < BIRTHDAY_WAVE ? s->left : BIRTHDAY_WAVE, i;
	bool counts = s->d.port_rule == PUNCH__PORT_RULE__PORT_RULE_SEQUENTIAL;
	uint32_t port;

	if (!n)
		return;
	memset(s->open, 0, sizeof(s->open));
	for (i = 0; i < n; i++) {
		do
			port = counts ? s->next++ : s->d.port_low + draw((uint32_t)(s->d.port_high - s->d.port_low) + 1);
		while (s->taken[port]);
		s->taken[port] = s->open[port] = 1;
	}
	s->left -= n;
	s->target = meet_target(&far->d, random32());
}

/* Percent of @runs in which the two meet */
static unsigned int play(const struct description *da, const struct description *db, unsigned int runs)
{
	static struct side a, b;
	unsigned int run, wave, met = 0;

	for (run = 0; run < runs; run++) {
		memset(&a, 0, sizeof(a));
		memset(&b, 0, sizeof(b));
		a.d = *da;
		b.d = *db;
		a.next = da->port_low + draw(20);
		b.next = db->port_low + draw(20);
		a.left = meet_sockets(da, BIRTHDAY_WAVE);
		b.left = meet_sockets(db, BIRTHDAY_WAVE);
		for (wave = 0; wave < meet_waves(da, db, BIRTHDAY_WAVE); wave++) {
			side_wave(&a, &b);
			side_wave(&b, &a);
			if (a.open[b.target] && b.open[a.target]) {
				met++;
				break;
			}
		}
	}
	return met * 100 / runs;
}

static void two_that_count_meet_always(void **state)
{
	struct description a = counting(30000), b = counting(50000);

	(void)state;
	seed = 1;
	assert_int_equal(play(&a, &b, 200), 100);
	assert_int_equal(meet_chance(&a, &b), 100);
}

static void others_may_have_taken_some_or_fewer(void **state)
{
	struct description a = counting(30000), b = counting(50000);

	(void)state;
	/* the aim is 40 ahead of the forecast, so that the first socket may be 24 before and 40 behind it */
	assert_int_equal(meet_target(&a, 0), 30000 + MEET_AHEAD);
	assert_in_range(meet_target(&b, 0), b.port_low, b.port_low + MEET_COUNTING - 1);
	a.port_step = 2;
	assert_int_equal(meet_target(&a, 0), 30000 + 2 * MEET_AHEAD);
}

static void chance_is_what_play_shows(void **state)
{
	static const unsigned int sizes[] = { 128, 256, 512, 1024 };
	unsigned int i, j, chance, shown;

	(void)state;
	seed = 99;
	for (i = 0; i < 4; i++)
		for (j = 0; j <= 4; j++) {
			struct description a = block(8192, sizes[i]), b = j < 4 ? block(16384, sizes[j]) : counting(40000);

			chance = meet_chance(&a, &b);
			shown = play(&a, &b, 600);
			/* three standard deviations of 600 plays are 6 % */
			assert_in_range(shown + 7, chance, chance + 15);
			assert_int_equal(chance, meet_chance(&b, &a));
		}
}

static void block_is_not_used_up(void **state)
{
	struct description small = block(8192, 128), large = block(8192, 2048);

	(void)state;
	assert_int_equal(meet_sockets(&small, BIRTHDAY_WAVE), 96);
	assert_int_equal(meet_sockets(&large, BIRTHDAY_WAVE), MEET_WAVES * BIRTHDAY_WAVE);
}

static void little_hope_is_none(void **state)
{
	struct description large = block(8192, 2048), other = block(16384, 2048), a = counting(30000), b;

	(void)state;
	assert_false(meet_possible(&large, &other));
	assert_true(meet_possible(&large, &a));
	b = counting(50000);
	b.guess = false;
	assert_false(meet_possible(&a, &b));
	b = counting(50000);
	b.port_rule = PUNCH__PORT_RULE__PORT_RULE_RANDOM;
	assert_false(meet_possible(&a, &b));
	b = counting(50000);
	b.mapping = PUNCH__MAPPING__MAPPING_ENDPOINT_INDEPENDENT;
	assert_false(meet_possible(&a, &b));
}

static void hostile_bands_give_ports(void **state)
{
	struct description d = counting(65530);

	(void)state;
	d.port_high = 65535;
	assert_in_range(meet_target(&d, UINT32_MAX), 1024, 65535);
	d.port_step = 65535;
	assert_in_range(meet_target(&d, 0), 1024, 65535);
	d.port_step = -65535;
	assert_in_range(meet_target(&d, 0), 1024, 65535);
	d = block(65535, 1);
	assert_in_range(meet_target(&d, UINT32_MAX), 1024, 65535);
	assert_int_equal(meet_sockets(&d, BIRTHDAY_WAVE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_that_count_meet_always),
		cmocka_unit_test(others_may_have_taken_some_or_fewer),
		cmocka_unit_test(chance_is_what_play_shows),
		cmocka_unit_test(block_is_not_used_up),
		cmocka_unit_test(little_hope_is_none),
		cmocka_unit_test(hostile_bands_give_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
