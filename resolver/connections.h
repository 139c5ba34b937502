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
 * struct track - what tells one path's socket from all others, and what was done for its payload
 * @cookie:	0: the far end had closed it already, there is nothing to show
 *
 * Taken from the path itself: what the program gets instead may be a local socket of a pump.
 */
struct track {
	struct endpoint local, remote;
	uint64_t cookie;
	enum encrypt_cover cover;
};

/** connections_track() - @fd: the path, stays the caller's */
void connections_track(int fd, struct track *track);

/** connections_add() - note a connection before it is handed over */
void connections_add(struct node *node, const char *peer, uint16_t port, bool incoming, const struct track *track,
		     enum local_path path, uint32_t setup_us);

#endif
