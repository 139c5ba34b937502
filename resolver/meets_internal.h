/* SPDX-License-Identifier: MIT */
/*
 * meets_internal.h - what meets.c and meets_hold.c share; nobody else includes it
 */
#ifndef PUNCH_MEETS_INTERNAL_H
#define PUNCH_MEETS_INTERNAL_H

#include <sys/queue.h>

#include "resolver/meets.h"

enum hold_state {
	HOLD_WAITING,		/* for the time to send a SYN */
	HOLD_OPENING,		/* its socket is in SYN_SENT */
	HOLD_ENGAGED,		/* connected; the caller is to say who it is */
	HOLD_STATE_COUNT
};

/* One port of ours for one peer in one bucket; its places */
struct spot {
	TAILQ_ENTRY(spot) link;
	struct meets *meets;
	struct pal *pal;
	uint16_t port;
	int family;
	uint64_t bucket;
	uint64_t used;			/* bit per place */
	TAILQ_HEAD(, hold) holds;
};

struct hold {
	TAILQ_ENTRY(hold) link;
	struct spot *spot;
	unsigned int place;
	struct meeting_place where;
	enum hold_state state;
	int fd, listener;
	struct event *event, *accept, *timer;
	uint64_t since;			/* the present SYN */
	uint64_t made;
	unsigned int syns;
};

struct guest {
	TAILQ_ENTRY(guest) link;
	struct meets *meets;
	struct hold *hold;		/* NULL: its time is over */
	bool opener;			/* the hold's own socket */
	struct talk *talk;
};

struct meets {
	struct node *node;
	struct pal *pals;
	unsigned int pal_count;
	TAILQ_HEAD(, spot) spots;
	unsigned int spot_count, hold_count;
	TAILQ_HEAD(, guest) guests;
	unsigned int guest_count;
	struct turns turns;
	struct hops *hops;
	unsigned int distance;		/* to our outermost NAT, 0 not known */
	uint64_t hops_at;
	struct event *tick;
};

/* meets.c */
void spot_tend(struct spot *spot);	/* hold the first place that is not used, and the next where somebody has come to it */

/* meets_hold.c */
struct hold *hold_new(struct spot *spot, unsigned int place);	/* NULL: not in this bucket */
void hold_free(struct hold *hold);
void guests_free(struct meets *meets);
const char *hold_state_name(enum hold_state state);

#endif
