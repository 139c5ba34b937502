/* SPDX-License-Identifier: MIT */
/*
 * test_uplink.c - resolver/uplink*.c and netwatch.c against the real punch-rendezvous
 *
 * The other parts of the resolver are replaced by what writes down how it was called.
 */
#include <signal.h>
#include <sys/socket.h>

#include "tests/unit/scratch.h"
#include "common/clock.h"
#include "common/key.h"
#include "common/secret.h"
#include "resolver/serverless.h"
#include "resolver/dns.h"
#include "resolver/inlet.h"
#include "resolver/netwatch.h"
#include "resolver/ports.h"
#include "resolver/session.h"
#include "resolver/uplink.h"
#include "tests/unit/world.h"

#define SERVER	"127.0.0.1:4430"

static struct event_base *base;
static struct dns *dns;
static pid_t server;

/* One node with one uplink; @node is first, so that callbacks find the rest */
struct side {
	struct node node;
	bool receives;
	unsigned int told;		/* session_on_uplink() */
	unsigned int ports;		/* ports_on_uplink() */
	enum uplink_state wanted;
	unsigned int wanted_told;
	unsigned int kinds[16];		/* messages by kind */
	uint8_t session[SESSION_SIZE];	/* of the last message */
	uint8_t from[KEY_SIZE];		/* of the last Invited */
	size_t body;			/* bytes of the last payload */
	Punch__FailReason reason;	/* of the last Failed */
	unsigned int messages;
	unsigned int wanted_kind;
};

/* --- the other parts of the resolver */

bool node_receives(const struct node *node)
{
	return ((const struct side *)node)->receives;
}

void ports_on_uplink(struct ports *ports)
{
	((struct side *)ports)->ports++;
}

void inlets_restart(struct inlets *inlets)
{
	(void)inlets;
}

/* Nodes without a server have no uplink */
void serverless_on_network(struct serverless *serverless)
{
	assert_null(serverless);
}

void session_on_uplink(struct node *node, struct uplink *uplink)
{
	(void)uplink;
	((struct side *)node)->told++;
}

static void take(uint8_t *to, size_t size, const ProtobufCBinaryData *from)
{
	assert_int_equal(from->len, size);
	memcpy(to, from->data, size);
}

void session_on_message(struct node *node, struct uplink *uplink, const Punch__Message *message)
{
	struct side *side = (struct side *)node;

	assert_int_equal(uplink_state(uplink), UPLINK_READY);
	side->messages++;
	side->kinds[message->kind_case]++;
	switch (message->kind_case) {
	case PUNCH__MESSAGE__KIND_INVITED:
		take(side->session, SESSION_SIZE, &message->invited->session);
		take(side->from, KEY_SIZE, &message->invited->from);
		side->body = message->invited->payload->body.len;
		break;
	case PUNCH__MESSAGE__KIND_ANSWERED:
		side->body = message->answered->payload->body.len;
		break;
	case PUNCH__MESSAGE__KIND_FAILED:
		take(side->session, SESSION_SIZE, &message->failed->session);
		side->reason = message->failed->reason;
		break;
	default:
		break;
	}
}

/* --- sides */

static void side_init(struct side *side)
{
	memset(side, 0, sizeof(*side));
	side->node.base = base;
	side->node.dns = dns;
	side->node.ports = (struct ports *)side;
	strcpy(side->node.conf.path, "/etc/punch/punch.conf");
	assert_int_equal(key_generate(&side->node.key), 0);
}

static void side_connect(struct side *side, const char *to)
{
	side->node.uplinks[0] = uplink_new(&side->node, to);
	assert_non_null(side->node.uplinks[0]);
	side->node.uplink_count = 1;
}

static void side_free(struct side *side)
{
	unsigned int told = side->told;

	uplink_free(side->node.uplinks[0]);
	assert_int_equal(side->told, told);
	key_wipe(&side->node.key);
}

static bool in_state(void *arg)
{
	struct side *side = arg;

	return uplink_state(side->node.uplinks[0]) == side->wanted;
}

static void await(struct side *side, enum uplink_state state)
{
	side->wanted = state;
	if (!world_until(base, in_state, side))
		fail_msg("still %s: %s", uplink_state_name(uplink_state(side->node.uplinks[0])),
			 uplink_problem(side->node.uplinks[0]));
}

/* States that last less than a look of await() */
static void await_step(struct side *side, enum uplink_state state)
{
	while (uplink_state(side->node.uplinks[0]) < state)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(uplink_state(side->node.uplinks[0]), state);
}

/* Until @n tries have failed: after 6 of them the wait is 3.2 s or longer (backoff_us()) */
static void await_failures(struct side *side, unsigned int n)
{
	enum uplink_state before = UPLINK_IDLE, now;

	while (n) {
		event_base_loop(base, EVLOOP_ONCE);
		now = uplink_state(side->node.uplinks[0]);
		n -= now == UPLINK_IDLE && before != UPLINK_IDLE;
		before = now;
	}
}

static void assert_problem(const struct side *side, const char *text)
{
	const char *problem = uplink_problem(side->node.uplinks[0]);

	if (!strstr(problem, text))
		fail_msg("\"%s\" does not say \"%s\"", problem, text);
}

static bool has_problem(void *arg)
{
	return *uplink_problem(((struct side *)arg)->node.uplinks[0]) != '\0';
}

static bool got_kind(void *arg)
{
	struct side *side = arg;

	return side->kinds[side->wanted_kind] > 0;
}

static void await_kind(struct side *side, unsigned int kind)
{
	side->wanted_kind = kind;
	assert_true(world_until(base, got_kind, side));
}

/* --- the server */

static bool server_up(void *arg)
{
	(void)arg;
	return world_listens(4430) && world_listens(4431) && world_listens(4432);
}

static bool server_down(void *arg)
{
	(void)arg;
	return !world_listens(4430);
}

/* @key: name of its key file in the scratch folder; @allow: "any" or a path */
static void server_start(const char *key, const char *allow)
{
	char conf[2048];
	int size;

	size = snprintf(conf, sizeof(conf),
			"[rendezvous]\nlisten = 127.0.0.1:4430\nprobe = 127.0.0.1:4431 127.0.0.1:4432\n"
			"key = %s\nrelay = none\nallow = %s\n", key, allow);
	scratch_write("rendezvous.conf", conf, (size_t)size, 0600);
	server = world_start(scratch_path("server.log"), "punch-rendezvous", "-c", scratch_path("rendezvous.conf"), NULL);
	if (!world_until(NULL, server_up, NULL))
		fail_msg("punch-rendezvous does not listen, see %s", scratch_path("server.log"));
}

static void server_stop(void)
{
	if (server)
		world_stop(server);
	server = 0;
	assert_true(world_until(NULL, server_down, NULL));
}

/* Text of a server's public key */
static const char *key_of(const char *name)
{
	static char texts[2][KEY_TEXT_SIZE];
	static unsigned int turn;
	char why[512];
	struct key key;

	assert_int_equal(key_load(&key, scratch_path(name), why, sizeof(why)), 0);
	key_text(key.public, texts[++turn % 2]);
	key_wipe(&key);
	return texts[turn % 2];
}

/* A state folder of its own for each test: nothing is remembered yet */
static void fresh_state(void)
{
	static unsigned int n;
	char name[32];

	snprintf(name, sizeof(name), "state%u", ++n);
	setenv("XDG_STATE_HOME", scratch_path(name), 1);
}

static int begin(void **state)
{
	(void)state;
	fresh_state();
	server_start("a.key", "any");
	return 0;
}

static int end(void **state)
{
	(void)state;
	server_stop();
	return 0;
}

/* --- connecting */

static void ready_uplink_knows_where_it_is(void **state)
{
	struct endpoint probes[UPLINK_PROBES], ep;
	struct side a;

	(void)state;
	side_init(&a);
	side_connect(&a, SERVER);
	assert_int_equal(uplink_state(a.node.uplinks[0]), UPLINK_IDLE);	/* nothing from inside */
	assert_int_equal(uplink_local(a.node.uplinks[0], &ep), -ENOTCONN);
	await(&a, UPLINK_READY);
	assert_int_equal(a.told, 1);
	assert_int_equal(a.ports, 1);
	assert_string_equal(uplink_problem(a.node.uplinks[0]), "");
	assert_string_equal(uplink_name(a.node.uplinks[0]), SERVER);
	assert_int_equal(uplink_probes(a.node.uplinks[0], probes), 2);
	assert_int_equal(probes[0].port, 4431);
	assert_int_equal(probes[1].port, 4432);
	assert_true(endpoint_same_address(&probes[0], uplink_server(a.node.uplinks[0])));
	assert_int_equal(uplink_server(a.node.uplinks[0])->port, 4430);
	assert_int_equal(uplink_observed(a.node.uplinks[0], &ep), 0);
	assert_true(endpoint_is_loopback(&ep));
	assert_true(ep.port > 0);
	assert_int_equal(uplink_local(a.node.uplinks[0], &ep), 0);
	assert_true(endpoint_is_loopback(&ep));
	assert_int_equal(ep.port, 0);
	assert_true(uplink_rtt_us(a.node.uplinks[0]) > 0);
	side_free(&a);
}

static void name_without_port_reaches_the_default_one(void **state)
{
	struct side a;

	(void)state;
	side_init(&a);
	side_connect(&a, "localhost");	/* ::1 refuses, 127.0.0.1 answers */
	await(&a, UPLINK_READY);
	assert_int_equal(uplink_server(a.node.uplinks[0])->family, AF_INET);
	side_free(&a);
}

static void absent_server_is_a_problem_and_found_when_it_comes(void **state)
{
	struct side a;

	(void)state;
	server_stop();
	side_init(&a);
	side_connect(&a, SERVER);
	assert_true(world_until(base, has_problem, &a));
	assert_problem(&a, "127.0.0.1:4430: Connection refused");
	assert_int_equal(uplink_send(a.node.uplinks[0], NULL), -ENOTCONN);
	assert_int_equal(a.told, 0);
	server_start("a.key", "any");
	await(&a, UPLINK_READY);
	assert_string_equal(uplink_problem(a.node.uplinks[0]), "");
	side_free(&a);
}

static void killed_server_is_noticed_and_found_again(void **state)
{
	uint64_t begun;
	struct side a;

	(void)state;
	side_init(&a);
	side_connect(&a, SERVER);
	await(&a, UPLINK_READY);
	kill(server, SIGKILL);
	world_stop(server);
	begun = clock_now();
	await(&a, UPLINK_IDLE);
	assert_true(clock_now() - begun < 1 * SECOND);
	assert_int_equal(a.told, 2);
	assert_int_equal(a.ports, 2);
	server_start("a.key", "any");
	await(&a, UPLINK_READY);
	assert_int_equal(a.told, 3);
	side_free(&a);
}

static void silent_server_is_dead_after_two_quick_pings(void **state)
{
	uint64_t begun, took;
	struct side a;

	(void)state;
	side_init(&a);
	side_connect(&a, SERVER);
	await(&a, UPLINK_READY);
	uplink_check(a.node.uplinks[0]);		/* alive: nothing happens */
	world_turn(base, 2 * UPLINK_CHECK / MS + 300);
	assert_int_equal(a.told, 1);
	kill(server, SIGSTOP);
	begun = clock_now();
	uplink_check(a.node.uplinks[0]);
	await(&a, UPLINK_IDLE);
	took = clock_now() - begun;
	assert_true(took >= 2 * UPLINK_CHECK - 10 * MS && took < 3 * UPLINK_CHECK);
	kill(server, SIGCONT);
	await(&a, UPLINK_READY);
	side_free(&a);
}

static void wake_ends_the_wait_between_tries(void **state)
{
	uint64_t begun;
	struct side a;

	(void)state;
	server_stop();
	side_init(&a);
	side_connect(&a, SERVER);
	await_failures(&a, 6);
	server_start("a.key", "any");
	begun = clock_now();
	uplink_wake(a.node.uplinks[0]);
	assert_int_equal(uplink_state(a.node.uplinks[0]), UPLINK_IDLE);	/* never from inside */
	await(&a, UPLINK_READY);
	assert_true(clock_now() - begun < 700 * MS);
	side_free(&a);
}

static void uplink_may_be_freed_in_every_state(void **state)
{
	enum uplink_state at[] = { UPLINK_IDLE, UPLINK_RESOLVING, UPLINK_CONNECTING, UPLINK_GREETING, UPLINK_READY };
	struct side a;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(at); i++) {
		side_init(&a);
		side_connect(&a, SERVER);
		await_step(&a, at[i]);
		side_free(&a);
		world_turn(base, 20);
	}
}

/* --- whose key */

static void first_key_is_remembered_another_one_refused(void **state)
{
	struct side a, b;
	char old[KEY_TEXT_SIZE];

	(void)state;
	side_init(&a);
	side_connect(&a, SERVER);
	await(&a, UPLINK_READY);
	strcpy(old, key_of("a.key"));
	server_stop();
	server_start("b.key", "any");
	side_init(&b);		/* another process of the same user */
	side_connect(&b, SERVER);
	await(&b, UPLINK_REFUSED);
	await(&a, UPLINK_REFUSED);
	assert_true(uplink_wrong_key(a.node.uplinks[0]));
	assert_true(uplink_wrong_key(b.node.uplinks[0]));
	assert_int_equal(b.told, 1);
	assert_problem(&b, "known_servers line 1");
	assert_problem(&b, old);
	assert_problem(&b, key_of("b.key"));
	assert_problem(&b, "remove that memory");
	server_stop();
	server_start("a.key", "any");
	uplink_wake(b.node.uplinks[0]);
	await(&b, UPLINK_READY);
	assert_false(uplink_wrong_key(b.node.uplinks[0]));
	assert_int_equal(b.told, 3);	/* refused, not any more, ready */
	side_free(&a);
	side_free(&b);
}

static void configured_key_is_demanded(void **state)
{
	struct side good, bad;
	char other[KEY_TEXT_SIZE];

	(void)state;
	side_init(&good);
	side_init(&bad);
	strcpy(good.node.conf.rendezvous_key, key_of("a.key"));
	strcpy(bad.node.conf.rendezvous_key, key_text(bad.node.key.public, other));
	side_connect(&good, SERVER);
	side_connect(&bad, SERVER);
	await(&good, UPLINK_READY);
	await(&bad, UPLINK_REFUSED);
	assert_true(uplink_wrong_key(bad.node.uplinks[0]));
	assert_problem(&bad, "/etc/punch/punch.conf");
	assert_problem(&bad, other);
	assert_problem(&bad, key_of("a.key"));
	side_free(&good);
	side_free(&bad);
}

static void node_that_is_not_allowed_is_told_its_key(void **state)
{
	char list[128], text[KEY_TEXT_SIZE];
	struct side in, out;
	int size;

	(void)state;
	side_init(&in);
	side_init(&out);
	size = snprintf(list, sizeof(list), "%s\n", key_text(in.node.key.public, text));
	scratch_write("allowed", list, (size_t)size, 0600);
	server_stop();
	server_start("a.key", "allowed");
	side_connect(&in, SERVER);
	side_connect(&out, SERVER);
	await(&in, UPLINK_READY);
	await(&out, UPLINK_REFUSED);
	assert_false(uplink_wrong_key(out.node.uplinks[0]));
	assert_problem(&out, key_text(out.node.key.public, text));
	assert_problem(&out, "allow");
	side_free(&in);
	side_free(&out);
}

static void second_receiver_of_a_key_takes_the_place_of_the_first(void **state)
{
	static const uint8_t seed[KEY_SIZE] = { 7 };
	struct side a, b;

	(void)state;
	side_init(&a);
	side_init(&b);
	key_wipe(&a.node.key);
	key_wipe(&b.node.key);
	assert_int_equal(key_from_seed(&a.node.key, seed), 0);
	assert_int_equal(key_from_seed(&b.node.key, seed), 0);
	a.receives = b.receives = true;
	side_connect(&a, SERVER);
	await(&a, UPLINK_READY);
	side_connect(&b, SERVER);
	await(&b, UPLINK_READY);
	await(&a, UPLINK_REFUSED);
	assert_problem(&a, "each node (each user of a host) needs a key of its own");
	assert_int_equal(uplink_state(b.node.uplinks[0]), UPLINK_READY);
	side_free(&a);
	side_free(&b);
}

/* --- messages */

static void invite(struct side *from, const struct side *to, uint8_t n)
{
	uint8_t session[SESSION_SIZE] = { n }, body[3] = { 1, 2, 3 }, signature[SIGNATURE_SIZE] = { 0 }, key[KEY_SIZE];
	Punch__Message message;
	Punch__Invite invitation;
	Punch__Signed payload;

	memcpy(key, to->node.key.public, KEY_SIZE);
	punch__message__init(&message);
	punch__invite__init(&invitation);
	punch__signed__init(&payload);
	payload.body = (ProtobufCBinaryData){ sizeof(body), body };
	payload.signature = (ProtobufCBinaryData){ sizeof(signature), signature };
	invitation.session = (ProtobufCBinaryData){ sizeof(session), session };
	invitation.to = (ProtobufCBinaryData){ KEY_SIZE, key };
	invitation.payload = &payload;
	message.kind_case = PUNCH__MESSAGE__KIND_INVITE;
	message.invite = &invitation;
	assert_int_equal(uplink_send(from->node.uplinks[0], &message), 0);
}

static void reply(struct side *from)
{
	uint8_t body[5] = { 5 }, signature[SIGNATURE_SIZE] = { 0 };
	Punch__Message message;
	Punch__Reply answer;
	Punch__Signed payload;

	punch__message__init(&message);
	punch__reply__init(&answer);
	punch__signed__init(&payload);
	payload.body = (ProtobufCBinaryData){ sizeof(body), body };
	payload.signature = (ProtobufCBinaryData){ sizeof(signature), signature };
	answer.session = (ProtobufCBinaryData){ SESSION_SIZE, from->session };
	answer.payload = &payload;
	message.kind_case = PUNCH__MESSAGE__KIND_REPLY;
	message.reply = &answer;
	assert_int_equal(uplink_send(from->node.uplinks[0], &message), 0);
}

static void introduction_passes_through_both_uplinks(void **state)
{
	struct side a, b;

	(void)state;
	side_init(&a);
	side_init(&b);
	b.receives = true;
	side_connect(&a, SERVER);
	side_connect(&b, SERVER);
	await(&a, UPLINK_READY);
	await(&b, UPLINK_READY);
	invite(&a, &b, 1);
	await_kind(&b, PUNCH__MESSAGE__KIND_INVITED);
	assert_memory_equal(b.from, a.node.key.public, KEY_SIZE);
	assert_int_equal(b.body, 3);
	reply(&b);
	await_kind(&a, PUNCH__MESSAGE__KIND_GO);
	await_kind(&b, PUNCH__MESSAGE__KIND_GO);
	assert_int_equal(a.kinds[PUNCH__MESSAGE__KIND_ANSWERED], 1);
	assert_int_equal(a.body, 5);
	side_free(&a);
	side_free(&b);
}

static void failure_of_a_session_goes_to_the_session(void **state)
{
	struct side a, b;

	(void)state;
	side_init(&a);
	side_init(&b);
	side_connect(&a, SERVER);
	await(&a, UPLINK_READY);
	invite(&a, &b, 2);
	await_kind(&a, PUNCH__MESSAGE__KIND_FAILED);
	assert_int_equal(a.reason, PUNCH__FAIL_REASON__FAIL_OFFLINE);
	assert_int_equal(a.session[0], 2);
	assert_int_equal(uplink_state(a.node.uplinks[0]), UPLINK_READY);
	side_free(&a);
	side_free(&b);
}

static void node_that_begins_to_serve_says_hello_again(void **state)
{
	struct side a, b;

	(void)state;
	side_init(&a);
	side_init(&b);
	side_connect(&a, SERVER);
	side_connect(&b, SERVER);
	await(&a, UPLINK_READY);
	await(&b, UPLINK_READY);
	invite(&a, &b, 3);
	await_kind(&a, PUNCH__MESSAGE__KIND_FAILED);
	b.receives = true;
	uplink_hello_changed(b.node.uplinks[0]);
	world_turn(base, 200);
	invite(&a, &b, 4);
	await_kind(&b, PUNCH__MESSAGE__KIND_INVITED);
	assert_int_equal(uplink_state(b.node.uplinks[0]), UPLINK_READY);
	assert_int_equal(b.told, 1);	/* one and the same connection all the time */
	side_free(&a);
	side_free(&b);
}

/* Service published while Hello is on its way */
static void change_during_the_greeting_is_not_lost(void **state)
{
	struct side a, b;

	(void)state;
	side_init(&a);
	side_init(&b);
	side_connect(&a, SERVER);
	await(&a, UPLINK_READY);
	side_connect(&b, SERVER);
	await_step(&b, UPLINK_GREETING);
	b.receives = true;
	uplink_hello_changed(b.node.uplinks[0]);
	await(&b, UPLINK_READY);
	world_turn(base, 200);
	invite(&a, &b, 5);
	await_kind(&b, PUNCH__MESSAGE__KIND_INVITED);
	side_free(&a);
	side_free(&b);
}

/* --- the network changes */

static void ip(const char *a, const char *b, const char *c, const char *d, const char *e, const char *f,
	       const char *g, const char *h)
{
	assert_int_equal(world_wait(world_start(scratch_path("ip.log"), "/sbin/ip", a, b, c, d, e, f, g, h, NULL)), 0);
}

static bool probed_again(void *arg)
{
	return ((struct side *)arg)->ports > 1;
}

static void new_address_has_ports_probed_and_servers_asked(void **state)
{
	uint64_t begun;
	struct side a, b;

	(void)state;
	side_init(&a);
	side_connect(&a, SERVER);
	await(&a, UPLINK_READY);
	a.node.netwatch = netwatch_new(&a.node);
	assert_non_null(a.node.netwatch);
	ip("link", "add", "v0", "type", "veth", "peer", "name", "v1");
	ip("addr", "add", "10.9.9.9/24", "dev", "v0", NULL, NULL, NULL);
	world_turn(base, 500);
	assert_int_equal(a.ports, 1);		/* it is down: nothing can be sent from there */
	ip("link", "set", "v0", "up", NULL, NULL, NULL, NULL);
	ip("link", "set", "v1", "up", NULL, NULL, NULL, NULL);
	assert_true(world_until(base, probed_again, &a));
	world_turn(base, 500);
	assert_int_equal(a.told, 1);		/* the Ping was answered */

	/* one that waits for its next try does not wait any longer */
	netwatch_free(a.node.netwatch);
	server_stop();
	await(&a, UPLINK_IDLE);
	side_init(&b);
	side_connect(&b, SERVER);
	b.node.netwatch = netwatch_new(&b.node);
	await_failures(&b, 6);
	server_start("a.key", "any");
	begun = clock_now();
	ip("addr", "add", "10.9.9.10/24", "dev", "v0", NULL, NULL, NULL);
	await(&b, UPLINK_READY);
	assert_true(clock_now() - begun < 1200 * MS);
	netwatch_free(b.node.netwatch);
	ip("link", "del", "v0", NULL, NULL, NULL, NULL, NULL);
	side_free(&a);
	side_free(&b);
}

static void lost_address_is_noticed_without_a_ping(void **state)
{
	struct endpoint local, wanted;
	struct side a;

	(void)state;
	ip("addr", "add", "10.9.9.9/32", "dev", "lo", NULL, NULL, NULL);
	ip("route", "replace", "local", "127.0.0.1", "dev", "lo", "src", "10.9.9.9");
	side_init(&a);
	side_connect(&a, SERVER);
	await(&a, UPLINK_READY);
	endpoint_parse(&wanted, "10.9.9.9", 0);
	assert_int_equal(uplink_local(a.node.uplinks[0], &local), 0);
	assert_true(endpoint_equal(&local, &wanted));
	ip("addr", "del", "10.9.9.9/32", "dev", "lo", NULL, NULL, NULL);
	ip("route", "replace", "local", "127.0.0.1", "dev", "lo", "src", "127.0.0.1");
	uplink_check(a.node.uplinks[0]);
	await(&a, UPLINK_IDLE);
	assert_non_null(strstr(uplink_problem(a.node.uplinks[0]), "lost the address"));
	await(&a, UPLINK_READY);
	side_free(&a);
}

/* --- */

static int setup(void **state)
{
	if (scratch_setup(state) || world_isolate()) {
		perror("a network of our own");
		return -1;
	}
	unsetenv("STATE_DIRECTORY");
	base = event_base_new();
	dns = dns_new(base);
	return base && dns ? 0 : -1;
}

static int teardown(void **state)
{
	dns_free(dns);
	event_base_free(base);
	return scratch_teardown(state);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_SERVER(ready_uplink_knows_where_it_is),
		WITH_SERVER(name_without_port_reaches_the_default_one),
		WITH_SERVER(absent_server_is_a_problem_and_found_when_it_comes),
		WITH_SERVER(killed_server_is_noticed_and_found_again),
		WITH_SERVER(silent_server_is_dead_after_two_quick_pings),
		WITH_SERVER(wake_ends_the_wait_between_tries),
		WITH_SERVER(uplink_may_be_freed_in_every_state),
		WITH_SERVER(first_key_is_remembered_another_one_refused),
		WITH_SERVER(configured_key_is_demanded),
		WITH_SERVER(node_that_is_not_allowed_is_told_its_key),
		WITH_SERVER(second_receiver_of_a_key_takes_the_place_of_the_first),
		WITH_SERVER(introduction_passes_through_both_uplinks),
		WITH_SERVER(failure_of_a_session_goes_to_the_session),
		WITH_SERVER(node_that_begins_to_serve_says_hello_again),
		WITH_SERVER(change_during_the_greeting_is_not_lost),
		WITH_SERVER(lost_address_is_noticed_without_a_ping),
		WITH_SERVER(new_address_has_ports_probed_and_servers_asked),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
