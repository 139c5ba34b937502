/* SPDX-License-Identifier: MIT */
/*
 * test_serverless.c - where a peer is that is met without a server: how often its name is asked for, and whether it
 * is awaited
 *
 * The answers come from the test, and time is what the peer's entry remembers.  There is no network but the loopback.
 */
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "resolver/dns.h"
#include "resolver/session_internal.h"

static struct dns_query *test_lookup(struct dns *dns, const char *text, uint16_t port, dns_done *done, void *arg);
static void test_cancel(struct dns_query *query);

#define dns_lookup test_lookup
#define dns_cancel test_cancel
#include "resolver/serverless.c"
#undef dns_lookup
#undef dns_cancel

#include "tests/unit/scratch.h"
#include "tests/unit/world.h"

static struct node node;
static struct serverless *serverless;
static struct pal pal;
static unsigned int lookups, cancelled;

static struct dns_query *test_lookup(struct dns *dns, const char *text, uint16_t port, dns_done *done, void *arg)
{
	(void)dns;
	assert_string_equal(text, "peer.example");
	assert_int_equal(port, 0);	/* with another one SRV records would be asked for: dns.c */
	assert_true(done == on_addresses);
	assert_ptr_equal(arg, &pal);
	lookups++;
	return (struct dns_query *)&lookups;
}

static void test_cancel(struct dns_query *query)
{
	cancelled += query != NULL;
}

static int isolate(void **state)
{
	(void)state;
	return world_isolate();
}

static int setup(void **state)
{
	(void)state;
	memset(&node, 0, sizeof(node));
	pal = (struct pal){ .host = "peer.example" };
	lookups = cancelled = 0;
	node.base = event_base_new();
	node.sessions = sessions_new(&node);
	node.services = services_new(&node);
	serverless = node.serverless = serverless_new(&node);
	if (!node.base || !node.sessions || !node.services || !serverless)
		return -1;
	event_del(serverless->tick);	/* the tests say which bucket it is */
	free(serverless->pals);
	serverless->pals = &pal;
	serverless->pal_count = 1;
	pal.serverless = serverless;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	serverless->pals = NULL;
	serverless->pal_count = 0;
	sessions_free(node.sessions);
	serverless_free(serverless);
	services_free(node.services);
	event_base_free(node.base);
	return 0;
}

static void not_found(void)
{
	on_addresses(&pal, -ENOENT, "no such name", NULL, 0);
}

static void is_found(void)
{
	struct endpoint found;

	assert_int_equal(endpoint_parse(&found, "192.0.2.1", 1), 0);
	on_addresses(&pal, 0, "", &found, 1);
}

/* Of @first and @second, which the name has */
static void assert_chosen(const char *first, const char *second, const char *chosen)
{
	struct endpoint found[2];
	char text[ENDPOINT_TEXT_SIZE];

	assert_int_equal(endpoint_parse(&found[0], first, 1) | endpoint_parse(&found[1], second, 1), 0);
	on_addresses(&pal, 0, "", found, 2);
	assert_string_equal(endpoint_format_address(&pal.address, text), chosen);
}

static bool has_looked_twice(void *arg)
{
	(void)arg;
	return lookups == 2;
}

/* Its name server was not to be reached just then */
static void a_caller_asks_again_soon_after_a_failure(void **state)
{
	struct session *s = session_new(&node, true);

	(void)state;
	s->deadline = clock_now() + 60 * SECOND;
	approach_start(s);
	assert_int_equal(lookups, 1);
	not_found();
	world_turn(node.base, 100);
	assert_int_equal(lookups, 1);
	pal.asked -= SERVERLESS_AGAIN;
	assert_true(world_until(node.base, has_looked_twice, NULL));
	assert_int_equal(s->state, SESSION_MEETING);
	session_cancel(s);
}

/* Also of one whose old address is known: it may be elsewhere by now */
static void another_caller_asks_again_soon_too(void **state)
{
	(void)state;
	serverless_pal(serverless, pal.peer.key);
	is_found();
	pal.asked -= SERVERLESS_LOOKUP;
	serverless_pal(serverless, pal.peer.key);
	not_found();
	assert_int_equal(lookups, 2);
	serverless_pal(serverless, pal.peer.key);
	assert_int_equal(lookups, 2);
	pal.asked -= SERVERLESS_AGAIN;
	serverless_pal(serverless, pal.peer.key);
	assert_int_equal(lookups, 3);
}

static void what_was_found_is_not_asked_for_soon(void **state)
{
	(void)state;
	serverless_pal(serverless, pal.peer.key);
	is_found();
	pal.asked -= SERVERLESS_LOOKUP / 2;
	serverless_pal(serverless, pal.peer.key);
	assert_int_equal(lookups, 1);
	assert_int_equal(pal.address.family, AF_INET);
}

/* Nor does it go away before it is asked for again: whoever serves holds places there all the time */
static void who_was_found_is_awaited(void **state)
{
	(void)state;
	pals_need(serverless, 1, 1);
	assert_int_equal(serverless->awaited_count, 0);
	is_found();
	pals_need(serverless, 1, 1);
	assert_int_equal(serverless->awaited_count, 1);
	assert_int_equal(lookups, 1);
}

static void of_both_families_the_one_with_a_route_is_taken(void **state)
{
	(void)state;
	assert_chosen("::1", "192.0.2.1", "::1");
	assert_chosen("2001:db8::1", "127.0.0.2", "127.0.0.2");
	assert_chosen("192.0.2.1", "127.0.0.2", "127.0.0.2");
	/* IPv4 where both will do, or neither */
	assert_chosen("::1", "127.0.0.2", "127.0.0.2");
	assert_chosen("2001:db8::1", "192.0.2.1", "192.0.2.1");
}

/* No descriptor is left from here on. Return: what it was */
static struct rlimit no_descriptors(void)
{
	struct rlimit was, none;
	int next = dup(STDIN_FILENO);

	assert_true(next >= 0);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){ .rlim_cur = (rlim_t)next, .rlim_max = was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	return was;
}

/* In the same bucket, not in the next one only */
static void a_place_that_could_not_be_held_is_tried_again(void **state)
{
	struct rlimit was;

	(void)state;
	pals_need(serverless, 1, 1);
	is_found();
	was = no_descriptors();
	pals_need(serverless, 1, 1);
	pals_need(serverless, 1, 1);
	assert_int_equal(serverless->awaited_count, 1);
	assert_int_equal(serverless->hold_count, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	pals_need(serverless, 1, 1);
	assert_int_equal(serverless->hold_count, 1);
	pals_need(serverless, 1, 1);
	assert_int_equal(serverless->hold_count, 1);
}

static bool has_comer(void *arg)
{
	(void)arg;
	return serverless->comer_count == 1;
}

/* Its SYN has been answered by the kernel; it waits to be heard */
static void who_could_not_be_let_in_is_later(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct rlimit was;

	(void)state;
	assert_true(fd >= 0);
	pals_need(serverless, 1, 1);
	is_found();
	pals_need(serverless, 1, 1);
	assert_int_equal(serverless->hold_count, 1);
	to.sin_port = htons(TAILQ_FIRST(&TAILQ_FIRST(&serverless->awaited)->holds)->where.callee_port);
	was = no_descriptors();
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	world_turn(node.base, 50);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(serverless->comer_count, 0);
	pals_need(serverless, 1, 1);
	assert_true(world_until(node.base, has_comer, NULL));
	close(fd);
}

/* The name of a peer that nobody calls may be wrong for ever: less and less often */
static void who_only_waits_for_it_spares_the_name_server(void **state)
{
	uint64_t wait;

	(void)state;
	pals_need(serverless, 1, 1);
	not_found();
	for (wait = SERVERLESS_AGAIN; wait < SERVERLESS_LOOKUP; wait *= 2) {
		unsigned int before = lookups;

		pal.asked -= wait / 2;
		pals_need(serverless, 1, 1);
		assert_int_equal(lookups, before);
		pal.asked -= wait / 2;
		pals_need(serverless, 1, 1);
		assert_int_equal(lookups, before + 1);
		not_found();
	}
	pal.asked -= SERVERLESS_LOOKUP;
	lookups = 0;
	pals_need(serverless, 1, 1);
	assert_int_equal(lookups, 1);
}

static void on_another_network_it_is_asked_anew(void **state)
{
	(void)state;
	serverless_pal(serverless, pal.peer.key);
	not_found();
	serverless_on_network(serverless);
	serverless_pal(serverless, pal.peer.key);
	assert_int_equal(lookups, 2);
	serverless_on_network(serverless);	/* what was asked on the old one is not waited for */
	assert_int_equal(cancelled, 1);
	serverless_pal(serverless, pal.peer.key);
	assert_int_equal(lookups, 3);
}

/* --- places in step: the test is the callee, at the places that it opens */

static uint16_t port_of(unsigned int place)
{
	struct meeting_when when = { .bucket = serverless_bucket(NULL), .port = 80, .place = place };
	struct meeting_place where;

	memcpy(when.caller, node.key.public, KEY_SIZE);
	assert_int_equal(meeting_place(&pal.meeting, &when, &where), 0);
	return where.callee_port;
}

static int callee_at(unsigned int place)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port_of(place)) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	return listener;
}

static struct session *call(void)
{
	struct endpoint found;
	struct session *s = session_new(&node, true);

	serverless_pal(serverless, pal.peer.key);
	assert_int_equal(endpoint_parse(&found, "127.0.0.1", 1), 0);
	on_addresses(&pal, 0, "", &found, 1);
	s->port = 80;
	s->family = AF_INET;
	s->deadline = clock_now() + 60 * SECOND;
	approach_start(s);
	return s;
}

static bool is_invited(void *arg)
{
	return ((struct session *)arg)->state == SESSION_INVITED;
}

static bool goes_to_second_place(void *arg)
{
	struct meeting_view view;

	(void)arg;
	return sessions_meeting(node.sessions, 0, &view) && view.remote.port == port_of(1);
}

/* The whole of such a test is in one bucket */
static void wait_for_room(void)
{
	uint64_t left;

	while (serverless_bucket(&left), left < 5 * SECOND)
		world_turn(node.base, 100);
	assert_int_equal(key_generate(&node.key), 0);
}

static void an_invite_that_nobody_waits_for_used_its_place(void **state)
{
	struct session *s;
	int listener;

	(void)state;
	wait_for_room();
	listener = callee_at(0);
	s = call();
	assert_true(world_until(node.base, is_invited, s));
	session_cancel(s);
	s = call();
	assert_true(goes_to_second_place(NULL));
	session_cancel(s);
	close(listener);
	key_wipe(&node.key);
}

static void so_did_one_that_was_not_answered(void **state)
{
	struct session *s;
	int listener;

	(void)state;
	wait_for_room();
	listener = callee_at(0);
	s = call();
	assert_true(world_until(node.base, is_invited, s));
	close(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	close(listener);
	assert_true(world_until(node.base, goes_to_second_place, NULL));
	session_cancel(s);
	key_wipe(&node.key);
}

/* This node has begun anew, or another one with the same word was there: the callee is further */
static void a_callee_that_is_further_is_found(void **state)
{
	struct session *s;
	int listener;

	(void)state;
	wait_for_room();
	listener = callee_at(2);
	s = call();
	assert_true(world_until(node.base, is_invited, s));
	session_cancel(s);
	close(listener);
	key_wipe(&node.key);
}

/* And one that has begun anew */
static void a_callee_that_is_behind_is_found(void **state)
{
	static const char who;
	struct session *s;
	int listener;

	(void)state;
	wait_for_room();
	assert_int_equal(turns_take(&serverless->turns, pal.peer.key, 80, serverless_bucket(NULL), MEETING_PLACES, &who), 0);
	turns_end(&serverless->turns, &who, 6);
	listener = callee_at(0);
	s = call();
	assert_true(world_until(node.base, is_invited, s));
	session_cancel(s);
	close(listener);
	key_wipe(&node.key);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_caller_asks_again_soon_after_a_failure),
		CASE(another_caller_asks_again_soon_too),
		CASE(what_was_found_is_not_asked_for_soon),
		CASE(who_was_found_is_awaited),
		CASE(of_both_families_the_one_with_a_route_is_taken),
		CASE(a_place_that_could_not_be_held_is_tried_again),
		CASE(who_could_not_be_let_in_is_later),
		CASE(who_only_waits_for_it_spares_the_name_server),
		CASE(on_another_network_it_is_asked_anew),
		CASE(an_invite_that_nobody_waits_for_used_its_place),
		CASE(so_did_one_that_was_not_answered),
		CASE(a_callee_that_is_further_is_found),
		CASE(a_callee_that_is_behind_is_found),
	};

	return cmocka_run_group_tests_name("serverless", tests, isolate, NULL);
}
