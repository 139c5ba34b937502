/* SPDX-License-Identifier: MIT */
/*
 * tether.h - probe connections that outlive their session, because a NAT may take them for the mapping itself
 */
#ifndef PUNCH_TETHER_H
#define PUNCH_TETHER_H

#include "resolver/connections.h"
#include "resolver/ports.h"

struct tethers;

/** tethers_new(), tethers_free() - Return: NULL when out of memory */
struct tethers *tethers_new(struct node *node);
void tethers_free(struct tethers *tethers);

/**
 * tether_hold() - keep a port's probe connections for as long as a connection lives
 * @port:	owned from here on, in any case
 * @track:	the connection that was punched from it
 */
void tether_hold(struct tethers *tethers, struct port *port, const struct track *track);

#endif
