/* SPDX-License-Identifier: MIT */
/*
 * test_relay_lobby.c - who meets whom in the relay, and how long a side waits
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/clock.h"
#include "relay/lobby.h"

#define WAIT (20 * SECOND)

static struct ticket make_ticket(uint8_t session, uint8_t caller, uint8_t callee, enum ticket_side side)
{
	struct ticket ticket = { .side = side };

	memset(ticket.session, session, sizeof(ticket.session));
	memset(ticket.caller_key, caller, sizeof(ticket.caller_key));
	memset(ticket.callee_key, callee, sizeof(ticket.callee_key));
	return ticket;
}

static struct lobby_seat *enter(struct lobby *lobby, struct lobby_seat *seat, struct ticket ticket,
				uint64_t now)
{
	struct lobby_seat *displaced, *partner;

	partner = lobby_enter(lobby, seat, &ticket, now, &displaced);
	assert_null(displaced);
	return partner;
}

static void test_two_sides_of_a_session_meet(void **state)
{
	struct lobby *lobby = lobby_new(WAIT);
	struct lobby_seat caller = { 0 }, callee = { 0 };

	(void)state;
	assert_null(enter(lobby, &caller, make_ticket(1, 2, 3, TICKET_CALLER), 100));
	assert_int_equal(lobby_deadline(lobby), 100 + WAIT);
	assert_ptr_equal(enter(lobby, &callee, make_ticket(1, 2, 3, TICKET_CALLEE), 200), &caller);
	/* neither is left behind */
	assert_int_equal(lobby_deadline(lobby), NEVER);
	assert_null(enter(lobby, &callee, make_ticket(1, 2, 3, TICKET_CALLEE), 300));
	lobby_free(lobby);
}

static void test_strangers_do_not_meet(void **state)
{
	struct lobby *lobby = lobby_new(WAIT);
	struct lobby_seat seats[4] = { 0 };

	(void)state;
	assert_null(enter(lobby, &seats[0], make_ticket(1, 2, 3, TICKET_CALLER), 0));
	/* another session, another caller with the session's name, another callee */
	assert_null(enter(lobby, &seats[1], make_ticket(9, 2, 3, TICKET_CALLEE), 0));
	assert_null(enter(lobby, &seats[2], make_ticket(1, 9, 3, TICKET_CALLEE), 0));
	assert_null(enter(lobby, &seats[3], make_ticket(1, 2, 9, TICKET_CALLEE), 0));
	lobby_free(lobby);
}

static void test_same_side_again_takes_the_seat(void **state)
{
	const struct ticket ticket = make_ticket(1, 2, 3, TICKET_CALLER);
	struct lobby *lobby = lobby_new(WAIT);
	struct lobby_seat first = { 0 }, second = { 0 }, callee = { 0 }, *displaced;

	(void)state;
	assert_null(enter(lobby, &first, ticket, 0));
	assert_null(lobby_enter(lobby, &second, &ticket, 5, &displaced));
	assert_ptr_equal(displaced, &first);
	assert_ptr_equal(enter(lobby, &callee, make_ticket(1, 2, 3, TICKET_CALLEE), 9), &second);
	assert_int_equal(lobby_deadline(lobby), NEVER);
	lobby_free(lobby);
}

static void test_waiting_ends(void **state)
{
	struct lobby *lobby = lobby_new(WAIT);
	struct lobby_seat a = { 0 }, b = { 0 }, c = { 0 };

	(void)state;
	enter(lobby, &a, make_ticket(1, 2, 3, TICKET_CALLER), 0);
	enter(lobby, &b, make_ticket(2, 2, 3, TICKET_CALLER), SECOND);
	assert_null(lobby_expired(lobby, WAIT - 1));
	assert_ptr_equal(lobby_expired(lobby, WAIT), &a);
	assert_null(lobby_expired(lobby, WAIT));
	assert_int_equal(lobby_deadline(lobby), WAIT + SECOND);
	/* who was told to go is not met any more */
	assert_null(enter(lobby, &c, make_ticket(1, 2, 3, TICKET_CALLEE), WAIT));
	lobby_leave(lobby, &b);
	lobby_leave(lobby, &b);		/* twice does no harm */
	assert_ptr_equal(lobby_expired(lobby, 3 * WAIT), &c);
	assert_null(lobby_expired(lobby, 3 * WAIT));
	lobby_free(lobby);
}

static void test_thousands_wait(void **state)
{
	static struct lobby_seat callers[8192], callees[8192];
	struct lobby *lobby = lobby_new(WAIT);
	struct ticket ticket = make_ticket(0, 2, 3, TICKET_CALLER);

	(void)state;
	for (uint32_t i = 0; i < 8192; i++) {
		memcpy(ticket.session, &i, sizeof(i));
		assert_null(enter(lobby, &callers[i], ticket, i));
	}
	ticket.side = TICKET_CALLEE;
	for (uint32_t i = 8192; i-- > 0; ) {
		memcpy(ticket.session, &i, sizeof(i));
		assert_ptr_equal(enter(lobby, &callees[i], ticket, i), &callers[i]);
	}
	assert_int_equal(lobby_deadline(lobby), NEVER);
	lobby_free(lobby);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_sides_of_a_session_meet),
		cmocka_unit_test(test_strangers_do_not_meet),
		cmocka_unit_test(test_same_side_again_takes_the_seat),
		cmocka_unit_test(test_waiting_ends),
		cmocka_unit_test(test_thousands_wait),
	};

	return cmocka_run_group_tests_name("relay_lobby", tests, NULL, NULL);
}
