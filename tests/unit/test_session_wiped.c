/* SPDX-License-Identifier: MIT */
/*
 * test_session_wiped.c - the keys of a session go when it ends, and when it tries again
 */
#include <malloc.h>
#include <stdlib.h>

#include "resolver/doorbell_internal.h"
#include "resolver/local_internal.h"
#include "resolver/session_internal.h"

static void checked_free(void *memory);

#define free checked_free
#include "resolver/session.c"
#undef free

#include "tests/unit/scratch.h"

static struct node node;
static struct secret secret;		/* no key of it may be in what is freed */
static bool leaked;
static int key_index = -1;		/* of what OpenSSL tells on_key_freed() */

static bool has_a_key(const void *memory, size_t size)
{
	return memmem(memory, size, secret.caller, sizeof(secret.caller)) ||
	       memmem(memory, size, secret.callee, sizeof(secret.callee)) ||
	       memmem(memory, size, secret.nominate, sizeof(secret.nominate)) ||
	       memmem(memory, size, secret.traffic, sizeof(secret.traffic));
}

static void checked_free(void *memory)
{
	leaked |= memory && has_a_key(memory, malloc_usable_size(memory));
	free(memory);
}

/* OpenSSL frees a key when nobody holds it any more, and cleanses it then */
static void on_key_freed(void *key, void *freed, CRYPTO_EX_DATA *data, int index, long number, void *arg)
{
	(void)key;
	(void)data;
	(void)index;
	(void)number;
	(void)arg;
	if (freed)
		*(bool *)freed = true;
}

static int begin(void **state)
{
	(void)state;
	secret_random(&secret, sizeof(secret));
	key_index = EVP_PKEY_get_ex_new_index(0, NULL, NULL, NULL, on_key_freed);
	node.base = event_base_new();
	node.sessions = sessions_new(&node);
	return node.base && node.sessions && key_index >= 0 ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	sessions_free(node.sessions);
	event_base_free(node.base);
	return 0;
}

static struct session *session_of_test(bool *key_freed)
{
	struct session *s = session_new(&node, true);

	assert_non_null(s);
	strcpy(s->peer.name, "peer");
	s->deadline = clock_now() + 60 * SECOND;
	s->state = SESSION_PUNCHING;
	s->secret = secret;
	*key_freed = false;
	assert_int_equal(EVP_PKEY_set_ex_data(s->ephemeral.private, key_index, key_freed), 1);
	return s;
}

static void a_session_that_ends(void **state)
{
	bool key_freed;
	struct session *s = session_of_test(&key_freed);

	(void)state;
	assert_true(has_a_key(s, sizeof(*s)));
	leaked = false;
	session_free(s);
	assert_false(leaked);
	assert_true(key_freed);
}

static void a_session_that_tries_again(void **state)
{
	bool key_freed;
	struct session *s = session_of_test(&key_freed);
	struct ephemeral before = s->ephemeral;

	(void)state;
	session_restart(s);
	assert_int_equal(s->state, SESSION_UPLINK);
	assert_false(has_a_key(s, sizeof(*s)));
	assert_true(key_freed);
	assert_memory_not_equal(s->ephemeral.public, before.public, sizeof(before.public));
	session_free(s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_that_ends),
		cmocka_unit_test(a_session_that_tries_again),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
