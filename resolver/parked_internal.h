/* SPDX-License-Identifier: MIT */
/*
 * parked_internal.h - what parked.c and parked_claim.c share; nobody else includes it
 */
#ifndef PUNCH_PARKED_INTERNAL_H
#define PUNCH_PARKED_INTERNAL_H

#include <sys/queue.h>

#include "common/clock.h"
#include "resolver/lot.h"
#include "resolver/parked.h"
#include "resolver/session.h"

enum parked_state {
	PARKED_PENDING,		/* the session is under way, the program in SYN_SENT */
	PARKED_COMPLETING,	/* path found; our SYN to the program is out */
	PARKED_READY,		/* the program's socket is established, the real one waits here */
	PARKED_LATE,		/* the same, after PARKED_CLAIM: the first byte starts a splice */
	PARKED_CLAIMED,		/* the program has the real one; our end waits for the old one to be closed */
	PARKED_FAILING,		/* no path; our SYN to the program is out, to be reset */
	PARKED_FAILED,		/* the program's socket was reset; the reason is kept for it */
	PARKED_STATE_COUNT
};

/**
 * struct parked_socket - one program's socket
 * @where:	the listener it is parked at
 * @program:	its own address
 * @end:	our end that completes it, -1 none
 * @real:	the real socket, -1 none
 * @event:	of @end; @real_event: reads of @real
 */
struct parked_socket {
	TAILQ_ENTRY(parked_socket) link;
	struct node *node;
	enum parked_state state;
	uint64_t cookie;
	const struct lot *where;
	struct endpoint program;
	int end, real;
	struct event *event, *real_event, *timer;
	struct session *session;
	struct peer peer;
	uint16_t port;
	bool met;			/* the program's socket was seen at the other end of @end */
	bool told;			/* FAILING: the program knows the reason already */
	unsigned int stuck;		/* PENDING without a session: tries to complete it that found no descriptor */
	struct session_result result;
};

struct parked {
	struct node *node;
	TAILQ_HEAD(, parked_socket) sockets;
	unsigned int counts[PARKED_STATE_COUNT];
	struct lot lots[LOT_COUNT];
};

/** parked_socket_set_state() - logs the edge; the table in parked.c has to have it */
void parked_socket_set_state(struct parked_socket *sock, enum parked_state state);

/** parked_socket_free() - in any state: closes what it has, and cancels its session */
void parked_socket_free(struct parked_socket *sock);

/** parked_socket_find() - by cookie; those that were claimed are not found */
struct parked_socket *parked_socket_find(struct parked *parked, uint64_t cookie);

/** parked_socket_fail() - FAILING, and our end is established: reset it, which wakes the program */
void parked_socket_fail(struct parked_socket *sock);

/** parked_socket_on_end() - something happened to sock->end */
void parked_socket_on_end(evutil_socket_t fd, short what, void *arg);

/** parked_socket_is_joined() - is our end established, and the program's socket seen at its other end? */
bool parked_socket_is_joined(struct parked_socket *sock);

/**
 * parked_socket_splice() - copy between the program's socket and the real one from now on; frees @sock
 * Return: 0, or -errno of splice_start(): both connections are closed then
 */
int parked_socket_splice(struct parked_socket *sock, const char *why);

/** parked_socket_forget_event() - free it, NULL or not */
static inline void parked_socket_forget_event(struct event **event)
{
	if (*event)
		event_free(*event);
	*event = NULL;
}

#endif
