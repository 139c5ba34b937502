/* SPDX-License-Identifier: MIT */
/*
 * test_preamble.c - the first bytes on every path
 */
#include <errno.h>

#include "common/preamble.h"
#include "tests/unit/scratch.h"

static const uint8_t session[SESSION_SIZE] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static struct secret a_secret(void)
{
	struct secret secret;

	memset(secret.caller, 0x11, 32);
	memset(secret.callee, 0x22, 32);
	memset(secret.nominate, 0x33, 32);
	memset(secret.traffic, 0x44, 32);
	return secret;
}

static void the_bytes_are_the_documented_ones(void **state)
{
	struct secret secret = a_secret();
	uint8_t out[PREAMBLE_SIZE], wanted[PREAMBLE_SIZE];

	(void)state;
	/* the MAC was computed with Python's hmac module */
	assert_int_equal(from_hex(wanted, sizeof(wanted), "706e6331 01 000000 000102030405060708090a0b0c0d0e0f "
				  "56eed6ec367fac8f1cd09ff8d8f89af11c5e0cfe88bd455eb788850131bf3706"), PREAMBLE_SIZE);
	assert_int_equal(preamble_make(out, PREAMBLE_CALLER, session, &secret), 0);
	assert_memory_equal(out, wanted, PREAMBLE_SIZE);
	assert_true(preamble_check(wanted, PREAMBLE_CALLER, session, &secret));
}

static void each_kind_is_good_for_itself_alone(void **state)
{
	struct secret secret = a_secret();
	uint8_t out[PREAMBLE_SIZE];
	enum preamble_kind made, checked;

	(void)state;
	for (made = PREAMBLE_CALLER; made <= PREAMBLE_KIND_LAST; made++) {
		assert_int_equal(preamble_make(out, made, session, &secret), 0);
		for (checked = PREAMBLE_CALLER; checked <= PREAMBLE_KIND_LAST; checked++)
			assert_int_equal(preamble_check(out, checked, session, &secret), made == checked);
	}
	assert_int_equal(preamble_make(out, (enum preamble_kind)0, session, &secret), -EIO);
	assert_int_equal(preamble_make(out, (enum preamble_kind)(PREAMBLE_KIND_LAST + 1), session, &secret), -EIO);
	memset(out, 0, sizeof(out));
	assert_false(preamble_check(out, (enum preamble_kind)(PREAMBLE_KIND_LAST + 1), session, &secret));
}

static void any_changed_bit_is_refused(void **state)
{
	struct secret secret = a_secret();
	uint8_t out[PREAMBLE_SIZE];
	unsigned int bit;

	(void)state;
	assert_int_equal(preamble_make(out, PREAMBLE_CALLEE, session, &secret), 0);
	for (bit = 0; bit < 8 * PREAMBLE_SIZE; bit++) {
		out[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(preamble_check(out, PREAMBLE_CALLEE, session, &secret));
		out[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(preamble_check(out, PREAMBLE_CALLEE, session, &secret));
}

static void another_session_or_secret_is_refused(void **state)
{
	uint8_t out[PREAMBLE_SIZE], other[SESSION_SIZE] = { 0 };
	struct secret secret = a_secret(), wrong = a_secret();

	(void)state;
	wrong.caller[31] ^= 1;
	assert_int_equal(preamble_make(out, PREAMBLE_CALLER, session, &secret), 0);
	assert_false(preamble_check(out, PREAMBLE_CALLER, other, &secret));
	assert_false(preamble_check(out, PREAMBLE_CALLER, session, &wrong));
}

/* A preamble sent back to who made it must not pass: the two ends' kinds differ */
static void an_echo_is_refused(void **state)
{
	struct secret secret = a_secret();
	uint8_t out[PREAMBLE_SIZE];

	(void)state;
	assert_int_equal(preamble_make(out, PREAMBLE_CALLER, session, &secret), 0);
	assert_false(preamble_check(out, PREAMBLE_CALLEE, session, &secret));
	out[4] = PREAMBLE_CALLEE;
	assert_false(preamble_check(out, PREAMBLE_CALLEE, session, &secret));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bytes_are_the_documented_ones),
		cmocka_unit_test(each_kind_is_good_for_itself_alone),
		cmocka_unit_test(any_changed_bit_is_refused),
		cmocka_unit_test(another_session_or_secret_is_refused),
		cmocka_unit_test(an_echo_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
