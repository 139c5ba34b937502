/* SPDX-License-Identifier: MIT */
/*
 * test_standin.c - slots and their addresses, and what is none
 */
#include <netinet/in.h>

#include "common/standin.h"
#include "tests/unit/scratch.h"

static bool is_standin(const char *text, int family)
{
	struct sockaddr_storage ss;
	struct endpoint ep;
	int len;

	assert_int_equal(endpoint_parse(&ep, text, 22), 0);
	len = endpoint_to_sockaddr(&ep, family, &ss);
	assert_true(len > 0);
	return standin_is_sockaddr((struct sockaddr *)&ss, (socklen_t)len);
}

static void slots_have_the_documented_addresses(void **state)
{
	static const struct {
		uint32_t slot;
		const char *four, *six;
	} cases[] = {
		{ 1, "239.192.0.1:22", "[ff18:7075:6e63:6800::1]:22" },
		{ 256, "239.192.1.0:22", "[ff18:7075:6e63:6800::100]:22" },
		{ STANDIN_SLOTS - 2, "239.195.255.254:22", "[ff18:7075:6e63:6800::3:fffe]:22" },
	};
	char text[ENDPOINT_TEXT_SIZE];
	struct endpoint ep;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		standin_endpoint(&ep, AF_INET, cases[i].slot, 22);
		assert_string_equal(endpoint_format(&ep, text), cases[i].four);
		assert_int_equal(standin_slot(&ep), cases[i].slot);
		standin_endpoint(&ep, AF_INET6, cases[i].slot, 22);
		assert_string_equal(endpoint_format(&ep, text), cases[i].six);
		assert_int_equal(standin_slot(&ep), cases[i].slot);
	}
}

static void every_slot_comes_back(void **state)
{
	struct endpoint ep;
	uint32_t slot;

	(void)state;
	for (slot = 1; slot <= STANDIN_SLOTS - 2; slot += 97) {
		standin_endpoint(&ep, AF_INET, slot, 1);
		assert_int_equal(standin_slot(&ep), slot);
		standin_endpoint(&ep, AF_INET6, slot, 1);
		assert_int_equal(standin_slot(&ep), slot);
	}
}

static void other_addresses_are_no_slot(void **state)
{
	static const char *const cases[] = {
		"239.191.255.255", "239.196.0.0", "239.192.0.0", "239.195.255.255", "10.0.0.1",
		"ff18:7075:6e63:6800::", "ff18:7075:6e63:6800::3:ffff", "ff18:7075:6e63:6800:0:1:0:1",
		"ff18:7075:6e63:6800:1::1", "ff18:7075:6e63:6801::1", "fd18:7075:6e63:6800::1",
	};
	struct endpoint ep;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		assert_int_equal(endpoint_parse(&ep, cases[i], 22), 0);
		if (standin_slot(&ep) != 0)
			fail_msg("%s is slot %u", cases[i], standin_slot(&ep));
	}
	memset(&ep, 0, sizeof(ep));
	assert_int_equal(standin_slot(&ep), 0);
}

static void raw_addresses_are_told_apart(void **state)
{
	(void)state;
	assert_true(is_standin("239.192.0.1", AF_INET));
	assert_true(is_standin("239.192.0.1", AF_INET6));	/* v4-mapped */
	assert_true(is_standin("239.195.255.255", AF_INET));
	assert_true(is_standin("ff18:7075:6e63:6800::1", AF_INET6));
	assert_false(is_standin("239.191.255.255", AF_INET));
	assert_false(is_standin("239.196.0.0", AF_INET6));
	assert_false(is_standin("ff18:7075:6e63:6801::1", AF_INET6));
	assert_false(is_standin("127.0.0.1", AF_INET));
}

static void doorbells_are_told_apart(void **state)
{
	static const struct {
		const char *text;
		bool doorbell;
	} cases[] = {
		{ "127.112.0.0", true }, { "127.112.255.255", true }, { "127.111.255.255", false },
		{ "127.113.0.0", false }, { "127.0.0.1", false }, { "::1", false },
	};
	struct sockaddr_storage ss;
	struct endpoint ep;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		int len;

		assert_int_equal(endpoint_parse(&ep, cases[i].text, 1), 0);
		len = endpoint_to_sockaddr(&ep, AF_INET6, &ss);
		assert_int_equal(doorbell_is_sockaddr((struct sockaddr *)&ss, (socklen_t)len), cases[i].doorbell);
		len = endpoint_to_sockaddr(&ep, AF_INET, &ss);
		if (len > 0)
			assert_int_equal(doorbell_is_sockaddr((struct sockaddr *)&ss, (socklen_t)len), cases[i].doorbell);
	}
}

static void any_length_is_safe(void **state)
{
	struct sockaddr_storage ss;
	struct endpoint ep;
	socklen_t len, size;

	(void)state;
	standin_endpoint(&ep, AF_INET6, 1, 1);
	size = (socklen_t)endpoint_to_sockaddr(&ep, AF_INET6, &ss);
	for (len = 0; len < size; len++) {
		struct sockaddr *sa = malloc(len ? len : 1);	/* to its size, for the address sanitizer */

		memcpy(sa, &ss, len);
		/* sin6_scope_id is not looked at, and old callers leave it out */
		assert_int_equal(standin_is_sockaddr(sa, len), len >= 24);
		assert_false(doorbell_is_sockaddr(sa, len));
		free(sa);
	}
	assert_false(standin_is_sockaddr(NULL, 0));
	assert_false(standin_is_sockaddr(NULL, 128));
	assert_false(doorbell_is_sockaddr(NULL, 128));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_have_the_documented_addresses),
		cmocka_unit_test(every_slot_comes_back),
		cmocka_unit_test(other_addresses_are_no_slot),
		cmocka_unit_test(raw_addresses_are_told_apart),
		cmocka_unit_test(doorbells_are_told_apart),
		cmocka_unit_test(any_length_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
