/* SPDX-License-Identifier: MIT */
/*
 * test_resolver_connections.c - a full table of connections: who loses his place, and that he loses the connection with it
 */
#include "resolver/connections.c"

#include <poll.h>

#include "resolver/pair.h"
#include "tests/unit/scratch.h"
#include "tests/unit/world.h"

#define MOST 8

static struct node node;
static int near[4 * MOST], far[4 * MOST];
static unsigned int made;

static int begin(void **state)
{
	(void)state;
	node.connections = connections_new();
	if (!node.connections)
		return -1;
	node.connections->most = MOST;
	return world_isolate();
}

static int end(void **state)
{
	(void)state;
	connections_free(node.connections);
	return 0;
}

static int clear(void **state)
{
	(void)state;
	for (; made; made--) {
		close(near[made - 1]);
		close(far[made - 1]);
	}
	node.connections->count = 0;
	node.connections->swept = 0;
	node.quick_mode = false;
	return 0;
}

/* Return: which */
static unsigned int add(const char *name, bool incoming)
{
	struct peer peer = { .name = "" };
	struct track track;
	int ends[2];

	snprintf(peer.name, sizeof(peer.name), "%s", name);
	memset(peer.key, *name, KEY_SIZE);
	assert_int_equal(pair_make(AF_INET, ends), 0);
	connections_track(ends[0], &track);
	connections_add(&node, &peer, 80, incoming, &track, LOCAL_PATH_DIRECT, 0);
	near[made] = ends[0];
	far[made] = ends[1];
	return made++;
}

static bool is_open(unsigned int which)
{
	struct pollfd pollfd = { .fd = far[which], .events = POLLIN };

	return poll(&pollfd, 1, 0) == 0;
}

static unsigned int open_ones(void)
{
	unsigned int i, count = 0;

	for (i = 0; i < made; i++)
		count += is_open(i);
	return count;
}

static void the_peer_with_most_loses_its_oldest(void **state)
{
	unsigned int i, friend = add("alice", true), first = 0;

	(void)state;
	for (i = 0; i < MOST - 1; i++)
		first = i ? first : add("flood", true);
	while (made < MOST)
		add("flood", true);
	assert_int_equal(open_ones(), MOST);
	add("alice", true);
	assert_true(is_open(friend));
	assert_false(is_open(first));
	assert_int_equal(open_ones(), MOST);
	assert_int_equal(connections_count(&node), MOST);
	for (i = 0; i < MOST; i++)
		add("flood", true);		/* its own, each time: nobody escapes */
	assert_true(is_open(friend));
	assert_int_equal(open_ones(), MOST);
}

static void what_is_closed_makes_room_first(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < MOST; i++)
		add("flood", true);
	close(near[3]);
	near[3] = dup(near[0]);
	close(far[3]);
	far[3] = dup(far[0]);
	add("alice", true);
	for (i = 0; i < made; i++)
		assert_true(is_open(i));
}

/* Our own programs' are theirs: they are forgotten, and go on */
static void our_own_are_not_ended(void **state)
{
	unsigned int i;

	(void)state;
	add("alice", true);
	for (i = 0; i < 2 * MOST; i++)
		add("server", false);
	assert_int_equal(open_ones(), made);
	assert_int_equal(connections_count(&node), MOST);
}

static void nobody_is_revoked_in_quick_mode(void **state)
{
	unsigned int i;

	(void)state;
	node.quick_mode = true;
	for (i = 0; i < MOST + 2; i++)
		add("alice", true);
	assert_int_equal(open_ones(), made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_peer_with_most_loses_its_oldest, clear),
		cmocka_unit_test_teardown(what_is_closed_makes_room_first, clear),
		cmocka_unit_test_teardown(our_own_are_not_ended, clear),
		cmocka_unit_test_teardown(nobody_is_revoked_in_quick_mode, clear),
	};

	return cmocka_run_group_tests_name("resolver connections", tests, begin, end);
}
