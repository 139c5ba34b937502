/* SPDX-License-Identifier: MIT */
/*
 * test_conf_server.c - rendezvous.conf, relay.conf, and where servers keep their state
 */
#include <errno.h>

#include "conf/conf.h"
#include "tests/unit/scratch.h"

static struct conf_error error;
static struct conf_rendezvous rendezvous;
static struct conf_relay relay;

static int load_rendezvous(const char *text)
{
	return conf_rendezvous_load(&rendezvous, scratch_write("rendezvous.conf", text, strlen(text), 0600), &error);
}

static int load_relay(const char *text)
{
	return conf_relay_load(&relay, scratch_write("relay.conf", text, strlen(text), 0600), &error);
}

static void assert_endpoint(const struct endpoint *ep, const char *wanted)
{
	char text[ENDPOINT_TEXT_SIZE];

	assert_string_equal(endpoint_format(ep, text), wanted);
}

static void assert_ends_with(const char *text, const char *end)
{
	assert_true(strlen(text) > strlen(end));
	assert_string_equal(text + strlen(text) - strlen(end), end);
}

static void the_samples_are_right_and_hold_the_defaults(void **state)
{
	struct conf_rendezvous none;
	struct conf_relay no_relay;

	(void)state;
	if (conf_rendezvous_load(&rendezvous, "conf/rendezvous.conf", &error) < 0)
		fail_msg("%s (run from the project's folder)", error.text);
	assert_int_equal(rendezvous.listen_count, 2);
	assert_endpoint(&rendezvous.listen[0], "0.0.0.0:4430");
	assert_endpoint(&rendezvous.listen[1], "[::]:4430");
	assert_string_equal(rendezvous.store, "memory");
	assert_string_equal(rendezvous.relay, "embedded");
	assert_string_equal(rendezvous.allow, "any");
	assert_int_equal(rendezvous.metrics.family, 0);
	assert_int_equal(rendezvous.key[0], '/');
	assert_ends_with(rendezvous.key, "/conf/rendezvous.key");
	assert_ends_with(rendezvous.relay_secret, "/conf/relay.secret");

	assert_int_equal(conf_relay_load(&relay, "conf/relay.conf", &error), 0);
	assert_endpoint(&relay.listen[1], "[::]:4433");
	assert_ends_with(relay.secret, "/conf/relay.secret");
	assert_int_equal(relay.metrics.family, 0);
	assert_int_equal(relay.pairs, 0);
	assert_int_equal(relay.pairs_per_key, 1024);
	assert_int_equal(relay.mbit_per_key, 0);

	/* "everything here is the default but for the paths" */
	setenv("STATE_DIRECTORY", "/var/lib/punch:/var/lib/other", 1);
	assert_int_equal(conf_rendezvous_load(&none, NULL, &error), 0);
	assert_string_equal(none.key, "/var/lib/punch/rendezvous.key");
	assert_string_equal(none.relay_secret, "/var/lib/punch/relay.secret");
	memset(none.key, 0, sizeof(none.key));
	memset(none.relay_secret, 0, sizeof(none.relay_secret));
	memset(rendezvous.key, 0, sizeof(rendezvous.key));
	memset(rendezvous.relay_secret, 0, sizeof(rendezvous.relay_secret));
	assert_int_equal(none.probe_count, rendezvous.probe_count);
	assert_memory_equal(none.listen, rendezvous.listen, sizeof(none.listen));
	assert_memory_equal(none.store, rendezvous.store, sizeof(none.store));
	assert_memory_equal(none.relay, rendezvous.relay, sizeof(none.relay));
	assert_int_equal(conf_relay_load(&no_relay, NULL, &error), 0);
	assert_string_equal(no_relay.secret, "/var/lib/punch/relay.secret");
	assert_memory_equal(no_relay.listen, relay.listen, sizeof(relay.listen));
	assert_int_equal(no_relay.pairs_per_key, 1024);
	assert_int_equal(no_relay.mbit_per_key, 0);
	unsetenv("STATE_DIRECTORY");
}

static void default_probes_have_two_ports_of_each_family(void **state)
{
	static const char *const wanted[] = { "0.0.0.0:4431", "[::]:4431", "0.0.0.0:4432", "[::]:4432" };
	size_t i;

	(void)state;
	assert_int_equal(load_rendezvous("[rendezvous]\n"), 0);
	assert_int_equal(rendezvous.probe_count, COUNT(wanted));
	for (i = 0; i < COUNT(wanted); i++)
		assert_endpoint(&rendezvous.probe[i], wanted[i]);
}

static void values_are_taken_as_written(void **state)
{
	(void)state;
	assert_int_equal(load_rendezvous("[rendezvous]\nlisten = 127.0.0.1 [::1]:9\nprobe = 127.0.0.1:1 127.0.0.1:2\n"
					 "key = /k\nstore = redis://localhost:6379/0\n"
					 "relay = relay1.example.org:4433 [2001:db8::1]:443\nrelay-secret = s\n"
					 "metrics = 127.0.0.1:9430\nallow = keys.txt\n"), 0);
	assert_endpoint(&rendezvous.listen[0], "127.0.0.1:4430");
	assert_endpoint(&rendezvous.listen[1], "[::1]:9");
	assert_int_equal(rendezvous.probe_count, 2);
	assert_string_equal(rendezvous.key, "/k");
	assert_string_equal(rendezvous.store, "redis://localhost:6379/0");
	assert_string_equal(rendezvous.relay, "relay1.example.org:4433 [2001:db8::1]:443");
	assert_string_equal(rendezvous.relay_secret, scratch_path("s"));
	assert_endpoint(&rendezvous.metrics, "127.0.0.1:9430");
	assert_string_equal(rendezvous.allow, scratch_path("keys.txt"));
	assert_int_equal(load_rendezvous("[rendezvous]\nrelay = none\nstore = redis://10.0.0.1\n"), 0);
	assert_int_equal(load_rendezvous("[rendezvous]\nstore = redis://[::1]:1/15\n"), 0);

	assert_int_equal(load_relay("[relay]\nlisten = 127.0.0.1\nsecret = /s\nmetrics = [::1]:1\n"), 0);
	assert_int_equal(relay.listen_count, 1);
	assert_endpoint(&relay.listen[0], "127.0.0.1:4433");
	assert_string_equal(relay.secret, "/s");
	assert_endpoint(&relay.metrics, "[::1]:1");
	assert_int_equal(load_relay("[relay]\npairs = 7\npairs-per-key = 0\nmbit-per-key = 100\n"), 0);
	assert_int_equal(relay.pairs, 7);
	assert_int_equal(relay.pairs_per_key, 0);
	assert_int_equal(relay.mbit_per_key, 100);
	assert_int_equal(load_relay("[relay]\nmbit-per-key = -1\n"), -EINVAL);
	assert_non_null(strstr(error.text, "expected a number from 0 to 1000000"));
}

static const struct mistake {
	const char *text;
	int line;
	const char *said;
} rendezvous_mistakes[] = {
	{ "", 0, "the section [rendezvous] is missing" },
	{ "[relay]\n", 1, "[relay]: unknown section, known here: rendezvous" },
	{ "[rendezvous]\nlisten = example.org\n", 2, "listen = example.org: expected ADDRESS:PORT" },
	{ "[rendezvous]\nlisten = 0.0.0.0:99999\n", 2, "listen = 0.0.0.0:99999" },
	{ "[rendezvous]\nlisten = 1.1.1.1:1 1.1.1.1:1\n", 2, "1.1.1.1:1: this address is in the list twice" },
	{ "[rendezvous]\nprobe = 0.0.0.0:4431\n", 2, "at least two different ports" },
	{ "[rendezvous]\nprobe = 1.0.0.1:4431 1.0.0.2:4431\n", 2, "at least two different ports" },
	{ "[rendezvous]\nprobe = 0.0.0.0 0.0.0.0:1\n", 2, "probe = 0.0.0.0: expected ADDRESS:PORT" },
	{ "[rendezvous]\nstore = mysql://x\n", 2, "store = mysql://x: expected \"memory\" or redis://HOST:PORT/NUMBER" },
	{ "[rendezvous]\nstore = redis://\n", 2, "redis://HOST" },
	{ "[rendezvous]\nstore = redis://h:0/0\n", 2, "redis://HOST" },
	{ "[rendezvous]\nstore = redis://h:1/x\n", 2, "redis://HOST" },
	{ "[rendezvous]\nstore = redis://u:password@h:1/0\n", 2, "store = redis://...: expected" },
	{ "[rendezvous]\nrelay = example.org\n", 2, "relay = example.org: expected HOST:PORT" },
	{ "[rendezvous]\nrelay = 10.0.0.1\n", 2, "relay = 10.0.0.1: expected HOST:PORT" },
	{ "[rendezvous]\nrelay = none a:1\n", 2, "relay = none: expected HOST:PORT" },
	{ "[rendezvous]\nmetrics = 9430\n", 2, "metrics = 9430: expected ADDRESS:PORT" },
	{ "[rendezvous]\nmetrics = 127.0.0.1\n", 2, "metrics = 127.0.0.1: expected ADDRESS:PORT" },
	{ "[rendezvous]\nkeys = a\n", 2, "keys: unknown setting, did you mean \"key\"?" },
}, relay_mistakes[] = {
	{ "[rendezvous]\n", 1, "[rendezvous]: unknown section, known here: relay" },
	{ "[relay]\nlisten = 0.0.0.0:0\n", 2, "listen = 0.0.0.0:0" },
	{ "[relay]\nlisten = 1.1.1.1:1 1.1.1.1:2 1.1.1.1:3 1.1.1.1:4 1.1.1.1:5 1.1.1.1:6 1.1.1.1:7 1.1.1.1:8 "
	  "1.1.1.1:9 1.1.1.1:10 1.1.1.1:11 1.1.1.1:12 1.1.1.1:13 1.1.1.1:14 1.1.1.1:15 1.1.1.1:16 1.1.1.1:17\n", 2,
	  "listen = 1.1.1.1:17: at most 16" },
	{ "[relay]\nsecret =\n", 2, "[relay] secret" },
	{ "[relay]\nsecret = G1UherVpJhs1Mhe98VJnY3tWv1sJettgUZ9lHydCZk8=\n", 2, "secret = G1Uh...: expected the path of a file" },
};

static void check_mistake(const struct mistake *m, int rc)
{
	if (rc != -EINVAL)
		fail_msg("%d for:\n%s", rc, m->text);
	assert_int_equal(error.line, m->line);
	if (!strstr(error.text, m->said))
		fail_msg("\"%s\" is not in: %s", m->said, error.text);
}

static void each_mistake_is_told_with_its_place(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rendezvous_mistakes); i++)
		check_mistake(&rendezvous_mistakes[i], load_rendezvous(rendezvous_mistakes[i].text));
	for (i = 0; i < COUNT(relay_mistakes); i++)
		check_mistake(&relay_mistakes[i], load_relay(relay_mistakes[i].text));
	assert_int_equal(conf_relay_load(&relay, scratch_path("missing"), &error), -ENOENT);
}

static void a_wrong_allow_is_not_any(void **state)
{
	static char text[LIMIT_PATH + 64];

	(void)state;
	snprintf(text, sizeof(text), "[rendezvous]\nallow = %0*d\n", LIMIT_PATH - 20, 0);
	assert_int_equal(load_rendezvous(text), -EINVAL);
	assert_string_equal(rendezvous.allow, "");
}

static const char *home, *xdg_state, *state_directory;

static char *test_getenv(const char *name)
{
	static char value[SCRATCH_PATH];
	const char *found = strcmp(name, "HOME") == 0 ? home : strcmp(name, "XDG_STATE_HOME") == 0 ? xdg_state :
			    strcmp(name, "STATE_DIRECTORY") == 0 ? state_directory : NULL;

	if (!found)
		return NULL;
	snprintf(value, sizeof(value), "%s", found);
	return value;
}

static void state_is_kept_in_the_documented_folder(void **state)
{
	char path[LIMIT_PATH];
	static char long_name[LIMIT_PATH];

	(void)state;
	assert_int_equal(conf_state_path(path, "x", test_getenv), -ENOENT);
	home = "relative";
	assert_int_equal(conf_state_path(path, "x", test_getenv), -ENOENT);
	home = "/home/a";
	assert_int_equal(conf_state_path(path, "x", test_getenv), 0);
	assert_string_equal(path, "/home/a/.local/state/punch/x");
	xdg_state = "relative";
	assert_int_equal(conf_state_path(path, "x", test_getenv), 0);
	assert_string_equal(path, "/home/a/.local/state/punch/x");
	xdg_state = "/xdg";
	assert_int_equal(conf_state_path(path, "x", test_getenv), 0);
	assert_string_equal(path, "/xdg/punch/x");
	state_directory = "/var/lib/punch:/b";
	assert_int_equal(conf_state_path(path, "x", test_getenv), 0);
	assert_string_equal(path, "/var/lib/punch/x");
	memset(long_name, 'n', sizeof(long_name) - 1);
	assert_int_equal(conf_state_path(path, long_name, test_getenv), -ENAMETOOLONG);
}

static void no_home_is_a_clear_error(void **state)
{
	const char *saved = getenv("HOME");
	char copy[SCRATCH_PATH] = "", saved_xdg[SCRATCH_PATH] = "";

	(void)state;
	if (saved)
		snprintf(copy, sizeof(copy), "%s", saved);
	if (getenv("XDG_STATE_HOME"))
		snprintf(saved_xdg, sizeof(saved_xdg), "%s", getenv("XDG_STATE_HOME"));
	unsetenv("HOME");
	unsetenv("XDG_STATE_HOME");
	assert_int_equal(conf_rendezvous_load(&rendezvous, NULL, &error), -ENOENT);
	assert_non_null(strstr(error.text, "set HOME or STATE_DIRECTORY"));
	assert_int_equal(load_rendezvous("[rendezvous]\n"), 0);	/* a file has a folder of its own */
	if (saved)
		setenv("HOME", copy, 1);
	if (*saved_xdg)
		setenv("XDG_STATE_HOME", saved_xdg, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_samples_are_right_and_hold_the_defaults),
		cmocka_unit_test(default_probes_have_two_ports_of_each_family),
		cmocka_unit_test(values_are_taken_as_written),
		cmocka_unit_test(each_mistake_is_told_with_its_place),
		cmocka_unit_test(a_wrong_allow_is_not_any),
		cmocka_unit_test(state_is_kept_in_the_documented_folder),
		cmocka_unit_test(no_home_is_a_clear_error),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
