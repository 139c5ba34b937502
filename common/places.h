/* SPDX-License-Identifier: MIT */
/*
 * places.h - a bounded number of places, shared fairly between the addresses of the Internet
 *
 * Pure (libc only).  For connections that have shown nothing yet: each holds a place until it is admitted
 * or ends.  A source (as in sources.h) has a share of the places.  Who comes when all are taken
 * gets that of another: of the source that holds most places, the oldest.  So nobody shuts a
 * newcomer out by holding places, however many addresses he has.
 *
 * Or for those that have shown who they are (places_new_kept()): nobody loses a place to a newcomer.
 * Instead the share of a source shrinks as the table fills: to have another place it must hold less than
 * one in so many of those that are free (as buffers are shared in switches: Choudhury and Hahne, Dynamic
 * Queue Length Thresholds, 1998).  One address in front of thousands, a carrier's NAT, has thousands of
 * places while there are enough; and the places end only when many addresses have taken what they could.
 */
#ifndef PUNCH_PLACES_H
#define PUNCH_PLACES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/sources.h"

/* of a small table one address has a quarter at most: it takes 4 to fill one, and 40 connect at once */
#define STRANGERS_SHARE_FIT	4

struct places;
struct places_source;

/** struct place - embedded in a connection; all zero: it holds none */
struct place {
	struct places *table;
	struct places_source *source;
	uint64_t since;
	TAILQ_ENTRY(place) order;	/* in its source, oldest first */
};

/**
 * places_new()
 * @max:	places
 * @share:	most of them for one source
 * @patience:	us that a place is safe from newcomers of the same source, which are refused meanwhile; NEVER: always
 * Return: places_free(), which wants all places left, or NULL without memory
 */
struct places *places_new(unsigned int max, unsigned int share, uint64_t patience);

/**
 * places_new_kept() - of which places_take() gives none twice
 * @max:	places
 * @part:	a source with fewer than one in @part of the free places, or with none, gets one: alone, it gets one in
 *		@part + 1 of all
 * Return: as places_new()
 */
struct places *places_new_kept(unsigned int max, unsigned int part);

/**
 * places_fit() - a table, or a share, is no larger than what there is
 * @most:	of them
 * @of:		what there is: descriptors for a table, the table's places for a share
 * @part:	one in @part of @of are for them
 * Return: the smaller one of the two, at least 1
 */
unsigned int places_fit(unsigned int most, unsigned int of, unsigned int part);
void places_free(struct places *places);

/**
 * places_take() - for a connection from @from
 * @place:	its place, which it holds from now on
 * @loser:	receives the place of another one, which has lost it: its connection is to be ended; else NULL
 * Return: 0, -EUSERS (its source has its share), -ENOBUFS (all taken, and no source holds more
 * than its own or places are kept), or -ENOMEM
 */
int places_take(struct places *places, struct place *place, const struct endpoint *from, uint64_t now,
		struct place **loser);

/** places_take_for() - the same, of a source that only its source_prefix() is known of */
int places_take_for(struct places *places, struct place *place, const uint8_t prefix[SOURCE_PREFIX_SIZE], uint64_t now,
		    struct place **loser);

/**
 * places_inherit() - @heir, from @from, gets the place of @of, which is to hold none any more
 * Return: false when @of has none, or has it from another source: nothing has changed
 */
bool places_inherit(struct place *heir, struct place *of, const struct endpoint *from);

/** places_renew() - as if it had been taken now */
void places_renew(struct place *place, uint64_t now);

/** places_leave() - give it back. Safe when it holds none */
void places_leave(struct place *place);

/** places_taken() - by all */
unsigned int places_taken(const struct places *places);

#endif
