/* SPDX-License-Identifier: MIT */
/*
 * test_strength.c - which words are good enough for quick mode
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/limits.h"
#include "common/strength.h"

static void what_can_be_guessed_is_refused(void **state)
{
	static const char *const words[] = { "", "w", "hunter2", "Sommer2024!", "qwertzuiop", "blue horse", "bob", "p@ssw0rd",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "12345678901234567890", "the quick brown" };
	char why[512];

	(void)state;
	unsetenv("PUNCH_WEAK_SECRET");
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		memset(why, 0, sizeof(why));
		assert_int_equal(strength_check(words[i], why, sizeof(why)), -EKEYREJECTED);
		assert_non_null(strstr(why, "2^40"));
		assert_non_null(strstr(why, "punchctl secret"));
		assert_true(strlen(why) < sizeof(why) - 1);
		assert_true(strlen(words[i]) < 4 || !strstr(why, words[i]));
	}
}

static void good_words_pass(void **state)
{
	static const char *const words[] = { "correct horse battery staple", "k7qd-9m2x-vp4h-t3ra-e8wn", "größer als ein Haus",
		"four words of the two" };
	char why[512] = "";

	(void)state;
	unsetenv("PUNCH_WEAK_SECRET");
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		assert_int_equal(strength_check(words[i], why, sizeof(why)), 0);
	assert_string_equal(why, "");
}

static void who_insists_gets_it(void **state)
{
	char why[512] = "";

	(void)state;
	setenv("PUNCH_WEAK_SECRET", "yes", 1);
	assert_int_equal(strength_check("w", why, sizeof(why)), 0);
	setenv("PUNCH_WEAK_SECRET", "no", 1);
	assert_int_equal(strength_check("w", why, sizeof(why)), -EKEYREJECTED);
	unsetenv("PUNCH_WEAK_SECRET");
}

/* Every byte, at every length that a word may have */
static void any_bytes_are_looked_at(void **state)
{
	char word[LIMIT_SECRET];

	(void)state;
	for (size_t length = 1; length < sizeof(word); length += 11) {
		for (size_t i = 0; i < length; i++)
			word[i] = (char)(1 + (i * 89 + length) % 255);
		word[length] = '\0';
		assert_true(strength_bits(word) > 0);
		assert_true(length < 24 || strength_bits(word) >= STRENGTH_LEAST);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_can_be_guessed_is_refused),
		cmocka_unit_test(good_words_pass),
		cmocka_unit_test(who_insists_gets_it),
		cmocka_unit_test(any_bytes_are_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
