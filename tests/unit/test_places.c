/* SPDX-License-Identifier: MIT */
/*
 * test_places.c - places shared fairly between addresses, and that a few addresses cannot fill the servers' tables
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/places.h"
#include "relay/limits.h"
#include "rendezvous/limits.h"

static struct place places[RDV_NODES + 1];
static struct place *loser;

static struct endpoint ipv4(uint32_t address)
{
	struct endpoint ep = { .family = AF_INET, .port = 1 };

	for (int i = 0; i < 4; i++)
		ep.address[i] = (uint8_t)(address >> (24 - 8 * i));
	return ep;
}

static struct endpoint ipv6(uint8_t network, uint8_t host)
{
	struct endpoint ep = { .family = AF_INET6, .port = 1 };

	ep.address[0] = 0x20;
	ep.address[7] = network;
	ep.address[15] = host;
	return ep;
}

static int take(struct places *table, unsigned int i, uint32_t address, uint64_t now)
{
	struct endpoint from = ipv4(address);

	return places_take(table, &places[i], &from, now, &loser);
}

static void end(struct places *table)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		places_leave(&places[i]);
	assert_int_equal(places_taken(table), 0);
	places_free(table);
}

static void one_address_has_its_share(void **state)
{
	struct places *table = places_new(100, 2, SECOND);

	(void)state;
	assert_int_equal(take(table, 0, 1, 0), 0);
	assert_int_equal(take(table, 1, 1, SECOND / 2), 0);
	assert_int_equal(take(table, 2, 1, SECOND - 1), -EUSERS);
	assert_null(loser);
	assert_int_equal(take(table, 2, 2, SECOND - 1), 0);	/* others do not pay for it */
	/* its oldest has had its time: the newcomer gets the place */
	assert_int_equal(take(table, 3, 1, SECOND), 0);
	assert_ptr_equal(loser, &places[0]);
	assert_int_equal(take(table, 4, 1, SECOND), -EUSERS);
	places_leave(&places[1]);
	places_leave(&places[1]);	/* twice does no harm */
	assert_int_equal(take(table, 4, 1, SECOND), 0);
	assert_null(loser);
	assert_int_equal(places_taken(table), 3);
	end(table);
}

static void a_share_of_one_and_no_patience(void **state)
{
	struct places *table = places_new(1, 1, 0);

	(void)state;
	for (unsigned int i = 0; i < 10; i++) {
		assert_int_equal(take(table, i, 1, 0), 0);
		assert_ptr_equal(loser, i ? &places[i - 1] : NULL);
	}
	assert_int_equal(places_taken(table), 1);
	end(table);
}

/* Of @table a source gets one place. Frees it */
static void check_network(struct places *table)
{
	struct endpoint one = ipv6(1, 1), neighbour = ipv6(1, 2), other = ipv6(2, 1);

	assert_int_equal(places_take(table, &places[0], &one, 0, &loser), 0);
	assert_int_equal(places_take(table, &places[1], &neighbour, 0, &loser), -EUSERS);
	assert_int_equal(places_take(table, &places[1], &other, 0, &loser), 0);
	end(table);
}

static void an_ipv6_network_is_one_source(void **state)
{
	(void)state;
	check_network(places_new(100, 1, NEVER));
}

static void a_newcomer_gets_the_oldest_place_of_who_has_most(void **state)
{
	struct places *table = places_new(6, 4, NEVER);

	(void)state;
	take(table, 0, 1, 0);
	take(table, 1, 2, 1);
	take(table, 2, 2, 2);
	take(table, 3, 2, 3);
	take(table, 4, 3, 4);
	take(table, 5, 3, 5);
	assert_int_equal(take(table, 6, 4, 6), 0);
	assert_ptr_equal(loser, &places[1]);	/* not 0, which is older, but all that its address has */
	/* 2 and 3 have two each now; renewing makes a place young */
	places_renew(&places[2], 7);
	places_leave(&places[5]);
	take(table, 5, 2, 8);
	assert_int_equal(take(table, 7, 5, 9), 0);
	assert_ptr_equal(loser, &places[3]);
	assert_int_equal(places_taken(table), 6);
	end(table);
}

/* Nobody pushes others out to have more than they have */
static void who_has_as_many_as_anybody_waits(void **state)
{
	struct places *table = places_new(4, 4, SECOND);

	(void)state;
	take(table, 0, 1, 0);
	take(table, 1, 1, 0);
	take(table, 2, 2, 0);
	take(table, 3, 2, 0);
	assert_int_equal(take(table, 4, 1, SECOND - 1), -ENOBUFS);
	assert_int_equal(take(table, 4, 1, SECOND), 0);
	assert_ptr_equal(loser, &places[0]);
	end(table);
}

/* Each address has one place only: a newcomer still gets in, so that a flood from thousands passes, too */
static void a_newcomer_gets_in_among_single_ones(void **state)
{
	struct places *table = places_new(3, 2, NEVER);

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		take(table, i, i, i);
	assert_int_equal(take(table, 3, 9, 3), 0);
	assert_ptr_equal(loser, &places[0]);
	end(table);
}

/* 63 addresses that hold all they can, and one more, who finds a place without anybody's loss */
static void fill(unsigned int max, unsigned int share)
{
	struct places *table = places_new(max, share, SECOND);
	unsigned int taken = 0;

	for (uint32_t address = 1; address < 64; address++)
		for (unsigned int i = 0; i < share + 10; i++)
			taken += !take(table, taken, address, 0);
	assert_int_equal(taken, 63 * share);
	assert_int_equal(take(table, taken, 64, 0), 0);
	assert_null(loser);
	end(table);
}

static void the_servers_tables_are_not_filled_by_63_addresses(void **state)
{
	(void)state;
	fill(RDV_STRANGERS, RDV_STRANGERS_SHARE);
	fill(RDV_PROBE_STRANGERS, RDV_PROBE_STRANGERS_SHARE);
	fill(RELAY_STRANGERS, RELAY_STRANGERS_SHARE);
}

/* Alone an address has one in @part + 1, and the less the more others there are; each has places when the last one comes */
static void a_kept_share_shrinks_as_the_table_fills(void **state)
{
	struct places *table = places_new_kept(100, 4);
	unsigned int taken = 0, before = 100, got;

	(void)state;
	for (uint32_t address = 1; places_taken(table) < 100; address++) {
		for (got = 0; !take(table, taken, address, 0); got++)
			taken++;
		assert_null(loser);
		assert_in_range(got, 1, before);
		if (address == 1)
			assert_int_equal(got, 100 / 5);
		before = got;
	}
	assert_int_equal(before, 1);
	assert_int_equal(take(table, taken, 99, NEVER - 1), -ENOBUFS);
	/* who leaves makes room, for one of another address, too; of an address with many they have to be many */
	places_leave(&places[0]);
	assert_int_equal(take(table, 0, 1, 0), -EUSERS);
	assert_int_equal(take(table, 0, 99, 0), 0);
	for (unsigned int i = 1; i < 20; i++)
		places_leave(&places[i]);
	assert_int_equal(take(table, 1, 1, 0), 0);
	end(table);
}

static void nobody_loses_a_kept_place(void **state)
{
	struct places *table = places_new_kept(2, 1);

	(void)state;
	assert_int_equal(take(table, 0, 1, 0), 0);
	assert_int_equal(take(table, 1, 2, 0), 0);
	assert_int_equal(take(table, 2, 1, NEVER - 1), -ENOBUFS);
	assert_int_equal(take(table, 2, 3, NEVER - 1), -ENOBUFS);
	assert_null(loser);
	end(table);
}

static void an_ipv6_network_has_one_kept_share(void **state)
{
	(void)state;
	check_network(places_new_kept(4, 2));
}

static void a_place_is_inherited_at_one_address(void **state)
{
	struct places *table = places_new_kept(2, 1);
	struct endpoint same = ipv4(1), other = ipv4(2);

	(void)state;
	take(table, 0, 1, 0);
	take(table, 1, 2, 0);
	assert_false(places_inherit(&places[2], &places[0], &other));
	assert_true(places_inherit(&places[2], &places[0], &same));
	assert_false(places_inherit(&places[3], &places[0], &same));	/* it has none any more */
	places_leave(&places[0]);
	assert_int_equal(places_taken(table), 2);
	places_leave(&places[2]);
	assert_int_equal(places_taken(table), 1);
	end(table);
}

/* After 63 addresses that take all they can a 64th one still has places, and a carrier's NAT had thousands while it was alone */
static void the_nodes_are_not_filled_by_63_addresses(void **state)
{
	struct places *table = places_new_kept(RDV_NODES, RDV_NODES_PART);
	unsigned int taken = 0, got = 0;

	(void)state;
	for (uint32_t address = 1; address < 64; address++) {
		while (!take(table, taken, address, 0))
			taken++;
		if (address == 1)
			assert_in_range(taken, 3000, RDV_NODES);
	}
	while (!take(table, taken + got, 64, 0))
		got++;
	assert_in_range(got, 64, RDV_NODES);
	assert_in_range(taken + got, 0, RDV_NODES - 1000);
	end(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_address_has_its_share),
		cmocka_unit_test(a_share_of_one_and_no_patience),
		cmocka_unit_test(an_ipv6_network_is_one_source),
		cmocka_unit_test(a_newcomer_gets_the_oldest_place_of_who_has_most),
		cmocka_unit_test(who_has_as_many_as_anybody_waits),
		cmocka_unit_test(a_newcomer_gets_in_among_single_ones),
		cmocka_unit_test(the_servers_tables_are_not_filled_by_63_addresses),
		cmocka_unit_test(a_kept_share_shrinks_as_the_table_fills),
		cmocka_unit_test(nobody_loses_a_kept_place),
		cmocka_unit_test(an_ipv6_network_has_one_kept_share),
		cmocka_unit_test(a_place_is_inherited_at_one_address),
		cmocka_unit_test(the_nodes_are_not_filled_by_63_addresses),
	};

	return cmocka_run_group_tests_name("places", tests, NULL, NULL);
}
