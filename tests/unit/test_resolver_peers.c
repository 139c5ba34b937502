/* SPDX-License-Identifier: MIT */
/*
 * test_resolver_peers.c - whom a name, an address or a key means, with a file and without
 */
#include <errno.h>

#include "tests/unit/scratch.h"
#include "common/standin.h"
#include "resolver/names.h"
#include "resolver/peers.h"

static const struct endpoint nowhere;
static struct node quick, file;

static const char *key_of(uint8_t n)
{
	static char texts[4][KEY_TEXT_SIZE];
	const uint8_t public[KEY_SIZE] = { n };

	return key_text(public, texts[n % 4]);
}

static int begin(void **state)
{
	struct conf_error error;
	char text[1024];

	if (scratch_setup(state) || quick_init(&quick.quick, "word"))
		return -1;
	quick.quick_mode = true;
	quick.names = names_new();
	file.names = names_new();
	snprintf(text, sizeof(text), "[node]\nkey = x\nrendezvous = y\n[peer Bob]\nkey = %s\nroute = relay\n"
		 "alias = 10.9.0.2 bob.example.org\n[peer carol]\nkey = %s\nencrypt = no\n", key_of(1), key_of(2));
	scratch_write("punch.conf", text, strlen(text), 0600);
	return conf_node_load(&file.conf, scratch_path("punch.conf"), &error);
}

static int end(void **state)
{
	names_free(quick.names);
	names_free(file.names);
	conf_node_free(&file.conf);
	return scratch_teardown(state);
}

/* ------------------------------------------------------------ with a file */

static void a_peer_is_found_by_name_alias_address_and_slot(void **state)
{
	struct peer peer, again;
	struct endpoint target;

	(void)state;
	assert_int_equal(peer_find(&file, "bob", &nowhere, &peer), 0);
	assert_string_equal(peer.name, "Bob");
	assert_int_equal(peer.key[0], 1);
	assert_int_equal(peer.route, CONF_ROUTE_RELAY);
	assert_int_equal(peer_find(&file, "bob.EXAMPLE.org", &nowhere, &again), 0);
	assert_memory_equal(&peer, &again, sizeof(peer));
	endpoint_parse(&target, "10.9.0.2:22", 0);
	assert_int_equal(peer_find(&file, "", &target, &again), 0);
	assert_memory_equal(&peer, &again, sizeof(peer));
	standin_endpoint(&target, AF_INET, peer.slot, 22);
	assert_int_equal(peer_find(&file, "", &target, &again), 0);
	assert_memory_equal(&peer, &again, sizeof(peer));
	standin_endpoint(&target, AF_INET6, peer.slot, 22);
	assert_int_equal(peer_find(&file, "", &target, &again), 0);
	assert_string_equal(peer_name_of_slot(&file, peer.slot), "Bob");
}

static void a_name_counts_more_than_an_address(void **state)
{
	struct endpoint target;
	struct peer peer;

	(void)state;
	endpoint_parse(&target, "10.9.0.2:22", 0);
	assert_int_equal(peer_find(&file, "carol", &target, &peer), 0);
	assert_string_equal(peer.name, "carol");
	assert_int_equal(peer_find(&file, "dave", &target, &peer), -ENOENT);
}

static void a_caller_is_known_by_its_key(void **state)
{
	const uint8_t known[KEY_SIZE] = { 2 }, unknown[KEY_SIZE] = { 3 };
	struct peer peer;

	(void)state;
	assert_int_equal(peer_by_key(&file, known, &peer), 0);
	assert_string_equal(peer.name, "carol");
	assert_int_equal(peer.encrypt, CONF_ENCRYPT_NO);
	assert_int_equal(peer_by_key(&file, unknown, &peer), -ENOENT);
}

static void strangers_addresses_are_nobodys(void **state)
{
	struct endpoint target;
	struct peer peer;

	(void)state;
	endpoint_parse(&target, "192.0.2.1:22", 0);
	assert_int_equal(peer_find(&file, "", &target, &peer), -ENOENT);
	assert_int_equal(peer_find(&file, "", &nowhere, &peer), -ENOENT);
	standin_endpoint(&target, AF_INET, 99, 22);
	assert_int_equal(peer_find(&file, "", &target, &peer), -ENOENT);
}

/* ------------------------------------------------------------ quick mode */

static void any_name_in_dot_punch_is_a_peer(void **state)
{
	struct endpoint target;
	struct peer peer, again;
	struct key key;

	(void)state;
	assert_int_equal(peer_find(&quick, "Bob.Punch.", &nowhere, &peer), 0);
	assert_string_equal(peer.name, "bob.punch");
	assert_int_equal(quick_key(&quick.quick, "bob", &key), 0);
	assert_memory_equal(peer.key, key.public, KEY_SIZE);
	key_wipe(&key);
	standin_endpoint(&target, AF_INET, peer.slot, 22);
	assert_int_equal(peer_find(&quick, "", &target, &again), 0);
	assert_memory_equal(&peer, &again, sizeof(peer));
}

static void other_names_are_not(void **state)
{
	static const char *const names[] = {
		"bob", "bob.example.org", ".punch", "punch", "", "-x.punch", "b b.punch", "b\n.punch", "b\xc3\xa9.punch",
		"a.punch.punchy",
		"a234567890123456789012345678901234567890123456789012345678901234.punch",	/* 64 characters */
	};
	struct peer peer;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		assert_int_equal(peer_find(&quick, names[i], &nowhere, &peer), -ENOENT);
}

static void a_guest_is_shown_by_the_name_its_key_proves(void **state)
{
	struct peer peer, bob;
	struct key key;

	(void)state;
	assert_int_equal(peer_find(&quick, "bob.punch", &nowhere, &bob), 0);
	assert_int_equal(peer_guest(&quick, bob.key, "bob", &peer), 0);
	assert_string_equal(peer.name, "bob.punch");
	assert_int_equal(peer.slot, bob.slot);
	assert_int_equal(key_generate(&key), 0);
	assert_int_equal(peer_guest(&quick, key.public, "bob", &peer), 0);	/* knows the word, is not bob */
	assert_string_equal(peer.name, "guest");
	assert_memory_equal(peer.key, key.public, KEY_SIZE);
	assert_true(peer.slot > 0 && peer.slot != bob.slot);
	assert_int_equal(peer_guest(&quick, key.public, "", &peer), 0);
	assert_string_equal(peer.name, "guest");
	assert_int_equal(peer_guest(&quick, key.public, "../../etc\n", &peer), 0);
	assert_string_equal(peer.name, "guest");
	key_wipe(&key);
}

/* A caller that only claims names must not fill the table of addresses */
static void false_names_take_no_addresses(void **state)
{
	struct peer peer;
	const char *name;
	struct key key;
	char text[16];
	uint32_t slot;
	unsigned int i;

	(void)state;
	assert_int_equal(key_generate(&key), 0);
	for (i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "false%u", i);
		assert_int_equal(peer_guest(&quick, key.public, text, &peer), 0);
	}
	for (i = 0; names_get(quick.names, i, &name, &slot); i++)
		assert_null(strstr(name, "false"));
	key_wipe(&key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_is_found_by_name_alias_address_and_slot),
		cmocka_unit_test(a_name_counts_more_than_an_address),
		cmocka_unit_test(a_caller_is_known_by_its_key),
		cmocka_unit_test(strangers_addresses_are_nobodys),
		cmocka_unit_test(any_name_in_dot_punch_is_a_peer),
		cmocka_unit_test(other_names_are_not),
		cmocka_unit_test(a_guest_is_shown_by_the_name_its_key_proves),
		cmocka_unit_test(false_names_take_no_addresses),
	};

	return cmocka_run_group_tests_name("resolver peers", tests, begin, end);
}
