/* SPDX-License-Identifier: MIT */
/*
 * test_conf.c - punch.conf: what is read, and what is said about mistakes
 */
#include <errno.h>
#include <sys/socket.h>

#include "conf/conf.h"
#include "tests/unit/scratch.h"

#define KEY_A	"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define KEY_B	"PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
#define WORD	"correct-horse-battery-staple-x7"
#define PHRASE	"correct horse battery staple"
#define PEM	"MC4CAQAwBQYDK2VwBCIEIBtVIXq1aSYbNTIXvfFSZ2N7Vr9bCXrbYFGfZR8nQmZP"
#define SEED	"G1UherVpJhs1Mhe98VJnY3tWv1sJettgUZ9lHydCZk8="
#define HEX	"1b55217ab569261b353217bdf15267637b56bf5b097adb60519f651f2742664f"
#define NODE	"[node]\nname = alice\nkey = alice.key\nrendezvous = rdv.example.org\n"
#define BOB	"[peer bob]\nkey = " KEY_B "\n"

static struct conf_error error;

/* Load a text as punch.conf; what an earlier one left is freed */
static struct conf_node *load_sized(const char *text, size_t size)
{
	static struct conf_node conf;

	conf_node_free(&conf);
	conf_node_load(&conf, scratch_write("punch.conf", text, size, 0600), &error);
	return &conf;
}

static struct conf_node *load(const char *text)
{
	return load_sized(text, strlen(text));
}

static struct conf_node *load_good(const char *text)
{
	struct conf_node *conf = load(text);

	if (error.code)
		fail_msg("%s", error.text);
	return conf;
}

static void the_sample_is_right(void **state)
{
	const struct conf_peer *bob;
	struct conf_node conf;
	struct endpoint ep;

	(void)state;
	if (conf_node_load(&conf, "conf/punch.conf", &error) < 0)
		fail_msg("%s (run from the project's folder)", error.text);
	assert_string_equal(conf.name, "alice");
	assert_string_equal(conf.rendezvous, "rdv.example.org");
	assert_string_equal(conf.rendezvous_key, KEY_A);
	assert_string_equal(conf.key + strlen(conf.key) - strlen("/conf/alice.key"), "/conf/alice.key");
	assert_int_equal(conf.key[0], '/');
	assert_int_equal(conf.peer_count, 2);
	bob = conf_peer_find(&conf, "bob");
	assert_non_null(bob);
	assert_string_equal(bob->key, KEY_B);
	assert_int_equal(endpoint_parse(&ep, "10.9.0.2", 99), 0);
	assert_ptr_equal(conf_peer_by_address(&conf, &ep), bob);
	assert_non_null(conf_service_find(&conf, 22));
	assert_string_equal(conf_service_find(&conf, 22)->allow, "bob carol");
	conf_node_free(&conf);
}

static void defaults_are_the_documented_ones(void **state)
{
	struct conf_node *conf = load_good(NODE BOB "[service web]\nport=8000\n");
	char host[256] = "";

	(void)state;
	assert_int_equal(conf->peers[0].route, CONF_ROUTE_AUTO);
	assert_int_equal(conf->peers[0].encrypt, CONF_ENCRYPT_AUTO);
	assert_string_equal(conf->peers[0].alias, "");
	assert_int_equal(conf->peers[0].line, 5);
	assert_string_equal(conf->services[0].allow, "*");
	assert_int_equal(conf->services[0].encrypt, CONF_ENCRYPT_AUTO);
	assert_string_equal(conf->rendezvous_key, "");

	conf = load_good("[node]\nkey=k\nrendezvous=r\n");
	assert_int_equal(gethostname(host, sizeof(host)), 0);
	host[strcspn(host, ".")] = '\0';
	host[LIMIT_NAME - 1] = '\0';
	assert_string_equal(conf->name, host);
}

static void values_are_taken_as_written(void **state)
{
	struct conf_node *conf;

	(void)state;
	conf = load_good("\xef\xbb\xbf; with a byte order mark, and Windows line ends\r\n"
			 "[ node ]  ; a comment\r\n  key\t=  /abs/alice key  ; another\r\n"
			 "rendezvous: [2001:db8::1]:4430 a.example:1 10.0.0.1\r\n\r\n"
			 "# one more\r\n[peer Bob]\r\nkey=" KEY_B "\r\nroute=relay\r\nencrypt=no\r\n"
			 "[service a.b-c_d]\r\nport=65535\r\nallow=BOB\r\nencrypt=yes");	/* no newline */
	assert_string_equal(conf->key, "/abs/alice key");
	assert_string_equal(conf->rendezvous, "[2001:db8::1]:4430 a.example:1 10.0.0.1");
	assert_int_equal(conf->peers[0].route, CONF_ROUTE_RELAY);
	assert_int_equal(conf->peers[0].encrypt, CONF_ENCRYPT_NO);
	assert_int_equal(conf->services[0].port, 65535);
	assert_int_equal(conf->services[0].encrypt, CONF_ENCRYPT_YES);
}

static const struct mistake {
	const char *text;
	int line;
	const char *said[3];	/* parts of the message */
} mistakes[] = {
	/* the form of the file */
	{ "key = a\n" NODE, 1, { "key: a setting before the first [section]" } },
	{ NODE "[nodes]\n", 5, { "[nodes]: unknown section", "did you mean \"node\"" } },
	{ NODE "[frobnicate]\n", 5, { "[frobnicate]: unknown section", "known here: node, peer, service" } },
	{ NODE "[node]\n", 5, { "[node]", "already in the file" } },
	{ "[node alice]\n", 1, { "[node alice]", "takes no name" } },
	{ NODE "[peer]\n", 5, { "[peer]", "a name is missing, as in [peer bob]" } },
	{ NODE "[peer bob\n", 5, { ":5: [peer bob: the closing \"]\" is missing" } },
	{ NODE "[peer bob] x\nkey=" KEY_B "\n", 5, { "[peer bob] x: unexpected text after \"]\"" } },
	{ NODE "[peer \x1b[2J]\nkey=" KEY_A "\n", 5, { "[peer ?[2J]: a peer's name" } },
	{ NODE "hello\n", 5, { "[node] hello", "neither a [section] nor" } },
	{ "[node]\nhello\nname=a\nkey=k\nrendezvous=r\n", 2, { "[node] hello", "neither a [section] nor" } },
	{ NODE BOB "alias = x\n  y z\n", 8, { "[peer bob] y...", "neither a [section] nor" } },	/* no continuation lines */
	{ NODE "hello", 5, { "[node] hello", "neither a [section] nor" } },
	{ NODE BOB "=x\n", 7, { "[peer bob]", "unknown setting" } },
	{ NODE BOB "alais = b\n", 7, { "[peer bob] alais", "unknown setting", "did you mean \"alias\"" } },
	{ NODE BOB "colour = b\n", 7, { "[peer bob] colour", "known here: key, address, alias, route, encrypt" } },
	{ NODE BOB "key = " KEY_A "\n", 7, { "key = 11qY...", "already in the section" } },
	{ "[node]\nname =\nkey=k\nrendezvous=r\n", 2, { "[node] name", "a value is missing" } },
	{ "[node]\nname = ; nothing\nkey=k\nrendezvous=r\n", 2, { "[node] name", "a value is missing" } },
	/* [node] */
	{ "", 0, { "[node]", "missing" } },
	{ BOB, 0, { "[node]", "missing" } },
	{ "[node]\nrendezvous=r\n", 0, { "[node] key", "punchctl keygen" } },
	{ "[node]\nkey=k\n", 0, { "[node] rendezvous", "HOST or HOST:PORT" } },
	{ "[node]\nname=a b\nkey=k\nrendezvous=r\n", 2, { "name = a b", "letters, digits" } },
	{ "[node]\nkey=k\nrendezvous=r:0\n", 3, { "rendezvous = r:0", "1 to 65535" } },
	{ "[node]\nkey=k\nrendezvous=a r:65536\n", 3, { "= r:65536:" } },
	{ "[node]\nkey=k\nrendezvous=http://r\n", 3, { "= http://r", "HOST" } },
	{ "[node]\nkey=k\nrendezvous=a,b\n", 3, { "= a,b" } },
	{ "[node]\nkey=k\nrendezvous=0.0.0.0\n", 3, { "= 0.0.0.0" } },
	{ "[node]\nkey=k\nrendezvous=a b c d e\n", 3, { "= e", "at most 4" } },
	{ "[node]\nkey=k\nrendezvous=r\nstun=a b c d e\n", 4, { "stun = e", "at most 4" } },
	{ "[node]\nkey=k\nrendezvous=r\nstun=a [2001:db8::1]:3478\n", 4, { "stun = [2001:db8::1]:3478", "IPv4" } },
	{ "[node]\nkey=k\nrendezvous=r\naggressive=maybe\n", 4, { "aggressive = maybe", "yes" } },
	{ "[node]\nkey=k\nrendezvous=none r\n", 3, { "rendezvous = none r", "none stands alone" } },
	{ "[node]\nkey=k\nrendezvous=none\n" BOB, 0, { "[node] rendezvous = none", "no [peer] has an address", "address = HOST" } },
	{ "[node]\nkey=k\nrendezvous=none\n" BOB "address=192.0.2.1:22\n", 6, { "address = 192.0.2.1:22", "without a port" } },
	{ "[node]\nkey=k\nrendezvous=none\n" BOB "address=127.0.0.1\n", 6, { "address = 127.0.0.1", "not this host's own" } },
	{ "[node]\nkey=k\nrendezvous=none\n" BOB "address=http://b\n", 6, { "address = http://b", "host name or a literal" } },
	{ "[node]\nkey=k\nrendezvous=none\n" BOB "address=192.0.2.1\nroute=relay\n", 4, { "[peer bob] route = relay", "no relay" } },
	{ NODE BOB "[service s]\nport=22\nallow=bob *\n", 9, { "[service s] allow = bob *", "* stands alone" } },
	{ NODE BOB "[service s]\nport=22\nallow=* bob\n", 9, { "[service s] allow = * bob", "* stands alone" } },
	{ "[node]\nkey=k\nrendezvous=none\nname=a\xc2\x9b" "2J\n", 4, { "name = a??2J" } },
	{ NODE BOB "address=192.0.2.1\n", 7, { "address = 192.0.2.1", "rendezvous = none" } },
	{ "[node]\nkey=k\nrendezvous=r\nkeepalive=yes\n", 4, { "keepalive = yes", "auto, no, or seconds from 1 to 32767" } },
	{ "[node]\nkey=k\nrendezvous=r\nkeepalive=0\n", 4, { "keepalive = 0", "auto, no, or seconds" } },
	{ "[node]\nkey=k\nrendezvous=r\nkeepalive=32768\n", 4, { "keepalive = 32768" } },
	{ "[node]\nkey=k\nrendezvous=r\nstun=a:0\n", 4, { "stun = a:0", "HOST:PORT" } },
	{ "[node]\nkey=k\nrendezvous=r\nport-mapping=igd\n", 4, { "port-mapping = igd", "nat-pmp" } },
	{ "[node]\nkey=k\nrendezvous=r\nrendezvous-key=abc\n", 4, { "rendezvous-key = abc", "43 characters" } },
	/* [peer] */
	{ NODE "[peer bob]\n", 5, { "[peer bob] key", "missing", "punchctl pubkey" } },
	{ NODE "[peer bob]\nroute=auto\n[peer carol]\nkey=" KEY_A "\n", 5, { "[peer bob] key", "missing" } },
	{ NODE "[peer bob smith]\nkey=" KEY_A "\n", 5, { "[peer bob smith]", "letters, digits" } },
	{ NODE "[peer -bob]\nkey=" KEY_A "\n", 5, { "[peer -bob]" } },
	{ NODE "[peer 10.0.0.1]\nkey=" KEY_A "\n", 5, { "[peer 10.0.0.1]", "alias = 10.0.0.1" } },
	{ NODE "[peer bob]\nkey=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHUR\n", 6, { "43 characters" } },
	{ NODE "[peer bob]\nkey=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURp=\n", 6, { "43 characters" } },
	{ NODE "[peer bob]\nkey=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHUR==\n", 6, { "43 characters" } },
	{ NODE "[peer bob]\nkey=11qYAYKxCrfVS-7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n", 6, { "43 characters" } },
	{ NODE BOB "[peer BOB]\nkey=" KEY_A "\n", 7, { "[peer BOB]", "already that of [peer bob] in line 5" } },
	{ NODE BOB "[peer carol]\nkey=" KEY_A "\nalias=x BOB\n", 9,
	  { "[peer carol] alias = BOB", "already that of [peer bob] in line 5" } },
	{ NODE BOB "alias=x\n[peer carol]\nkey=" KEY_A "\nalias=X.\n", 10,
	  { "[peer carol] alias = X", "already that of [peer bob] in line 7" } },
	{ NODE BOB "alias=10.0.0.1\n[peer carol]\nkey=" KEY_A "\nalias=::ffff:10.0.0.1\n", 10,
	  { "alias = 10.0.0.1", "[peer bob] in line 7" } },
	{ NODE BOB "alias=b@d\n", 7, { "alias = b@d", "host name or a literal address" } },
	{ NODE BOB "alias=10.0.0.1:22\n", 7, { "alias = 10.0.0.1:22", "without a port" } },
	{ NODE BOB "alias=127.0.0.1\n", 7, { "alias = 127.0.0.1", "unicast" } },
	{ NODE BOB "alias=239.192.0.1\n", 7, { "alias = 239.192.0.1", "unicast" } },
	{ NODE BOB "route=maybe\n", 7, { "route = maybe", "one of: auto, direct, relay" } },
	{ NODE BOB "encrypt=AUTO\n", 7, { "encrypt = AUTO", "one of: auto, yes, no" } },
	/* [service] */
	{ NODE "[service ssh]\n", 5, { "[service ssh] port", "missing" } },
	{ NODE "[service ssh]\nport=0\n", 6, { "port = 0", "1 to 65535" } },
	{ NODE "[service ssh]\nport=65536\n", 6, { "port = 65536", "1 to 65535" } },
	{ NODE "[service ssh]\nport=-1\n", 6, { "port = -1" } },
	{ NODE "[service ssh]\nport=22x\n", 6, { "port = 22x" } },
	{ NODE "[service ssh]\nport=99999999999999999999999\n", 6, { "1 to 65535" } },
	{ NODE "[service ssh]\nport=22 # ssh\n", 6, { "port = 22 # ssh", "comment begins with \";\"" } },
	{ NODE "[service a]\nport=22\n[service b]\nport=22\n", 8, { "port = 22", "[service a] in line 5" } },
	{ NODE "[service a]\nport=22\n[service A]\nport=23\n", 7, { "[service A]", "already in line 5" } },
	{ NODE BOB "[service a]\nport=22\nallow=bob dave\n", 9, { "[service a] allow = dave", "no [peer dave]" } },
	{ NODE BOB "alias=robert\n[service a]\nport=22\nallow=robert\n", 10, { "allow = robert", "no [peer robert]" } },
};

static void each_mistake_is_told_with_its_place(void **state)
{
	char place[SCRATCH_PATH + 32];
	size_t i, j;

	(void)state;
	for (i = 0; i < COUNT(mistakes); i++) {
		const struct mistake *m = &mistakes[i];

		load(m->text);
		if (!error.code)
			fail_msg("nothing is wrong with:\n%s", m->text);
		assert_int_equal(error.code, -EINVAL);
		if (m->line)
			snprintf(place, sizeof(place), "%s:%d: ", scratch_path("punch.conf"), m->line);
		else
			snprintf(place, sizeof(place), "%s: ", scratch_path("punch.conf"));
		if (error.line != m->line || strncmp(error.text, place, strlen(place)) != 0)
			fail_msg("line %d expected: %s", m->line, error.text);
		for (j = 0; j < COUNT(m->said) && m->said[j]; j++) {
			if (!strstr(error.text, m->said[j]))
				fail_msg("\"%s\" is not in: %s", m->said[j], error.text);
		}
	}
}

static void the_first_mistake_is_kept_and_all_names_are_known(void **state)
{
	struct conf_node *conf = load("[node]\nkye = x\n[peer bob]\nkey = broken\nalias = b1 b@2 10.1.1.1\n"
				      "[peer carol]\nroute = never\n[peer bob]\nalias = b3\nno setting\n[peer da/ve]\n"
				      "[peer erin ; unclosed\n[pear frank]\nalais = f1\n");
	struct endpoint ep;

	(void)state;
	assert_int_equal(error.line, 2);
	assert_non_null(strstr(error.text, "did you mean \"key\""));
	assert_int_equal(conf->peer_count, 6);
	assert_non_null(conf_peer_find(conf, "bob"));
	assert_non_null(conf_peer_find(conf, "b1"));
	assert_non_null(conf_peer_find(conf, "b3"));
	assert_non_null(conf_peer_find(conf, "carol"));
	assert_non_null(conf_peer_find(conf, "da/ve"));
	assert_non_null(conf_peer_find(conf, "erin"));
	assert_non_null(conf_peer_find(conf, "frank"));
	assert_non_null(conf_peer_find(conf, "f1"));
	assert_int_equal(endpoint_parse(&ep, "10.1.1.1", 0), 0);
	assert_non_null(conf_peer_by_address(conf, &ep));
}

static void a_wrong_allow_is_nobody(void **state)
{
	char text[2048];
	struct conf_node *conf;

	(void)state;
	snprintf(text, sizeof(text), NODE "[service a]\nport=22\nallow=%0600d\n", 0);
	conf = load(text);
	assert_int_equal(error.line, 7);
	assert_string_equal(conf->services[0].allow, "");
}

static void an_empty_allow_is_nobody(void **state)
{
	const struct conf_node *conf = load_good(NODE BOB "[service a]\nport=22\nallow=\n[service b]\nport=23\n");

	(void)state;
	assert_false(conf_service_allows(&conf->services[0], "bob"));
	assert_true(conf_service_allows(&conf->services[1], "bob"));
	conf = load_good(NODE BOB "[service a]\nport=22\nallow= ; nobody for now\n");
	assert_false(conf_service_allows(&conf->services[0], "bob"));
}

static void lines_that_are_too_long_are_told(void **state)
{
	static char text[16384];
	struct conf_node *conf;
	size_t size;

	(void)state;
	/* far beyond inih's own 200 bytes is fine */
	snprintf(text, sizeof(text), "[node]\nkey = /%03000d\nrendezvous = r\n", 7);
	conf = load_good(text);
	assert_int_equal(strlen(conf->key), 3001);
	assert_int_equal(conf->key[3000], '7');

	snprintf(text, sizeof(text), NODE "[peer bob]\nkey = " KEY_B "\nalias = b1 b2 %0*d\n[peer carol]\nkey = " KEY_A "\n",
		 5000, 0);
	conf = load(text);
	assert_int_equal(error.line, 7);
	assert_non_null(strstr(error.text, "the line has 5014 bytes; at most 4160"));
	assert_non_null(conf_peer_find(conf, "b2"));
	assert_non_null(conf_peer_find(conf, "carol"));

	/* the limit itself */
	for (size = 4160; size <= 4161; size++) {
		memcpy(text, NODE ";", sizeof(NODE));
		memset(text + sizeof(NODE), 'x', size - 1);
		strcpy(text + sizeof(NODE) + size - 1, "\n");
		load(text);
		assert_int_equal(error.code, size == 4160 ? 0 : -EINVAL);
	}
}

static void long_section_names_are_not_cut(void **state)
{
	char text[1024], name[LIMIT_NAME + 1];
	struct conf_node *conf;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[LIMIT_NAME - 1] = '\0';
	snprintf(text, sizeof(text), NODE "[peer %s]\nkey=" KEY_A "\n", name);
	conf = load_good(text);
	assert_non_null(conf_peer_find(conf, name));
	name[LIMIT_NAME - 1] = 'n';
	name[LIMIT_NAME] = '\0';
	snprintf(text, sizeof(text), NODE "[peer %s]\nkey=" KEY_A "\n", name);
	load(text);
	assert_int_equal(error.line, 5);
	assert_non_null(strstr(error.text, "1 to 63"));
}

static void nul_bytes_are_told(void **state)
{
	static const char text[] = NODE "[peer b\0ob]\nkey=" KEY_A "\n";

	(void)state;
	load_sized(text, sizeof(text) - 1);
	assert_int_equal(error.line, 5);
	assert_non_null(strstr(error.text, "NUL"));
}

static void what_is_no_file_is_refused_without_waiting(void **state)
{
	struct conf_node conf;

	(void)state;
	assert_int_equal(conf_node_load(&conf, scratch_path("nothing"), &error), -ENOENT);
	assert_non_null(strstr(error.text, "nothing: cannot read: No such file"));
	conf_node_free(&conf);
	assert_int_equal(conf_node_load(&conf, scratch, &error), -EISDIR);
	conf_node_free(&conf);
	assert_int_equal(mkfifo(scratch_path("fifo"), 0600), 0);
	assert_int_equal(conf_node_load(&conf, scratch_path("fifo"), &error), -EINVAL);
	assert_non_null(strstr(error.text, "not a regular file"));
	conf_node_free(&conf);
	assert_int_equal(conf_node_load(&conf, "", &error), -ENOENT);
	conf_node_free(&conf);
}

static void a_huge_file_is_told(void **state)
{
	size_t size = (1u << 20) + 1;
	char *text = malloc(size);
	struct conf_node *conf;

	(void)state;
	memset(text, '\n', size);
	memcpy(text, NODE BOB, strlen(NODE BOB));
	conf = load_sized(text, size);
	assert_int_equal(error.code, -E2BIG);
	assert_non_null(conf_peer_find(conf, "bob"));
	load_sized(text, size - 1);
	assert_int_equal(error.code, 0);
	free(text);
}

static void most_peers_and_services_fit_and_no_more(void **state)
{
	size_t room = 256 * 1024, used;
	char *text = malloc(room);
	struct conf_node *conf;
	unsigned int i;

	(void)state;
	used = (size_t)snprintf(text, room, NODE);
	for (i = 0; i <= CONF_PEERS; i++) {
		if (i == CONF_PEERS) {
			load_good(text);
			assert_int_equal(load_good(text)->peer_count, CONF_PEERS);
		}
		used += (size_t)snprintf(text + used, room - used, "[peer p%u]\nkey=" KEY_A "\nalias=a%u\n", i, i);
	}
	conf = load(text);
	assert_int_equal(error.line, 5 + 3 * CONF_PEERS);
	assert_non_null(strstr(error.text, "more than 1024 peers"));
	assert_int_equal(conf->peer_count, CONF_PEERS);
	assert_string_equal(conf_peer_find(conf, "a777")->name, "p777");

	used = (size_t)snprintf(text, room, NODE);
	for (i = 0; i <= CONF_SERVICES; i++)
		used += (size_t)snprintf(text + used, room - used, "[service s%u]\nport=%u\n", i, i + 1);
	conf = load(text);
	assert_int_equal(error.line, 5 + 2 * CONF_SERVICES);
	assert_int_equal(conf->service_count, CONF_SERVICES);
	free(text);
}

static void peers_are_found_by_every_name(void **state)
{
	struct conf_node *conf = load_good(NODE BOB "alias = bob.example.org. 10.9.0.2 2001:DB8:0::2 fe80::1%1\n"
					   "[peer carol]\nkey=" KEY_A "\n");
	static const char *const names[] = {
		"bob", "BOB", "bob.", "Bob.Example.Org", "bob.example.org.", "10.9.0.2", "2001:db8::2",
	};
	static const char *const addresses[] = { "10.9.0.2:22", "::ffff:10.9.0.2", "[2001:db8::2]:1", "fe80::1%1" };
	static const char *const strangers[] = { "", ".", "bo", "bobb", "bob..", "example.org", "bob.example", "dave" };
	struct endpoint ep;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(names); i++)
		assert_ptr_equal(conf_peer_find(conf, names[i]), &conf->peers[0]);
	for (i = 0; i < COUNT(strangers); i++)
		assert_null(conf_peer_find(conf, strangers[i]));
	for (i = 0; i < COUNT(addresses); i++) {
		assert_int_equal(endpoint_parse(&ep, addresses[i], 80), 0);
		assert_ptr_equal(conf_peer_by_address(conf, &ep), &conf->peers[0]);
	}
	assert_int_equal(endpoint_parse(&ep, "10.9.0.3", 80), 0);
	assert_null(conf_peer_by_address(conf, &ep));
	memset(&ep, 0, sizeof(ep));
	assert_null(conf_peer_by_address(conf, &ep));
	assert_null(conf_service_find(conf, 0));
}

/* "[peer bob.]" is bob: look-ups drop the root's dot, so with it kept no look-up would be ours */
static void a_name_is_kept_without_the_roots_dot(void **state)
{
	struct conf_node *conf = load_good(NODE "[peer bob.]\nkey=" KEY_B "\n");

	(void)state;
	assert_string_equal(conf->peers[0].name, "bob");
	assert_non_null(conf_peer_find(conf, "bob"));
	assert_non_null(conf_peer_find(conf, "bob."));
}

static void words_are_walked(void **state)
{
	const char *cursor = "  one\ttwo  three ";
	char word[4];

	(void)state;
	assert_true(conf_word_next(&cursor, word, sizeof(word)));
	assert_string_equal(word, "one");
	assert_true(conf_word_next(&cursor, word, sizeof(word)));
	assert_string_equal(word, "two");
	assert_true(conf_word_next(&cursor, word, sizeof(word)));
	assert_string_equal(word, "thr");	/* cut, and passed as a whole */
	assert_false(conf_word_next(&cursor, word, sizeof(word)));
	assert_false(conf_word_next(&cursor, word, sizeof(word)));

	assert_true(conf_word_in("bob carol", "CAROL"));
	assert_true(conf_word_in(" bob ", "bob"));
	assert_false(conf_word_in("bob carol", "caro"));
	assert_false(conf_word_in("bob carol", "carols"));
	assert_false(conf_word_in("bob carol", ""));
	assert_false(conf_word_in("", "bob"));
}

/* ------------------------------------------------------------ which file applies */

static const char *environment[4][2];

static char *test_getenv(const char *name)
{
	static char value[SCRATCH_PATH];
	size_t i;

	for (i = 0; i < COUNT(environment); i++) {
		if (environment[i][0] && strcmp(environment[i][0], name) == 0) {
			snprintf(value, sizeof(value), "%s", environment[i][1]);
			return value;
		}
	}
	return NULL;
}

static void set_environment(size_t i, const char *name, const char *value)
{
	environment[i][0] = name;
	environment[i][1] = value;
}

static void the_file_is_found_in_the_documented_order(void **state)
{
	char path[LIMIT_PATH], home[SCRATCH_PATH], xdg[SCRATCH_PATH], wanted[2 * SCRATCH_PATH], cwd[LIMIT_PATH];

	(void)state;
	snprintf(home, sizeof(home), "%s", scratch_path("home"));
	snprintf(xdg, sizeof(xdg), "%s", scratch_path("xdg"));
	mkdir(home, 0700);
	mkdir(scratch_path("home/.config"), 0700);
	mkdir(scratch_path("home/.config/punch"), 0700);
	mkdir(xdg, 0700);
	mkdir(scratch_path("xdg/punch"), 0700);
	memset(environment, 0, sizeof(environment));
	set_environment(0, "HOME", home);

	/* /etc/punch/punch.conf may exist where the test runs */
	if (conf_node_path(path, test_getenv) == 0)
		assert_string_equal(path, "/etc/punch/punch.conf");
	scratch_write("home/.config/punch/punch.conf", "", 0, 0600);
	assert_int_equal(conf_node_path(path, test_getenv), 0);
	snprintf(wanted, sizeof(wanted), "%s/.config/punch/punch.conf", home);
	assert_string_equal(path, wanted);

	/* XDG_CONFIG_HOME takes the place of ~/.config, and must be absolute */
	set_environment(1, "XDG_CONFIG_HOME", "relative");
	assert_int_equal(conf_node_path(path, test_getenv), 0);
	assert_string_equal(path, wanted);
	set_environment(1, "XDG_CONFIG_HOME", xdg);
	scratch_write("xdg/punch/punch.conf", "", 0, 0600);
	assert_int_equal(conf_node_path(path, test_getenv), 0);
	snprintf(wanted, sizeof(wanted), "%s/punch/punch.conf", xdg);
	assert_string_equal(path, wanted);

	/* PUNCH_CONF counts even when it does not exist */
	set_environment(2, "PUNCH_CONF", "/nonexistent/p.conf");
	assert_int_equal(conf_node_path(path, test_getenv), 0);
	assert_string_equal(path, "/nonexistent/p.conf");
	set_environment(2, "PUNCH_CONF", "./p.conf");
	assert_int_equal(conf_node_path(path, test_getenv), 0);
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_memory_equal(path, cwd, strlen(cwd));
	assert_string_equal(path + strlen(cwd), "/p.conf");
	set_environment(2, "PUNCH_CONF", "");
	assert_int_equal(conf_node_path(path, test_getenv), 0);
	assert_string_equal(path, wanted);
}

/* A secret that stands where it should not is not told to a log */
static void secrets_in_wrong_places_are_not_quoted(void **state)
{
	static const struct {
		const char *text;
		const char *secret, *hint;	/* the hint: may be quoted, of its beginning */
	} list[] = {
		{ NODE "[peer bob]\nkey = " PEM "\n", PEM, "key = MC4C...: expected a public key" },
		{ NODE "[peer bob]\nkey = " HEX "\n", HEX, "key = 1b55...: expected a public key" },
		{ NODE "rendezvous-key = " HEX "\n", HEX, "rendezvous-key = 1b55...: " },
		{ NODE BOB "[peer carol]\nkey = " KEY_A "\nkey = " SEED "\n", SEED, "key = G1Uh...: this setting is already" },
		{ "[node]\nname = alice\nrendezvous = r\nkey = " SEED "\n", SEED, "key = G1Uh...: expected the path of a file" },
		{ "[node]\nname = alice\nrendezvous = r\nkey = " PEM "\n", PEM, "key = MC4C...: expected the path of a file" },
		{ NODE "-----BEGIN PRIVATE KEY-----\n" PEM "\n", PEM, "neither" },
		{ NODE PEM "\n", PEM, "MC4CAQAwBQYD...: neither a [section]" },
		{ NODE PEM "=\n", PEM, "MC4C...: unknown setting" },
		{ NODE "[" PEM "]\n", PEM, "[MC4C...]: unknown section" },
		{ NODE "[" PEM "\n", PEM, "the closing" },
		{ PEM " = x\n" NODE, PEM, "MC4C...: a setting before" },
		{ NODE PHRASE "\n", "correct horse battery", "correct...: neither" },
		{ NODE WORD "\n", "-horse-battery", "correct-hors...: neither" },
		{ NODE "secret = " WORD "\n", WORD, "secret: unknown setting" },
		{ NODE "keep-alive = " PHRASE "\n", "correct horse", "keep-alive: unknown setting" },
		{ NODE "keepalive = " PHRASE "\n", "correct horse", "keepalive = correct...: expected" },
		{ NODE "name = " PHRASE "\n", "correct horse", "name = correct...: this setting" },
		{ "[node]\nkey = k\nrendezvous = r\nname = " PHRASE "\n", "correct horse", "name = correct...: a name has" },
	};
	char piece[13] = "";
	size_t i, at;

	(void)state;
	for (i = 0; i < sizeof(list) / sizeof(*list); i++) {
		load(list[i].text);
		assert_true(error.code);
		if (!strstr(error.text, list[i].hint))
			fail_msg("case %zu: %s", i, error.text);
		for (at = 4; at + 4 < strlen(list[i].secret); at++) {
			snprintf(piece, sizeof(piece), "%s", list[i].secret + at);
			if (strstr(error.text, piece))
				fail_msg("case %zu: %s", i, error.text);
		}
	}
	/* what is no secret is quoted as ever, and so are paths */
	load(NODE "[peer bob]\nkey = abc\n");
	assert_non_null(strstr(error.text, "key = abc: expected"));
	load_good("[node]\nname = a\nrendezvous = r\nkey = /a/path/that/is/as/long/as/a/key/of/forty/three\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sample_is_right),
		cmocka_unit_test(defaults_are_the_documented_ones),
		cmocka_unit_test(values_are_taken_as_written),
		cmocka_unit_test(each_mistake_is_told_with_its_place),
		cmocka_unit_test(the_first_mistake_is_kept_and_all_names_are_known),
		cmocka_unit_test(a_wrong_allow_is_nobody),
		cmocka_unit_test(an_empty_allow_is_nobody),
		cmocka_unit_test(lines_that_are_too_long_are_told),
		cmocka_unit_test(long_section_names_are_not_cut),
		cmocka_unit_test(nul_bytes_are_told),
		cmocka_unit_test(what_is_no_file_is_refused_without_waiting),
		cmocka_unit_test(a_huge_file_is_told),
		cmocka_unit_test(most_peers_and_services_fit_and_no_more),
		cmocka_unit_test(peers_are_found_by_every_name),
		cmocka_unit_test(a_name_is_kept_without_the_roots_dot),
		cmocka_unit_test(words_are_walked),
		cmocka_unit_test(the_file_is_found_in_the_documented_order),
		cmocka_unit_test(secrets_in_wrong_places_are_not_quoted),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
