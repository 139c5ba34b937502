/* SPDX-License-Identifier: MIT */
/*
 * connections_internal.h - the local side's view of the sockets given away
 */
#ifndef PUNCH_CONNECTIONS_INTERNAL_H
#define PUNCH_CONNECTIONS_INTERNAL_H

#include "resolver/connections.h"

#define CONNECTIONS_SHOWN 256	/* by status, of the newest */
/* open ones, to be ended when their peer is revoked: 2 MB; then the peer with most loses its oldest */
#define CONNECTIONS_MAX	4096

/**
 * struct connection - one socket that a program (or a splice) has
 * @port:	of the service, at the side that serves it
 * @key:	of the peer when the connection was made
 * @defied:	its peer was revoked, but it could not be ended; that was logged
 * @since:	clock_now() when it was handed over
 * @closed:	clock_now() when it was first seen to be closed, 0 while it is open
 */
struct connection {
	char peer[LIMIT_HOST];
	uint8_t key[KEY_SIZE];
	uint16_t port;
	bool incoming, defied;
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

/** connections_get() - iterate, the oldest first. Return: NULL past the end; not const: who ends it notes it there */
struct connection *connections_get(const struct node *node, unsigned int i);
unsigned int connections_count(const struct node *node);

/** connections_open() - is one of them open, as far as was seen? */
bool connections_open(const struct node *node);

/** connections_restore() - one that was saved; dropped when the kernel does not know it any more */
void connections_restore(struct node *node, const struct connection *saved);

/** connection_path_name() - "lan", "direct", "relay", "none" */
const char *connection_path_name(enum local_path path);

#endif
