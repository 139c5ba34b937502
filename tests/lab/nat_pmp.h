/* SPDX-License-Identifier: MIT */
/*
 * NAT-PMP (RFC 6886) of the lab's own NAT, with pmp=on.
 *
 * The real miniupnpd is tried on the kernel's NAT (test_port_mapping.sh); it cannot serve a box of our own, whose
 * behaviours the kernel has not.
 */
#ifndef LAB_NAT_PMP_H
#define LAB_NAT_PMP_H

#include "nat_table.h"

/**
 * nat_pmp_answer() - Serve a request of a host behind the box
 * @n:		box
 * @host:	index of the host
 * @v:		a packet to the box itself
 *
 * Return: false if it is none: not UDP over IPv4 to port 5351, or the box has pmp=off.
 */
bool nat_pmp_answer(struct nat *n, unsigned int host, const struct nat_view *v);

#endif
