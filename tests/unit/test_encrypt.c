/* SPDX-License-Identifier: MIT */
/*
 * test_encrypt.c - two sides' wishes for encryption, and what comes of them
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "resolver/encrypt.h"

static const enum conf_encrypt all[] = { CONF_ENCRYPT_AUTO, CONF_ENCRYPT_YES, CONF_ENCRYPT_NO };

static void either_side_can_demand_it(void **state)
{
	bool encrypted;

	(void)state;
	assert_int_equal(encrypt_settle(CONF_ENCRYPT_YES, CONF_ENCRYPT_AUTO, 22, &encrypted), 0);
	assert_true(encrypted);
	assert_int_equal(encrypt_settle(CONF_ENCRYPT_AUTO, CONF_ENCRYPT_YES, 22, &encrypted), 0);
	assert_true(encrypted);
	assert_int_equal(encrypt_settle(CONF_ENCRYPT_NO, CONF_ENCRYPT_AUTO, 80, &encrypted), 0);
	assert_false(encrypted);
	assert_int_equal(encrypt_settle(CONF_ENCRYPT_AUTO, CONF_ENCRYPT_NO, 80, &encrypted), 0);
	assert_false(encrypted);
}

static void yes_against_no_is_refused(void **state)
{
	bool encrypted = true;

	(void)state;
	assert_int_equal(encrypt_settle(CONF_ENCRYPT_YES, CONF_ENCRYPT_NO, 80, &encrypted), -EPROTO);
	assert_int_equal(encrypt_settle(CONF_ENCRYPT_NO, CONF_ENCRYPT_YES, 80, &encrypted), -EPROTO);
	assert_int_equal(encrypt_settle(CONF_ENCRYPT_NO, CONF_ENCRYPT_YES, 22, &encrypted), -EPROTO);
	assert_false(encrypted);
}

static void auto_goes_by_the_port(void **state)
{
	static const uint16_t bare[] = { 22, 443, 465, 636, 853, 989, 992, 995, 5223, 6697 };
	static const uint16_t covered[] = { 1, 21, 23, 80, 873, 988, 996, 5432, 6379, 8080, 8443, 65535 };
	bool encrypted;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(bare) / sizeof(bare[0]); i++) {
		assert_int_equal(encrypt_settle(CONF_ENCRYPT_AUTO, CONF_ENCRYPT_AUTO, bare[i], &encrypted), 0);
		assert_false(encrypted);
	}
	for (i = 0; i < sizeof(covered) / sizeof(covered[0]); i++) {
		assert_int_equal(encrypt_settle(CONF_ENCRYPT_AUTO, CONF_ENCRYPT_AUTO, covered[i], &encrypted), 0);
		assert_true(encrypted);
	}
}

static void a_ping_carries_nothing(void **state)
{
	bool encrypted;
	unsigned int i, j;

	(void)state;
	for (i = 0; i < 3; i++) {
		for (j = 0; j < 3; j++) {
			assert_int_equal(encrypt_settle(all[i], all[j], 0, &encrypted), 0);
			assert_false(encrypted);
		}
	}
}

static void of_one_side_the_stricter_counts(void **state)
{
	(void)state;
	assert_int_equal(encrypt_wish(CONF_ENCRYPT_YES, CONF_ENCRYPT_NO), CONF_ENCRYPT_YES);
	assert_int_equal(encrypt_wish(CONF_ENCRYPT_NO, CONF_ENCRYPT_YES), CONF_ENCRYPT_YES);
	assert_int_equal(encrypt_wish(CONF_ENCRYPT_NO, CONF_ENCRYPT_AUTO), CONF_ENCRYPT_NO);
	assert_int_equal(encrypt_wish(CONF_ENCRYPT_AUTO, CONF_ENCRYPT_NO), CONF_ENCRYPT_NO);
	assert_int_equal(encrypt_wish(CONF_ENCRYPT_AUTO, CONF_ENCRYPT_AUTO), CONF_ENCRYPT_AUTO);
}

static void each_cover_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(encrypt_cover_name(ENCRYPT_BARE), "bare");
	assert_string_equal(encrypt_cover_name(ENCRYPT_KERNEL), "tls-kernel");
	assert_string_equal(encrypt_cover_name(ENCRYPT_PUMP), "tls-pump");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(either_side_can_demand_it),
		cmocka_unit_test(yes_against_no_is_refused),
		cmocka_unit_test(auto_goes_by_the_port),
		cmocka_unit_test(a_ping_carries_nothing),
		cmocka_unit_test(of_one_side_the_stricter_counts),
		cmocka_unit_test(each_cover_has_a_name),
	};

	return cmocka_run_group_tests_name("encrypt", tests, NULL, NULL);
}
