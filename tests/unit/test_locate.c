/* SPDX-License-Identifier: MIT */
/*
 * test_locate.c - the store's URL
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "rendezvous/locate.h"

static void accepts(const char *url, const char *host, uint16_t port, int database)
{
	struct store_address address;

	assert_int_equal(locate_parse(&address, url), 0);
	assert_string_equal(address.host, host);
	assert_int_equal(address.port, port);
	assert_int_equal(address.database, database);
}

static void refuses(const char *url)
{
	struct store_address address;

	assert_int_equal(locate_parse(&address, url), -EINVAL);
}

static void test_urls(void **state)
{
	(void)state;
	accepts("redis://localhost", "localhost", 6379, 0);
	accepts("redis://localhost/", "localhost", 6379, 0);
	accepts("redis://store.example.org:7000/3", "store.example.org", 7000, 3);
	accepts("redis://127.0.0.1:7000", "127.0.0.1", 7000, 0);
	accepts("redis://[::1]:7000/1", "::1", 7000, 1);
	accepts("redis://[::1]", "::1", 6379, 0);
}

static void test_what_is_none(void **state)
{
	(void)state;
	refuses("memory");
	refuses("http://localhost");
	refuses("redis://");
	refuses("redis://:7000");
	refuses("redis://host:0");
	refuses("redis://host:65536");
	refuses("redis://host:7o");
	refuses("redis://host/x");
	refuses("redis://host/-1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_what_is_none),
	};

	return cmocka_run_group_tests_name("locate", tests, NULL, NULL);
}
