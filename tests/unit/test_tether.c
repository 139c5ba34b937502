/* SPDX-License-Identifier: MIT */
/*
 * test_tether.c - probe connections that outlive their session: the server must not find them idle
 *
 * The probe port is a socket of ours, and time is what the tether remembers.
 */
#include "resolver/tether.c"

#include <netinet/in.h>
#include <sys/socket.h>

#include "resolver/pair.h"
#include "tests/unit/scratch.h"
#include "tests/unit/world.h"

static struct node node;
static struct tethers *tethers;
static int probe[2];			/* ours, the server's */
static int direct[2];			/* the punched connection */

/* As ports.c has it, which would bring the rest of the resolver along */
void port_free(struct port *port)
{
	close(port->probes[0]);
	free(port);
}

static int begin(void **state)
{
	(void)state;
	return world_isolate();
}

static int setup(void **state)
{
	(void)state;
	node.base = event_base_new();
	tethers = node.base ? tethers_new(&node) : NULL;
	return tethers && !pair_make(AF_INET, probe) && !pair_make(AF_INET, direct) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	tethers_free(tethers);
	event_base_free(node.base);
	if (probe[1] >= 0)
		close(probe[1]);
	close(direct[0]);
	close(direct[1]);
	return 0;
}

static struct tether *hold(void)
{
	struct port *port = calloc(1, sizeof(*port));
	struct track track = { 0 };
	int on = 1;

	assert_non_null(port);
	port->holder = port->probes[1] = -1;
	port->probes[0] = probe[0];
	setsockopt(probe[0], SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	assert_int_equal(endpoint_local(direct[0], &track.path.local), 0);
	assert_int_equal(endpoint_local(direct[1], &track.path.remote), 0);
	assert_int_equal(sockdiag_cookie(direct[0], &track.path.cookie), 0);
	tether_hold(tethers, port, &track);
	return TAILQ_FIRST(&tethers->list);
}

/* What the server has to read. Return: requests */
static int requests(void)
{
	uint8_t bytes[STUN_MAX];
	ssize_t n = recv(probe[1], bytes, sizeof(bytes), MSG_DONTWAIT), size;
	int count = 0;
	uint8_t *at;

	for (at = bytes; n > 0; at += size, n -= size, count++) {
		size = stun_size(at, (size_t)n);
		assert_true(size > 0 && size <= n);
	}
	return count;
}

static void pass(struct tether *tether, uint64_t time)
{
	tether->asked -= time;
	on_timer(-1, 0, tethers);
}

static void a_held_probe_connection_is_never_idle_for_long(void **state)
{
	struct tether *tether = hold();

	(void)state;
	assert_int_equal(requests(), 1);	/* it may have been idle for long before */
	pass(tether, TETHER_ASK / 2);
	assert_int_equal(requests(), 0);
	pass(tether, TETHER_ASK / 2);
	assert_int_equal(requests(), 1);
	pass(tether, TETHER_ASK);
	assert_int_equal(requests(), 1);
}

/* Unread, they would fill the buffer, and the server closes when an answer does not fit */
static void answers_are_taken(void **state)
{
	struct tether *tether = hold();
	int unread = -1;

	(void)state;
	assert_int_equal(send(probe[1], "answer", 6, 0), 6);
	pass(tether, 0);
	assert_int_equal(recv(probe[0], &unread, 1, MSG_DONTWAIT | MSG_PEEK), -1);
	assert_int_equal(errno, EAGAIN);
}

static bool is_half_closed(void *arg)
{
	char byte;

	(void)arg;
	return recv(probe[0], &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

/* A FIN or RST of ours would take the mapping along: nothing is sent on it any more */
static void what_the_server_has_closed_is_left_alone(void **state)
{
	struct tether *tether = hold();
	socklen_t length = sizeof(int);
	int on = -1;

	(void)state;
	assert_int_equal(requests(), 1);
	assert_int_equal(shutdown(probe[1], SHUT_WR), 0);
	assert_true(world_until(node.base, is_half_closed, NULL));
	pass(tether, TETHER_ASK);
	assert_int_equal(requests(), 0);
	assert_int_equal(recv(probe[1], &on, 1, MSG_DONTWAIT), -1);	/* and no FIN */
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(getsockopt(probe[0], SOL_SOCKET, SO_KEEPALIVE, &on, &length), 0);
	assert_int_equal(on, 0);
	assert_int_equal(tethers->count, 1);
}

static void with_its_connection_it_is_given_up(void **state)
{
	struct tether *tether = hold();
	struct linger reset = { .l_onoff = 1 };

	(void)state;
	pass(tether, 0);
	assert_int_equal(tethers->count, 1);
	setsockopt(direct[0], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(direct[0]);
	direct[0] = dup(direct[1]);
	pass(tether, 0);
	assert_int_equal(tethers->count, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_held_probe_connection_is_never_idle_for_long),
		CASE(answers_are_taken),
		CASE(what_the_server_has_closed_is_left_alone),
		CASE(with_its_connection_it_is_given_up),
	};

	return cmocka_run_group_tests_name("tether", tests, begin, NULL);
}
