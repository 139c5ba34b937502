/* SPDX-License-Identifier: MIT */
/*
 * test_allow.c - the file of keys that a rendezvous serves
 */
#include "tests/unit/scratch.h"

#include <errno.h>

#include "common/key.h"
#include "rendezvous/allow.h"

static const char one[] = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";	/* 32 bytes of 1 */
static const char two[] = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

static int load(struct allow **allow, const char *text, char why[512])
{
	char path[SCRATCH_PATH];
	FILE *file;

	snprintf(path, sizeof(path), "%s/allow", scratch);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	return allow_load(allow, path, why, 512);
}

static void test_any(void **state)
{
	uint8_t key[KEY_SIZE] = { 7 };
	struct allow *allow;
	char why[512];

	(void)state;
	assert_int_equal(allow_load(&allow, "any", why, sizeof(why)), 0);
	assert_true(allow_has(allow, key));
	allow_free(allow);
}

static void test_keys_remarks_and_empty_lines(void **state)
{
	uint8_t key[KEY_SIZE];
	struct allow *allow;
	char text[512], why[512];

	(void)state;
	snprintf(text, sizeof(text), "# ours\n\n%s\n  %s\tbob # since May\r\n", two, one);
	assert_int_equal(load(&allow, text, why), 0);
	memset(key, 1, sizeof(key));
	assert_true(allow_has(allow, key));
	memset(key, 2, sizeof(key));
	assert_true(allow_has(allow, key));
	memset(key, 3, sizeof(key));
	assert_false(allow_has(allow, key));
	allow_free(allow);
}

static void test_empty_file_allows_nobody(void **state)
{
	uint8_t key[KEY_SIZE] = { 0 };
	struct allow *allow;
	char why[512];

	(void)state;
	assert_int_equal(load(&allow, "# nobody yet\n", why), 0);
	assert_false(allow_has(allow, key));
	allow_free(allow);
}

static void test_mistakes_are_named(void **state)
{
	struct allow *allow = NULL;
	char text[4096], why[512];

	(void)state;
	snprintf(text, sizeof(text), "%s\nbob\n", one);
	assert_int_equal(load(&allow, text, why), -EINVAL);
	assert_non_null(strstr(why, "/allow:2: bob:"));
	/* a line without end is not cut into two */
	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(load(&allow, text, why), -EINVAL);
	assert_int_equal(allow_load(&allow, "/nonexistent/allow", why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "/nonexistent/allow"));
}

static void test_thousands(void **state)
{
	char path[SCRATCH_PATH], why[512], line[KEY_TEXT_SIZE];
	uint8_t key[KEY_SIZE] = { 0 };
	struct allow *allow;
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/allow", scratch);
	file = fopen(path, "we");
	assert_non_null(file);
	for (uint32_t i = 0; i < 20000; i += 2) {
		memcpy(key, &i, sizeof(i));
		fprintf(file, "%s\n", key_text(key, line));
	}
	fclose(file);
	assert_int_equal(allow_load(&allow, path, why, sizeof(why)), 0);
	for (uint32_t i = 0; i < 20000; i++) {
		memcpy(key, &i, sizeof(i));
		assert_int_equal(allow_has(allow, key), i % 2 == 0);
	}
	allow_free(allow);
}

static void test_what_is_no_file_holds_nobody_up(void **state)
{
	struct allow *allow;
	char why[512];

	(void)state;
	assert_int_equal(mkfifo(scratch_path("fifo"), 0600), 0);
	alarm(10);
	assert_int_equal(allow_load(&allow, scratch_path("fifo"), why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "not a regular file"));
	assert_int_equal(allow_load(&allow, scratch, why, sizeof(why)), -EINVAL);
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any),
		cmocka_unit_test(test_keys_remarks_and_empty_lines),
		cmocka_unit_test(test_empty_file_allows_nobody),
		cmocka_unit_test(test_mistakes_are_named),
		cmocka_unit_test(test_thousands),
		cmocka_unit_test(test_what_is_no_file_holds_nobody_up),
	};

	return cmocka_run_group_tests_name("allow", tests, scratch_setup, scratch_teardown);
}
