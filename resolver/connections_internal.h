/* SPDX-License-Identifier: MIT */
/*
 * connections_internal.h - the local side's view of the sockets given away
 */
#ifndef PUNCH_CONNECTIONS_INTERNAL_H
#define PUNCH_CONNECTIONS_INTERNAL_H

#include "resolver/connections.h"

#define CONNECTIONS_MAX	256	/* shown by status; older ones are forgotten first */

/**
 * struct connection - one socket that a program (or a splice) has
 * @port:	of the service, at the side that serves it
 * @since:	clock_now() when it was handed over
 * @closed:	clock_now() when it was first seen to be closed, 0 while it is open
 */
struct connection {
	char peer[LIMIT_HOST];
	uint16_t port;
	bool incoming;
	enum local_path path;
	uint32_t setup_us;
	uint64_t since, closed;
	struct track track;
	uint64_t bytes_in, bytes_out;	/* on the wire */
};

/** connections_new(), connections_free() - Return: NULL when out of memory */
struct connections *connections_new(void);
void connections_free(struct connections *connections);

/** connections_refresh() - ask the kernel for bytes, note what is closed, forget what was closed long ago */
void connections_refresh(struct node *node);

/** connections_get() - iterate. Return: NULL past the end */
const struct connection *connections_get(const struct node *node, unsigned int i);

/** connection_path_name() - "lan", "direct", "relay", "none" */
const char *connection_path_name(enum local_path path);

#endif
