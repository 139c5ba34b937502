/* SPDX-License-Identifier: MIT */
/*
 * test_meeting.c - two nodes compute the same places from their keys alone, and nobody else does
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/meeting.h"

static struct key alice, bob, mallory;

static struct meeting meet(const struct key *own, const struct key *peer)
{
	struct meeting meeting;

	assert_int_equal(meeting_make(&meeting, own, peer->public), 0);
	return meeting;
}

static struct meeting_when when(uint64_t bucket, uint16_t port, unsigned int place)
{
	struct meeting_when w = { .bucket = bucket, .port = port, .place = place };

	memcpy(w.caller, alice.public, KEY_SIZE);
	memcpy(w.callee, bob.public, KEY_SIZE);
	return w;
}

static struct meeting_place place(const struct meeting *meeting, struct meeting_when w)
{
	struct meeting_place p;

	memset(&p, 0, sizeof(p));
	assert_int_equal(meeting_place(meeting, &w, &p), 0);
	return p;
}

static void both_sides_compute_the_same(void **state)
{
	struct meeting a = meet(&alice, &bob), b = meet(&bob, &alice);
	struct meeting_place pa = place(&a, when(176000000, 22, 0)), pb = place(&b, when(176000000, 22, 0));

	(void)state;
	assert_memory_equal(&a, &b, sizeof(a));
	assert_memory_equal(&pa, &pb, sizeof(pa));
}

/* A change here changes where two versions meet: that is another version of the protocol */
static void the_derivation_is_the_documented_one(void **state)
{
	static const uint8_t seed_a[KEY_SIZE] = { 1 }, seed_b[KEY_SIZE] = { 2 };
	struct key a, b;
	struct meeting m;
	struct meeting_when w = { .bucket = 176000000, .port = 22 };
	struct meeting_place p;

	(void)state;
	assert_int_equal(key_from_seed(&a, seed_a), 0);
	assert_int_equal(key_from_seed(&b, seed_b), 0);
	m = meet(&a, &b);
	memcpy(w.caller, a.public, KEY_SIZE);
	memcpy(w.callee, b.public, KEY_SIZE);
	p = place(&m, w);
	assert_int_equal(p.caller_port, 23476);	/* computed by other means, in Python */
	assert_int_equal(p.callee_port, 23783);
	key_wipe(&a);
	key_wipe(&b);
}

static void everything_that_differs_leads_elsewhere(void **state)
{
	struct key liar = mallory;
	struct meeting ab = meet(&alice, &bob), am = meet(&alice, &mallory), lb;
	struct meeting_place base = place(&ab, when(7, 22, 0)), others[6];
	struct meeting_when back = when(7, 22, 0);
	unsigned int i;

	(void)state;
	memcpy(liar.public, alice.public, KEY_SIZE);
	lb = meet(&liar, &bob);
	memcpy(back.caller, bob.public, KEY_SIZE);
	memcpy(back.callee, alice.public, KEY_SIZE);
	others[0] = place(&ab, when(8, 22, 0));
	others[1] = place(&ab, when(7, 23, 0));
	others[2] = place(&ab, when(7, 22, 1));
	others[3] = place(&ab, back);
	others[4] = place(&am, when(7, 22, 0));
	others[5] = place(&lb, when(7, 22, 0));		/* knows both public keys, and one private one of his own */
	for (i = 0; i < 6; i++) {
		assert_memory_not_equal(base.caller_key, others[i].caller_key, 32);
		assert_memory_not_equal(base.callee_key, others[i].callee_key, 32);
		/* one of them may be the same by chance */
		assert_false(base.caller_port == others[i].caller_port && base.callee_port == others[i].callee_port);
	}
	assert_memory_not_equal(base.caller_key, base.callee_key, 32);
}

static void ports_are_of_the_range(void **state)
{
	struct meeting ab = meet(&alice, &bob);
	uint16_t low = UINT16_MAX, high = 0;
	uint64_t i;

	(void)state;
	for (i = 0; i < 2000; i++) {
		struct meeting_place p = place(&ab, when(i, 22, 0));

		low = p.callee_port < low ? p.callee_port : low;
		high = p.callee_port > high ? p.callee_port : high;
		assert_in_range(p.caller_port, MEETING_PORT_LOW, 32767);
	}
	assert_in_range(low, MEETING_PORT_LOW, MEETING_PORT_LOW + 200);
	assert_in_range(high, 32767 - 200, 32767);
}

static void points_of_low_order_are_refused(void **state)
{
	/* The identity, and a point of order 8: everybody would know what is shared */
	static const uint8_t bad[][KEY_SIZE] = {
		{ 1 }, { 0 },
		{ 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		  0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
	};
	struct meeting m;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(meeting_make(&m, &alice, bad[i]), -EKEYREJECTED);
}

static void sealed_words_open_with_their_key_alone(void **state)
{
	uint8_t sealed[5 + MEETING_SEAL], again[5 + MEETING_SEAL], plain[5], key[32] = { 1 }, other[32] = { 2 };
	unsigned int i;

	(void)state;
	assert_int_equal(meeting_seal(key, (const uint8_t *)"hello", 5, sealed), 0);
	assert_int_equal(meeting_seal(key, (const uint8_t *)"hello", 5, again), 0);
	assert_memory_not_equal(sealed, again, sizeof(sealed));
	assert_int_equal(meeting_open(key, sealed, sizeof(sealed), plain), 5);
	assert_memory_equal(plain, "hello", 5);
	assert_int_equal(meeting_open(other, sealed, sizeof(sealed), plain), -EBADMSG);
	for (i = 0; i < sizeof(sealed); i++) {
		sealed[i] ^= 1;
		assert_int_equal(meeting_open(key, sealed, sizeof(sealed), plain), -EBADMSG);
		sealed[i] ^= 1;
	}
	for (i = 0; i < sizeof(sealed); i++)
		assert_int_equal(meeting_open(key, sealed, i, plain), -EBADMSG);
}

static int setup(void **state)
{
	(void)state;
	return key_generate(&alice) || key_generate(&bob) || key_generate(&mallory);
}

static int teardown(void **state)
{
	(void)state;
	key_wipe(&alice);
	key_wipe(&bob);
	key_wipe(&mallory);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_compute_the_same),
		cmocka_unit_test(the_derivation_is_the_documented_one),
		cmocka_unit_test(everything_that_differs_leads_elsewhere),
		cmocka_unit_test(ports_are_of_the_range),
		cmocka_unit_test(points_of_low_order_are_refused),
		cmocka_unit_test(sealed_words_open_with_their_key_alone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
