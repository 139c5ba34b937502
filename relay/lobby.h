/* SPDX-License-Identifier: MIT */
/*
 * lobby.h - sides that wait for their partner
 *
 * Pure: time is an argument, nothing is read or written.  Two sides belong
 * together when session and both keys of their tickets are equal and the sides differ.
 */
#ifndef RELAY_LOBBY_H
#define RELAY_LOBBY_H

#include <stdint.h>
#include <sys/queue.h>

#include "common/table.h"
#include "common/ticket.h"

#define LOBBY_ID_SIZE (SESSION_SIZE + 2 * KEY_SIZE)

/**
 * struct lobby_seat - embedded in what waits; fields belong to lobby.c
 */
struct lobby_seat {
	struct table_entry entry;
	uint8_t id[LOBBY_ID_SIZE];
	enum ticket_side side;
	uint64_t deadline;		/* 0: not seated */
	TAILQ_ENTRY(lobby_seat) order;
};

struct lobby;

/** lobby_new() - @wait: how long a side waits, us. Return: lobby_free(), or NULL without memory */
struct lobby *lobby_new(uint64_t wait);
void lobby_free(struct lobby *lobby);

/**
 * lobby_enter() - a side with a good ticket came
 * @seat:	its seat
 * @displaced:	receives the seat (now empty) of an older connection of the same side, else NULL:
 *		a side that connects again has lost its first connection
 * Return: the partner's seat, now empty too: join the two; or NULL: @seat waits
 */
struct lobby_seat *lobby_enter(struct lobby *lobby, struct lobby_seat *seat,
			       const struct ticket *ticket, uint64_t now,
			       struct lobby_seat **displaced);

/** lobby_leave() - give up waiting. Safe when not seated */
void lobby_leave(struct lobby *lobby, struct lobby_seat *seat);

/** lobby_expired() - take out one seat whose time is over. Return: NULL when there is none */
struct lobby_seat *lobby_expired(struct lobby *lobby, uint64_t now);

/** lobby_deadline() - when lobby_expired() has the next one; NEVER when empty */
uint64_t lobby_deadline(const struct lobby *lobby);

#endif
