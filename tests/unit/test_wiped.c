/* SPDX-License-Identifier: MIT */
/*
 * test_wiped.c - what was secret is nowhere in the memory that was given back
 */
#include "tests/unit/scratch.h"
#include "common/secret.h"
#include "resolver/load.h"

static bool is_zero(const void *data, size_t size)
{
	const uint8_t *bytes = data;

	while (size && !*bytes) {
		bytes++;
		size--;
	}
	return !size;
}

static void secrets_of_a_session(void **state)
{
	struct secret secret;
	struct ephemeral ephemeral;

	(void)state;
	memset(&secret, 0x5a, sizeof(secret));
	secret_wipe(&secret);
	assert_true(is_zero(&secret, sizeof(secret)));
	assert_int_equal(ephemeral_make(&ephemeral), 0);
	ephemeral_wipe(&ephemeral);
	assert_null(ephemeral.private);
}

static void word_and_keys_of_quick_mode(void **state)
{
	struct node *node = calloc(1, sizeof(*node));
	struct local_config config = { .secret = "five words that nobody guesses", .as = "alice", .rendezvous = "r.test" };
	uint8_t master[sizeof(node->quick.master)];
	char why[LOAD_WHY];
	struct stat conf;

	(void)state;
	assert_non_null(node);
	assert_int_equal(load_node(node, &config, &conf, why, sizeof(why)), 0);
	memcpy(master, node->quick.master, sizeof(master));
	assert_false(is_zero(master, sizeof(master)));
	assert_string_equal(node->config.secret, config.secret);
	load_free(node);
	assert_null(memmem(node, sizeof(*node), config.secret, strlen(config.secret)));
	assert_null(memmem(node, sizeof(*node), master, sizeof(master)));
	assert_null(node->key.private);
	free(node);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_of_a_session),
		cmocka_unit_test(word_and_keys_of_quick_mode),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
