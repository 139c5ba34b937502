/* SPDX-License-Identifier: MIT */
/*
 * test_wiped.c - what was secret is nowhere in the memory that was given back
 */
#include <pthread.h>

#include "tests/unit/scratch.h"
#include "common/secret.h"
#include "resolver/load.h"

/* A function of its own is asked of it, before others use the same stack */
#include "resolver/state.c"

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

static struct node *quick;

static void *name_the_file(void *arg)
{
	return config_hash(quick, arg) < 0 ? NULL : arg;
}

/* The name of the file of saved state comes from a hash of all that quick mode is made of */
static void keys_of_quick_mode_on_the_stack(void **state)
{
	enum { STACK = 1 << 20 };
	struct local_config config = { .secret = "five words that nobody guesses", .as = "alice", .rendezvous = "r.test" };
	uint8_t *stack = aligned_alloc(4096, STACK);
	pthread_attr_t attributes;
	char why[LOAD_WHY];
	uint8_t hash[HASH_SIZE];
	struct stat conf;
	pthread_t thread;
	void *done;

	(void)state;
	quick = calloc(1, sizeof(*quick));
	assert_non_null(quick);
	assert_non_null(stack);
	memset(stack, 0, STACK);
	assert_int_equal(load_node(quick, &config, &conf, why, sizeof(why)), 0);
	assert_int_equal(pthread_attr_init(&attributes), 0);
	assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK), 0);
	assert_int_equal(pthread_create(&thread, &attributes, name_the_file, hash), 0);
	assert_int_equal(pthread_join(thread, &done), 0);
	assert_ptr_equal(done, hash);
	assert_false(is_zero(stack, STACK));		/* it was used */
	assert_null(memmem(stack, STACK, quick->quick.master, sizeof(quick->quick.master)));
	pthread_attr_destroy(&attributes);
	load_free(quick);
	free(quick);
	free(stack);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_of_a_session),
		cmocka_unit_test(word_and_keys_of_quick_mode),
		cmocka_unit_test(keys_of_quick_mode_on_the_stack),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
