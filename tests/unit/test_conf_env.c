/* SPDX-License-Identifier: MIT */
/*
 * test_conf_env.c - what is read from the environment, and what is said of what cannot be followed
 */
#include <errno.h>

#include "conf/conf_env.h"
#include "tests/unit/scratch.h"

static char why[128];

/* A few variables of our own, as NAME, VALUE, ..., NULL */
static const char *const *variables;

static char *get(const char *name)
{
	static char value[512];
	const char *const *at;

	for (at = variables; *at; at += 2) {
		if (strcmp(*at, name) == 0) {
			snprintf(value, sizeof(value), "%s", at[1]);
			return value;
		}
	}
	return NULL;
}

#define ENVIRONMENT(...) (variables = (const char *const[]){ __VA_ARGS__, NULL })

static void quick_mode_is_three_variables(void **state)
{
	struct local_config config = { .path = "kept" };

	(void)state;
	ENVIRONMENT("PUNCH_SECRET", "word", "PUNCH_AS", "bob", "PUNCH_RENDEZVOUS", "rdv.test:99");
	assert_int_equal(conf_env_quick(&config, get, why, sizeof(why)), 0);
	assert_string_equal(config.secret, "word");
	assert_string_equal(config.as, "bob");
	assert_string_equal(config.rendezvous, "rdv.test:99");
	assert_string_equal(config.path, "kept");
	ENVIRONMENT("PUNCH_SECRET", "word", "PUNCH_RENDEZVOUS", "rdv.test");
	assert_int_equal(conf_env_quick(&config, get, why, sizeof(why)), 0);
	assert_string_equal(config.as, "");
}

static void without_a_secret_there_is_no_quick_mode(void **state)
{
	struct local_config config = { .path = "" };

	(void)state;
	ENVIRONMENT("PUNCH_AS", "bob", "PUNCH_RENDEZVOUS", "rdv.test");
	assert_int_equal(conf_env_quick(&config, get, why, sizeof(why)), -ENOENT);
	ENVIRONMENT("PUNCH_SECRET", "", "PUNCH_RENDEZVOUS", "rdv.test");
	assert_int_equal(conf_env_quick(&config, get, why, sizeof(why)), -ENOENT);
	ENVIRONMENT("PUNCH_SECRET", "word", "PUNCH_RENDEZVOUS", "");
	assert_int_equal(conf_env_quick(&config, get, why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "PUNCH_SECRET is set but not PUNCH_RENDEZVOUS: HOST[:PORT] of the rendezvous");
}

static void what_is_too_long_is_named(void **state)
{
	struct local_config config = { .path = "" };
	char name[LIMIT_NAME + 1], host[LIMIT_HOST + 1];

	(void)state;
	memset(name, 'n', sizeof(name));
	memset(host, 'h', sizeof(host));
	name[LIMIT_NAME - 1] = host[LIMIT_HOST - 1] = '\0';
	ENVIRONMENT("PUNCH_SECRET", host, "PUNCH_AS", name, "PUNCH_RENDEZVOUS", host);
	assert_int_equal(conf_env_quick(&config, get, why, sizeof(why)), 0);
	name[LIMIT_NAME - 1] = 'n';
	name[LIMIT_NAME] = '\0';
	assert_int_equal(conf_env_quick(&config, get, why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "PUNCH_AS has 64 characters, at most 63 are allowed");
	name[LIMIT_NAME - 1] = '\0';
	host[LIMIT_HOST - 1] = 'h';
	host[LIMIT_HOST] = '\0';
	ENVIRONMENT("PUNCH_SECRET", "word", "PUNCH_AS", name, "PUNCH_RENDEZVOUS", host);
	assert_int_equal(conf_env_quick(&config, get, why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "PUNCH_RENDEZVOUS has 256 characters, at most 255 are allowed");
	ENVIRONMENT("PUNCH_SECRET", host, "PUNCH_RENDEZVOUS", "rdv.test");
	assert_int_equal(conf_env_quick(&config, get, why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "PUNCH_SECRET has 256 characters, at most 255 are allowed");
}

static void a_timeout_is_seconds_up_to_a_minute(void **state)
{
	static const struct {
		const char *text;
		uint32_t ms;
		const char *said;
	} cases[] = {
		{ "", 15000, "" }, { "1", 1000, "" }, { "60", 60000, "" }, { "2.9", 2000, "" },
		{ "61", 60000, "PUNCH_TIMEOUT = \"61\": at most 60 seconds; using 60" },
		{ "0", 15000, "PUNCH_TIMEOUT = \"0\": should be seconds from 1 to 60; using 15" },
		{ "0.5", 15000, "PUNCH_TIMEOUT = \"0.5\": should be seconds from 1 to 60; using 15" },
		{ "soon", 15000, "PUNCH_TIMEOUT = \"soon\": should be seconds from 1 to 60; using 15" },
		{ "5s", 15000, "PUNCH_TIMEOUT = \"5s\": should be seconds from 1 to 60; using 15" },
		{ "-5", 15000, "PUNCH_TIMEOUT = \"-5\": should be seconds from 1 to 60; using 15" },
		{ "4294967297", 15000, "PUNCH_TIMEOUT = \"4294967297\": should be seconds from 1 to 60; using 15" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		ENVIRONMENT("PUNCH_TIMEOUT", cases[i].text);
		assert_int_equal(conf_env_timeout_ms(get, why, sizeof(why)), cases[i].ms);
		assert_string_equal(why, cases[i].said);
	}
	ENVIRONMENT("PUNCH_ROUTE", "relay");
	assert_int_equal(conf_env_timeout_ms(get, why, sizeof(why)), 15000);
}

static void a_route_is_one_of_three_words(void **state)
{
	(void)state;
	ENVIRONMENT("PUNCH_ROUTE", "relay");
	assert_int_equal(conf_env_route(get, why, sizeof(why)), CONF_ROUTE_RELAY);
	ENVIRONMENT("PUNCH_ROUTE", "direct");
	assert_int_equal(conf_env_route(get, why, sizeof(why)), CONF_ROUTE_DIRECT);
	ENVIRONMENT("PUNCH_ROUTE", "auto");
	assert_int_equal(conf_env_route(get, why, sizeof(why)), CONF_ROUTE_AUTO);
	assert_string_equal(why, "");
	ENVIRONMENT("PUNCH_ROUTE", "Relay");
	assert_int_equal(conf_env_route(get, why, sizeof(why)), CONF_ROUTE_AUTO);
	assert_string_equal(why, "PUNCH_ROUTE = \"Relay\": should be auto, direct or relay; using auto");
	ENVIRONMENT("PUNCH_ROUTE", "");
	assert_int_equal(conf_env_route(get, why, sizeof(why)), CONF_ROUTE_AUTO);
	assert_string_equal(why, "");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(quick_mode_is_three_variables),
		cmocka_unit_test(without_a_secret_there_is_no_quick_mode),
		cmocka_unit_test(what_is_too_long_is_named),
		cmocka_unit_test(a_timeout_is_seconds_up_to_a_minute),
		cmocka_unit_test(a_route_is_one_of_three_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
