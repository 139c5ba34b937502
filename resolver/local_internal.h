/* SPDX-License-Identifier: MIT */
/*
 * local_internal.h - the server of common/local.h
 */
#ifndef PUNCH_LOCAL_INTERNAL_H
#define PUNCH_LOCAL_INTERNAL_H

#include "resolver/node.h"

#define LOCAL_REQUESTS	1024	/* open at one time; a program with that many connects under way waits in the backlog */
#define LOCAL_FOREIGN	256	/* of these by other users, who can open connections but ask for little */

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

/** local_listener() - the listening socket, for a new keeper; -1 after local_close() */
int local_listener(const struct local *local);

/**
 * local_pending() - does somebody wait in the backlog?
 */
bool local_pending(const struct local *local);

/**
 * local_close() - take no new requests: clients get ECONNREFUSED from now on, those that were
 * in the backlog are still served
 */
void local_close(struct local *local);

/** local_stopped() - answer all LOCAL_STOP and LOCAL_YIELD requests; they are sent when the call returns */
void local_stopped(struct local *local);

#endif
