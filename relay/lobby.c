/* SPDX-License-Identifier: MIT */
/*
 * lobby.c - sides that wait for their partner
 *
 * All wait equally long, so the order of arrival is the order of deadlines.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/hash.h"
#include "relay/lobby.h"

#define CHAINS	4096	/* power of two; half of RELAY_VISITORS, so chains stay short */

SLIST_HEAD(seat_chain, lobby_seat);
TAILQ_HEAD(seat_order, lobby_seat);

struct lobby {
	uint64_t wait;
	uint8_t seed[HASH_SEED_SIZE];
	struct seat_order order;	/* first to expire first */
	struct seat_chain chains[CHAINS];
};

struct lobby *lobby_new(uint64_t wait)
{
	struct lobby *lobby = calloc(1, sizeof(*lobby));

	if (!lobby)
		return NULL;
	lobby->wait = wait;
	hash_seed(lobby->seed);
	TAILQ_INIT(&lobby->order);
	return lobby;
}

void lobby_free(struct lobby *lobby)
{
	free(lobby);
}

static struct seat_chain *chain_of(struct lobby *lobby, const uint8_t id[LOBBY_ID_SIZE])
{
	return &lobby->chains[hash_bytes(lobby->seed, id, LOBBY_ID_SIZE) % CHAINS];
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
	SLIST_FOREACH(other, chain_of(lobby, seat->id), chain)
		if (!memcmp(other->id, seat->id, LOBBY_ID_SIZE))
			break;
	if (other)
		lobby_leave(lobby, other);
	if (other && other->side != seat->side)
		return other;
	*displaced = other;
	seat->deadline = now + lobby->wait;
	SLIST_INSERT_HEAD(chain_of(lobby, seat->id), seat, chain);
	TAILQ_INSERT_TAIL(&lobby->order, seat, order);
	return NULL;
}

void lobby_leave(struct lobby *lobby, struct lobby_seat *seat)
{
	if (!seat->deadline)
		return;
	SLIST_REMOVE(chain_of(lobby, seat->id), seat, lobby_seat, chain);
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
