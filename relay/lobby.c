/* SPDX-License-Identifier: MIT */
/*
 * lobby.c - sides that wait for their partner
 *
 * All wait equally long, so the order of arrival is the order of deadlines.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "relay/limits.h"
#include "relay/lobby.h"

TAILQ_HEAD(seat_order, lobby_seat);

struct lobby {
	uint64_t wait;
	struct table *by_id;
	struct seat_order order;	/* first to expire first */
};

struct lobby *lobby_new(uint64_t wait)
{
	struct lobby *lobby = calloc(1, sizeof(*lobby));

	if (!lobby)
		return NULL;
	lobby->wait = wait;
	TAILQ_INIT(&lobby->order);
	lobby->by_id = table_new(RELAY_VISITORS, TABLE_KEY(struct lobby_seat, id));
	if (lobby->by_id)
		return lobby;
	free(lobby);
	return NULL;
}

void lobby_free(struct lobby *lobby)
{
	if (lobby)
		table_free(lobby->by_id, NULL);
	free(lobby);
}

struct lobby_seat *lobby_enter(struct lobby *lobby, struct lobby_seat *seat,
			       const struct ticket *ticket, uint64_t now,
			       struct lobby_seat **displaced)
{
	struct lobby_seat *other;

	memcpy(seat->id, ticket->session, SESSION_SIZE);
	memcpy(seat->id + SESSION_SIZE, ticket->caller_key, KEY_SIZE);
	memcpy(seat->id + SESSION_SIZE + KEY_SIZE, ticket->callee_key, KEY_SIZE);
	seat->side = ticket->side;
	*displaced = NULL;
	other = table_find(lobby->by_id, seat->id);
	if (other)
		lobby_leave(lobby, other);
	if (other && other->side != seat->side)
		return other;
	*displaced = other;
	seat->deadline = now + lobby->wait;
	table_add(lobby->by_id, &seat->entry);
	TAILQ_INSERT_TAIL(&lobby->order, seat, order);
	return NULL;
}

void lobby_leave(struct lobby *lobby, struct lobby_seat *seat)
{
	if (!seat->deadline)
		return;
	table_remove(lobby->by_id, &seat->entry);
	TAILQ_REMOVE(&lobby->order, seat, order);
	seat->deadline = 0;
}

struct lobby_seat *lobby_expired(struct lobby *lobby, uint64_t now)
{
	struct lobby_seat *seat = TAILQ_FIRST(&lobby->order);

	if (!seat || seat->deadline > now)
		return NULL;
	lobby_leave(lobby, seat);
	return seat;
}

uint64_t lobby_deadline(const struct lobby *lobby)
{
	const struct lobby_seat *seat = TAILQ_FIRST(&lobby->order);

	return seat ? seat->deadline : NEVER;
}
