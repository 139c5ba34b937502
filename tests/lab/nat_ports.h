/* SPDX-License-Identifier: MIT */
/* How the NAT chooses the outside port of a new mapping. */
#ifndef LAB_NAT_PORTS_H
#define LAB_NAT_PORTS_H

#include "nat_table.h"

/**
 * nat_port_choose() - Give a new mapping its outside port
 * @n:	box
 * @m:	the mapping, not in the tables yet; out.port is written
 *
 * Return: 0, or -ENOSPC if no port is free.
 */
int nat_port_choose(struct nat *n, struct nat_map *m);

/**
 * nat_port_taken() - Whether some mapping holds an outside port
 * @n:		box
 * @proto:	protocol
 * @out:	outside address and port
 *
 * Return: true if it does.
 */
bool nat_port_taken(const struct nat *n, uint8_t proto, const struct nat_end *out);

#endif
