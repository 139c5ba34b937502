/* SPDX-License-Identifier: MIT */
/*
 * test_quick.c - every key from a word and a name
 */
#include <errno.h>

#include "common/quick.h"
#include "tests/unit/quick_plain.h"
#include "tests/unit/scratch.h"

static const uint8_t session[SESSION_SIZE] = { 1 }, caller[KEY_SIZE] = { 2 }, callee[KEY_SIZE] = { 3 };

/* scrypt costs a fifth of a second: once for all tests */
static struct quick quick;

static int derive_once(void **state)
{
	(void)state;
	return quick_init(&quick, "correct horse");
}

static void keys_are_those_of_the_documented_formula(void **state)
{
	uint8_t wanted[KEY_SIZE];
	struct key key;

	(void)state;
	/* hashlib.scrypt, hmac and the cryptography module of Python */
	from_hex(wanted, sizeof(wanted), "d7253cad80dca71312dfd03498a3d536c069ba5b0d559cf99efdaa6c1edc833b");
	assert_memory_equal(quick.master, wanted, 32);
	from_hex(wanted, sizeof(wanted), "8e9fa8139a5c01b8d758e6ab17dba99608343aa952285b83acf6f93c37314136");
	assert_int_equal(quick_key(&quick, "bob", &key), 0);
	assert_memory_equal(key.public, wanted, KEY_SIZE);
	key_wipe(&key);
}

static void all_spellings_of_a_name_are_one_key(void **state)
{
	static const char *const same[] = { "BOB", "Bob", "bob.punch", "BoB.PUNCH" };
	static const char *const others[] = { "bo", "bobb", "bob.", "bob.punch.", "punch", "bobpunch", "b" };
	struct key bob, key;
	size_t i;

	(void)state;
	assert_int_equal(quick_key(&quick, "bob", &bob), 0);
	for (i = 0; i < COUNT(same); i++) {
		assert_int_equal(quick_key(&quick, same[i], &key), 0);
		assert_memory_equal(key.public, bob.public, KEY_SIZE);
		key_wipe(&key);
	}
	for (i = 0; i < COUNT(others); i++) {
		assert_int_equal(quick_key(&quick, others[i], &key), 0);
		assert_memory_not_equal(key.public, bob.public, KEY_SIZE);
		key_wipe(&key);
	}
	key_wipe(&bob);
}

static void names_that_do_not_fit_are_refused(void **state)
{
	char name[LIMIT_NAME + 8];
	struct key key;

	(void)state;
	assert_int_equal(quick_key(&quick, "", &key), -EINVAL);
	assert_int_equal(quick_key(&quick, ".punch", &key), -EINVAL);
	memset(name, 'n', sizeof(name));
	name[LIMIT_NAME - 1] = '\0';
	assert_int_equal(quick_key(&quick, name, &key), 0);
	key_wipe(&key);
	name[LIMIT_NAME - 1] = 'n';
	name[LIMIT_NAME] = '\0';
	assert_int_equal(quick_key(&quick, name, &key), -EINVAL);
	assert_null(key.private);
	name[LIMIT_NAME] = 'n';
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(quick_key(&quick, name, &key), -EINVAL);
}

static void another_word_is_another_world(void **state)
{
	uint8_t sealed[QUICK_SEALED_MAX];
	char name[LIMIT_NAME], word[LIMIT_SECRET + 1];
	struct key a, b;
	struct quick other;

	(void)state;
	assert_int_equal(quick_init(&other, "correct horsf"), 0);
	assert_int_equal(quick_key(&quick, "bob", &a), 0);
	assert_int_equal(quick_key(&other, "bob", &b), 0);
	assert_memory_not_equal(a.public, b.public, KEY_SIZE);
	assert_int_equal(quick_seal(&quick, "alice", session, caller, callee, sealed), QUICK_SEALED_MAX);
	assert_int_equal(quick_open(&other, sealed, sizeof(sealed), session, caller, callee, name), -EBADMSG);
	assert_string_equal(name, "");
	key_wipe(&a);
	key_wipe(&b);
	quick_wipe(&other);

	assert_int_equal(quick_init(&other, ""), -EINVAL);
	memset(word, 'w', sizeof(word));
	word[LIMIT_SECRET] = '\0';
	assert_int_equal(quick_init(&other, word), -EINVAL);
}

static void a_sealed_name_comes_back(void **state)
{
	static const char *const names[] = { "alice", "", "a", "n123456789n123456789n123456789n123456789n123456789n123456789nnn" };
	uint8_t sealed[QUICK_SEALED_MAX], again[QUICK_SEALED_MAX];
	char name[LIMIT_NAME];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(names); i++) {
		/* the size tells nothing about the name */
		assert_int_equal(quick_seal(&quick, names[i], session, caller, callee, sealed), QUICK_SEALED_MAX);
		assert_int_equal(quick_open(&quick, sealed, sizeof(sealed), session, caller, callee, name), 0);
		assert_string_equal(name, names[i]);
	}
	quick_seal(&quick, "alice", session, caller, callee, sealed);
	quick_seal(&quick, "alice", session, caller, callee, again);
	assert_memory_not_equal(sealed, again, sizeof(sealed));
	assert_int_equal(quick_seal(&quick, "n123456789n123456789n123456789n123456789n123456789n123456789nnnn",
				    session, caller, callee, sealed), -EINVAL);
	assert_int_equal(quick_seal(&quick, "Alice.punch", session, caller, callee, sealed), QUICK_SEALED_MAX);
	assert_int_equal(quick_open(&quick, sealed, sizeof(sealed), session, caller, callee, name), 0);
	assert_string_equal(name, "alice");
}

/* Who knows the word seals what he likes: what opens is a string */
static void what_has_no_end_is_no_name(void **state)
{
	uint8_t plain[LIMIT_NAME], sealed[QUICK_SEALED_MAX];
	char name[LIMIT_NAME];

	(void)state;
	memset(plain, 'n', sizeof(plain));
	memset(name, 'x', sizeof(name));
	assert_true(quick_plain_seal(&quick, plain, session, caller, callee, sealed));
	assert_int_equal(quick_open(&quick, sealed, sizeof(sealed), session, caller, callee, name), -EBADMSG);
	assert_string_equal(name, "");
	plain[LIMIT_NAME - 1] = '\0';
	assert_true(quick_plain_seal(&quick, plain, session, caller, callee, sealed));
	assert_int_equal(quick_open(&quick, sealed, sizeof(sealed), session, caller, callee, name), 0);
	assert_memory_equal(name, plain, sizeof(plain));
}

static void a_seal_is_bound_to_session_and_keys(void **state)
{
	uint8_t sealed[QUICK_SEALED_MAX], wrong[KEY_SIZE] = { 9 };
	char name[LIMIT_NAME];
	unsigned int bit;
	size_t size;

	(void)state;
	assert_int_equal(quick_seal(&quick, "alice", session, caller, callee, sealed), QUICK_SEALED_MAX);
	assert_int_equal(quick_open(&quick, sealed, sizeof(sealed), wrong, caller, callee, name), -EBADMSG);
	assert_int_equal(quick_open(&quick, sealed, sizeof(sealed), session, wrong, callee, name), -EBADMSG);
	assert_int_equal(quick_open(&quick, sealed, sizeof(sealed), session, caller, wrong, name), -EBADMSG);
	assert_int_equal(quick_open(&quick, sealed, sizeof(sealed), session, callee, caller, name), -EBADMSG);
	for (bit = 0; bit < 8 * QUICK_SEALED_MAX; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(quick_open(&quick, sealed, sizeof(sealed), session, caller, callee, name), -EBADMSG);
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size = 0; size < QUICK_SEALED_MAX; size++)
		assert_int_equal(quick_open(&quick, sealed, size, session, caller, callee, name), -EBADMSG);
	assert_int_equal(quick_open(&quick, sealed, sizeof(sealed), session, caller, callee, name), 0);
}

static void wiped_is_zero(void **state)
{
	struct quick copy = quick, zero = { { 0 } };

	(void)state;
	quick_wipe(&copy);
	assert_memory_equal(&copy, &zero, sizeof(copy));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_those_of_the_documented_formula),
		cmocka_unit_test(all_spellings_of_a_name_are_one_key),
		cmocka_unit_test(names_that_do_not_fit_are_refused),
		cmocka_unit_test(another_word_is_another_world),
		cmocka_unit_test(a_sealed_name_comes_back),
		cmocka_unit_test(what_has_no_end_is_no_name),
		cmocka_unit_test(a_seal_is_bound_to_session_and_keys),
		cmocka_unit_test(wiped_is_zero),
	};

	return cmocka_run_group_tests(tests, derive_once, NULL);
}
