/* SPDX-License-Identifier: MIT */
/* Peers' names in a hosts file */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shim/punch_any_hosts.h"

static void our_names_come_first_and_the_system_has_them_no_more(void **state)
{
	struct hosts hosts = { 0 };
	char *text;

	(void)state;
	hosts_add(&hosts, "bob");
	hosts_add(&hosts, "Bob.example.org");
	hosts_add(&hosts, "BOB");		/* once */
	assert_int_equal(hosts.count, 2);
	hosts.names[0].slot = 101;
	hosts.names[1].slot = 101;
	text = hosts_write(&hosts, "127.0.0.1\tlocalhost\n"
				   "10.9.0.2 bob  # the real one\n"
				   "10.9.0.3\tweb BOB.example.org www # two more\n"
				   "# bob in a comment\n"
				   "\n"
				   "::1 ip6-localhost");
	assert_string_equal(text, "239.192.0.101 bob\n"
				  "239.192.0.101 Bob.example.org\n"
				  "127.0.0.1\tlocalhost\n"
				  "10.9.0.3 web www\n"
				  "# bob in a comment\n"
				  "\n"
				  "::1 ip6-localhost\n");
	free(text);
	hosts_free(&hosts);
}

static void a_name_without_an_address_is_not_the_systems_either(void **state)
{
	struct hosts hosts = { 0 };
	char *text;

	(void)state;
	hosts_add(&hosts, "bob");
	text = hosts_write(&hosts, "10.9.0.2 bob\n10.9.0.3 bobby\n");
	assert_string_equal(text, "10.9.0.3 bobby\n");
	free(text);
	hosts_free(&hosts);
}

static void what_would_break_the_file_is_left_out(void **state)
{
	struct hosts hosts = { 0 };
	char name[LIMIT_HOST + 1];

	(void)state;
	hosts_add(&hosts, "");
	hosts_add(&hosts, "a b");
	hosts_add(&hosts, "a\nb");
	hosts_add(&hosts, "a#b");
	memset(name, 'a', LIMIT_HOST);
	name[LIMIT_HOST] = '\0';
	hosts_add(&hosts, name);
	assert_int_equal(hosts.count, 0);
	assert_false(hosts.full);
	hosts_free(&hosts);
}

static void names_of_quick_mode_are_found_in_words(void **state)
{
	static const struct { const char *text, *found; } cases[] = {
		{ "bob.punch", "bob.punch" },
		{ "http://bob.punch:8080/x?y=1", "bob.punch" },
		{ "user@Bob.PUNCH:dir/", "Bob.PUNCH" },
		{ "--upstream=a_b-c.punch", "a_b-c.punch" },
		{ "x [bob.punch]", "bob.punch" },
		{ "bob.punch.example.org", NULL },
		{ "bob.punchy", NULL },
		{ ".punch", NULL },
		{ "..punch", NULL },
		{ "punch", NULL },
		{ "", NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hosts hosts = { 0 };

		hosts_find_quick(&hosts, cases[i].text);
		assert_int_equal(hosts.count, cases[i].found != NULL);
		if (cases[i].found)
			assert_string_equal(hosts.names[0].name, cases[i].found);
		hosts_free(&hosts);
	}
}

static void two_names_in_one_word_are_two(void **state)
{
	struct hosts hosts = { 0 };

	(void)state;
	hosts_find_quick(&hosts, "bob.punch:1,carol.punch:2 bob.punch");
	assert_int_equal(hosts.count, 2);
	assert_string_equal(hosts.names[1].name, "carol.punch");
	hosts_free(&hosts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_names_come_first_and_the_system_has_them_no_more),
		cmocka_unit_test(a_name_without_an_address_is_not_the_systems_either),
		cmocka_unit_test(what_would_break_the_file_is_left_out),
		cmocka_unit_test(names_of_quick_mode_are_found_in_words),
		cmocka_unit_test(two_names_in_one_word_are_two),
	};

	return cmocka_run_group_tests_name("hosts file", tests, NULL, NULL);
}
