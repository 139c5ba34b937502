/* SPDX-License-Identifier: MIT */
/*
 * relayleg.h - INTERFACE - one side's connection to a relay, up to "joined"
 */
#ifndef PUNCH_RELAYLEG_H
#define PUNCH_RELAYLEG_H

#include "resolver/node.h"

struct relayleg;

/**
 * relayleg_done - fd: joined raw pipe, non-blocking, owned by the callee of this callback; or
 * -1 with @error (-errno) and @text
 */
typedef void relayleg_done(void *arg, int fd, int error, const char *text);

/**
 * relayleg_new() - resolve, connect, present the ticket, wait for the other side
 * @server:	the rendezvous that made the offer: see endpoint_may_refer()
 * @address:	HOST or literal (RelayOffer.address; never empty here)
 * @family:	AF_INET: the socket must be IPv4; AF_INET6: an IPv6 socket (v4-mapped for IPv4 relays)
 * @ticket:	copied
 * The callback is never called from inside; it is called once, and the leg is freed by itself then.
 */
struct relayleg *relayleg_new(struct node *node, const struct endpoint *server, const char *address,
			      uint16_t port, int family, const uint8_t *ticket, size_t size, relayleg_done *done,
			      void *arg);

/** relayleg_cancel() - close without calling back */
void relayleg_cancel(struct relayleg *leg);

#endif
