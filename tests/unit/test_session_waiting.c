/* SPDX-License-Identifier: MIT */
/*
 * test_session_waiting.c - a caller that waits: for ports, for a server, for its turn
 *
 * The server is a structure of the test, which has the state that a case wants; the loop does not turn.
 */
#include "resolver/ports_internal.h"
#include "resolver/session_internal.h"
#include "resolver/uplink_impl.h"
#include "tests/unit/scratch.h"
#include "tests/unit/world.h"

static struct node node;
static struct uplink uplink;

static int setup(void **state)
{
	(void)state;
	memset(&node, 0, sizeof(node));
	uplink = (struct uplink){ .node = &node, .name = "server", .state = UPLINK_READY };
	node.base = event_base_new();
	node.sessions = sessions_new(&node);
	node.ports = ports_new(&node);
	node.uplinks[0] = &uplink;
	node.uplink_count = 1;
	setenv("XDG_STATE_HOME", "/nonexistent", 1);
	return node.base && node.sessions && node.ports ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	sessions_free(node.sessions);
	ports_free(node.ports);
	event_base_free(node.base);
	return 0;
}

static struct session *waiting(enum session_state at)
{
	struct session *s = session_new(&node, true);

	assert_non_null(s);
	strcpy(s->peer.name, "peer");
	s->deadline = clock_now() + 60 * SECOND;
	s->state = at;
	return s;
}

/* @mapped: as the probe ports saw it; 0: none has answered */
static struct port *port_of(uint16_t number, uint16_t mapped)
{
	struct port *port = calloc(1, sizeof(*port));

	assert_non_null(port);
	port->number = number;
	port->holder = port->probes[0] = port->probes[1] = -1;
	port->asked = true;
	if (mapped)
		assert_int_equal(endpoint_parse(&port->mapped[0], "198.51.100.1", mapped), 0);
	return port;
}

/* ------------------------------------------------------------ ports */

/* The n-th candidate is dialled from the n-th lane: one lane without a candidate would shift all that follow */
static void a_lane_of_which_nothing_is_known_comes_last(void **state)
{
	struct session *s = waiting(SESSION_PORTS);

	(void)state;
	ports_keep(node.ports, port_of(1001, 0));
	ports_keep(node.ports, port_of(1002, 2002));
	assert_int_equal(session_take_ports(s), 0);
	assert_int_equal(s->lanes[0].port->number, 1002);
	assert_int_equal(s->lanes[1].port->number, 1001);
}

/* It was kept from one try to the next */
static void also_when_the_other_lane_is_filled_later(void **state)
{
	struct session *s = waiting(SESSION_PORTS);

	(void)state;
	ports_keep(node.ports, port_of(1001, 0));
	assert_int_equal(session_take_ports(s), 0);
	assert_null(s->lanes[1].port);
	ports_keep(node.ports, port_of(1002, 2002));
	assert_int_equal(session_take_ports(s), 0);
	assert_int_equal(s->lanes[0].port->number, 1002);
	assert_int_equal(s->lanes[1].port->number, 1001);
}

/* They were made while no probe port answered, and would be what the next session gets */
static void ports_of_which_nothing_is_known_are_made_anew_when_others_are_seen(void **state)
{
	struct port *seen = port_of(1003, 2003), *port;

	(void)state;
	ports_keep(node.ports, port_of(1001, 0));
	ports_keep(node.ports, port_of(1002, 2002));
	ports_keep(node.ports, port_of(1004, 0));
	ports_learn(node.ports, seen);
	ports_keep(node.ports, seen);
	assert_int_equal(node.ports->kept_count, 2);
	port = ports_take(node.ports);
	assert_int_equal(port->number, 1002);
	port_free(port);
}

static void while_none_is_seen_they_are_better_than_none(void **state)
{
	struct port *blind = port_of(1002, 0);

	(void)state;
	ports_keep(node.ports, port_of(1001, 0));
	ports_learn(node.ports, blind);
	ports_keep(node.ports, blind);
	assert_int_equal(node.ports->kept_count, 2);
}

/* ------------------------------------------------------------ a server that was lost */

static bool has_ports(const struct session *s)
{
	return s->lanes[0].port || s->lanes[1].port;
}

/* Maybe with the network: the next invitation would name the old one's mappings */
static void who_loses_the_server_loses_its_ports(void **state)
{
	static const enum session_state states[] = { SESSION_PORTS, SESSION_INVITED, SESSION_UPLINK };
	struct session *s[COUNT(states)];

	(void)state;
	for (size_t i = 0; i < COUNT(states); i++) {
		s[i] = waiting(states[i]);
		s[i]->uplink = states[i] == SESSION_UPLINK ? NULL : &uplink;	/* in UPLINK: it is to ask again */
		s[i]->lanes[1].port = port_of(1001, 2001);
		s[i]->lanes[0].port = i ? port_of(1002, 2002) : NULL;
	}
	uplink.state = UPLINK_IDLE;
	session_on_uplink(&node, &uplink);
	for (size_t i = 0; i < COUNT(states); i++) {
		assert_int_equal(s[i]->state, SESSION_UPLINK);
		assert_false(has_ports(s[i]));
	}
}

static void a_server_that_comes_takes_no_ports(void **state)
{
	struct session *s = waiting(SESSION_UPLINK);

	(void)state;
	s->lanes[0].port = port_of(1001, 2001);
	session_on_uplink(&node, &uplink);
	assert_true(has_ports(s));
}

/* ------------------------------------------------------------ its turn */

/* The server restarts just when the turn of one who has waited for longer than a server is waited for may come */
static void who_waited_for_its_turn_has_its_patience_for_the_server_yet(void **state)
{
	struct session *s;
	unsigned int i;

	(void)state;
	for (i = 0; i < SESSIONS_CALLING; i++)
		waiting(SESSION_INVITED);
	s = waiting(SESSION_UPLINK);
	s->patience = clock_now();	/* since it began */
	session_advance(s);
	assert_true(s->queued);
	uplink.state = UPLINK_RESOLVING;
	session_advance(s);
	assert_int_equal(s->state, SESSION_UPLINK);
	assert_false(s->queued);
	assert_true(s->patience > clock_now());
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_lane_of_which_nothing_is_known_comes_last),
		CASE(also_when_the_other_lane_is_filled_later),
		CASE(ports_of_which_nothing_is_known_are_made_anew_when_others_are_seen),
		CASE(while_none_is_seen_they_are_better_than_none),
		CASE(who_loses_the_server_loses_its_ports),
		CASE(a_server_that_comes_takes_no_ports),
		CASE(who_waited_for_its_turn_has_its_patience_for_the_server_yet),
	};

	return cmocka_run_group_tests_name("session waiting", tests, NULL, NULL);
}
