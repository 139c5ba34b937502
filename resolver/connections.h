/* SPDX-License-Identifier: MIT */
/*
 * connections.h - INTERFACE - memory of sockets given away, for status
 *
 * Holds no descriptor: bytes and liveness are asked of the kernel (NETLINK_SOCK_DIAG) by the four-tuple and cookie.
 */
#ifndef PUNCH_CONNECTIONS_H
#define PUNCH_CONNECTIONS_H

#include "resolver/peers.h"

/** connections_add() - note a socket before it is handed over; @fd stays the caller's */
void connections_add(struct node *node, const char *peer, uint16_t port, bool incoming, int fd,
		     enum local_path path, uint32_t setup_us);

#endif
