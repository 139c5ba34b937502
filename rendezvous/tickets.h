/* SPDX-License-Identifier: MIT */
/*
 * tickets.h - relay offers: where, and the right to use it
 */
#ifndef RENDEZVOUS_TICKETS_H
#define RENDEZVOUS_TICKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/endpoint.h"
#include "common/punch.pb-c.h"
#include "common/ticket.h"
#include "rendezvous/broker.h"

/**
 * struct offers - offers of one message
 * @list:	as protobuf wants them; points into the rest
 */
struct offers {
	size_t count;
	Punch__RelayOffer *list[LIMIT_RELAYS];
	Punch__RelayOffer offers[LIMIT_RELAYS];
	uint8_t tickets[LIMIT_RELAYS][TICKET_MAX];
	char addresses[LIMIT_RELAYS][LIMIT_HOST];
};

/**
 * tickets_open() - which relays there are
 * @words:	"embedded", "none", or HOST:PORT words
 * @secret:	of the relays, copied; not read when there are none
 * Return: 0 or -EINVAL
 */
int tickets_open(const char *words, const uint8_t secret[RELAY_SECRET_SIZE]);
void tickets_close(void);

/** tickets_embedded() - the embedded relay came up, or went down and must not be offered */
void tickets_embedded(bool up);

/**
 * tickets_relays() - which relays are configured, up or not, without the right to use them
 * @out:	addresses are owned by tickets.c, valid until tickets_open() is called again
 * Return: how many, at most LIMIT_RELAYS
 */
unsigned int tickets_relays(Punch__RelayAddress out[LIMIT_RELAYS]);

/**
 * tickets_offer() - fresh tickets for one side
 * @here:	the address that the far node shall use for the embedded relay; NULL: the one at which
 *		it reached us, which an empty address means
 * Return: 0 or -errno; @out has no offers then
 */
int tickets_offer(const struct broker_call *call, enum ticket_side side, const struct endpoint *here,
		  struct offers *out);

#endif
