/* SPDX-License-Identifier: MIT */
/*
 * syn.h - the first packet of a connection, without waiting for what comes of it
 */
#ifndef PUNCH_SYN_H
#define PUNCH_SYN_H

#include <stdint.h>

#include "common/endpoint.h"

/**
 * syn_connect() - connect() of a non-blocking socket
 * @family:	of the socket: an AF_INET6 one (dual-stack) may go to an IPv4 address
 * Return: 0 once the SYN is on its way (or the connection made), or -errno of connect()
 */
int syn_connect(int fd, int family, const struct endpoint *to);

/**
 * syn_punch() - the same for a socket that opens a NAT: what routers and the far NAT say of its SYN does not end it
 *
 * The socket keeps an IP_MINTTL towards IPv4: take it off before a program gets it.
 * @ttl:	of this SYN alone, IPv4: the outermost NAT's distance and one more, so that it dies before the peer's
 *		NAT, which might refuse it. The kernel's repetitions, from 1 s on, have the system's. 0: this one too
 */
int syn_punch(int fd, int family, const struct endpoint *to, unsigned int ttl);

#endif
