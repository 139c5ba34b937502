/* SPDX-License-Identifier: MIT */
/*
 * serverless_internal.h - what serverless.c and serverless_hold.c share; nobody else includes it
 */
#ifndef PUNCH_SERVERLESS_INTERNAL_H
#define PUNCH_SERVERLESS_INTERNAL_H

#include <sys/queue.h>

#include "resolver/serverless.h"

enum hold_state {
	HOLD_WAITING,		/* for the time to send a SYN */
	HOLD_OPENING,		/* its socket is in SYN_SENT */
	HOLD_ENGAGED,		/* connected; the caller is to say who it is */
	HOLD_STATE_COUNT
};

/* Whom we await: one peer, for one of our services, in one bucket; and the places that are held for it */
struct awaited {
	TAILQ_ENTRY(awaited) link;
	struct serverless *serverless;
	struct pal *pal;
	uint16_t port;			/* of the service, 0: a ping */
	int family;
	uint64_t bucket;
	uint64_t used;			/* bit per place */
	int problem;			/* the last place that could not be held: -errno, 0 none */
	TAILQ_HEAD(, hold) holds;
};

/* One place: a socket and a listener on our port of it */
struct hold {
	TAILQ_ENTRY(hold) link;
	struct awaited *awaited;
	unsigned int place;
	struct meeting_place where;
	enum hold_state state;
	int fd, listener;
	struct event *event, *accept, *timer;
	uint64_t since;			/* the present SYN */
	uint64_t made;
	unsigned int syns;
};

/* A connection that came to a place, until it has said who it is */
struct comer {
	TAILQ_ENTRY(comer) link;
	struct serverless *serverless;
	struct hold *hold;		/* NULL: its time is over */
	bool opener;			/* the hold's own socket */
	struct talk *talk;
};

struct serverless {
	struct node *node;
	struct pal *pals;
	unsigned int pal_count;
	TAILQ_HEAD(, awaited) awaited;
	unsigned int awaited_count, hold_count;
	TAILQ_HEAD(, comer) comers;
	unsigned int comer_count;
	struct turns turns;
	struct hops *hops;
	unsigned int distance;		/* to our outermost NAT, 0 not known */
	uint64_t hops_at;
	struct event *tick;
};

/* --- serverless.c */

/** awaited_tend() - hold the first place that is not used, and the next one where somebody has come to it */
void awaited_tend(struct awaited *awaited);

/* --- serverless_hold.c */

/**
 * hold_new() - hold a place from now on
 * @place:	0 .. MEETING_PLACES - 1
 * Return: hold_free(), or NULL: it cannot be held now (logged once), or out of memory
 */
struct hold *hold_new(struct awaited *awaited, unsigned int place);

/** hold_accept() - who comes to its listener is let in again, if there was no descriptor or memory for it before */
void hold_accept(struct hold *hold);

/** hold_free() - who came and has not said who he is stays a comer */
void hold_free(struct hold *hold);

/** comers_free() - close all who came and have not said who they are */
void comers_free(struct serverless *serverless);

/** hold_state_name() - for logs and punchctl status */
const char *hold_state_name(enum hold_state state);

#endif
