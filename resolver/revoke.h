/* SPDX-License-Identifier: MIT */
/*
 * revoke.h - a peer that is one no longer loses the connections that it has
 *
 * Revoked is a connection whose peer's key is no [peer]'s any more, or whose service, which
 * this side still has, does not allow the peer any more.
 */
#ifndef PUNCH_REVOKE_H
#define PUNCH_REVOKE_H

#include <stdbool.h>
#include <stdint.h>

#include "resolver/connections.h"
#include "resolver/node.h"

/**
 * revoke_allows() - may who has @key have a connection?
 * @conf:	by these settings
 * @incoming:	to our service on @port; else from us to the peer
 */
bool revoke_allows(const struct conf_node *conf, const uint8_t key[KEY_SIZE], bool incoming, uint16_t port);

/**
 * revoke_end() - end one connection, in the ways of revoke_connections()
 * Return: 0 ended or gone already, else -errno: why not
 */
int revoke_end(const struct track *track);

/**
 * revoke_connections() - end all that @conf does not allow
 *
 * By SOCK_DESTROY where we may (CAP_NET_ADMIN); else by shutdown() on a copy of the program's socket, which takes the
 * right to trace the program (ptrace(2), PTRACE_MODE_ATTACH_REALCREDS): one's own programs, unless they are set-uid or
 * Yama forbids it.  What cannot be ended is logged once for each connection, and tried again when called again.
 * A pumped connection is ended at the program's end: the pump ends the path when that is gone.
 */
void revoke_connections(struct node *node, const struct conf_node *conf);

#endif
