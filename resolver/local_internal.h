/* SPDX-License-Identifier: MIT */
/*
 * local_internal.h - the server of common/local.h
 */
#ifndef PUNCH_LOCAL_INTERNAL_H
#define PUNCH_LOCAL_INTERNAL_H

#include "resolver/node.h"

#define LOCAL_REQUESTS	1024	/* open at one time; a program with that many connects under way waits in the backlog */
#define LOCAL_FOREIGN	256	/* of these by other users: servers that have dropped their privileges */
#define LOCAL_SHARE	4	/* requests may hold this part (1/n) of all descriptors */
#define LOCAL_FOREIGN_SHARE 4	/* and those of other users this part (1/n) of these */
#define LOCAL_PATIENCE_S 5	/* a client sends its request right after connect(); a stopped one must not stay */

/** local_is_request() - has what came the shape of a request? @n: what local_recv() returned */
static inline bool local_is_request(const struct local_request *in, ssize_t n)
{
	return n == (ssize_t)sizeof(*in) && in->magic == LOCAL_MAGIC && in->kind > 0 && in->kind < LOCAL_KIND_COUNT;
}

/**
 * local_new() - serve requests
 * @listener:	bound, listening, non-blocking SOCK_SEQPACKET socket; owned from here on, also on failure
 * Return: NULL when out of memory
 */
struct local *local_new(struct node *node, int listener);

/** local_free() - closes all requests; sessions they wait for are cancelled */
void local_free(struct local *local);

/** local_count() - requests that are open */
unsigned int local_count(const struct local *local);

/** local_trusted() - of these those of our own user, or with our token: what others do keeps us from nothing */
unsigned int local_trusted(const struct local *local);

/** local_handed_in() - another user's request, from his porter. @fd: its socket, owned from here on */
void local_handed_in(struct local *local, int fd);

/** local_foreign_limit() - as many of @most as other users may have, with the descriptors that there are */
unsigned int local_foreign_limit(unsigned int most);

/** local_listener() - the listening socket, for a new keeper; -1 after local_close() */
int local_listener(const struct local *local);

/** local_take() - take what waits in the backlog */
void local_take(struct local *local);

/**
 * local_close() - take no new requests: clients get ECONNREFUSED from now on, those that were
 * in the backlog are still served
 */
void local_close(struct local *local);

/** local_stopped() - answer all LOCAL_STOP and LOCAL_YIELD requests; they are sent when the call returns */
void local_stopped(struct local *local);

#endif
