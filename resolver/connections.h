/* SPDX-License-Identifier: MIT */
/*
 * connections.h - INTERFACE - memory of sockets given away, for status
 *
 * Holds no descriptor: bytes and liveness are asked of the kernel (NETLINK_SOCK_DIAG) by the four-tuple and cookie.
 */
#ifndef PUNCH_CONNECTIONS_H
#define PUNCH_CONNECTIONS_H

#include "resolver/encrypt.h"
#include "resolver/peers.h"

/**
 * struct track_socket - what tells one TCP socket from all others
 * @cookie:	0: none
 */
struct track_socket {
	struct endpoint local, remote;
	uint64_t cookie;
};

/**
 * struct track - the sockets of a connection, and what was done for its payload
 * @path:	cookie 0: the far end had closed it already, there is nothing to show
 * @end:	ENCRYPT_PUMP: the program's end of the local connection with the pump, else cookie 0
 */
struct track {
	struct track_socket path;
	enum encrypt_cover cover;
	struct track_socket end;
};

/** connections_track() - @fd: the path, stays the caller's */
void connections_track(int fd, struct track *track);

/** connections_track_end() - @fd: what the program gets instead of the path, stays the caller's */
void connections_track_end(int fd, struct track *track);

/** connections_add() - note a connection before it is handed over */
void connections_add(struct node *node, const struct peer *peer, uint16_t port, bool incoming,
		     const struct track *track, enum local_path path, uint32_t setup_us);

#endif
