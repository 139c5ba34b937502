/* SPDX-License-Identifier: MIT */
/*
 * standin.h - INTERFACE - stand-in addresses and the doorbell pool
 *
 * Pure (libc only).  A peer's name resolves to a stand-in address in
 * 239.192.0.0/14 (RFC 2365 organisation-local multicast), or for AF_INET6
 * alone in ff18:7075:6e63:6800::/64.  TCP to such an address fails at once
 * with ENETUNREACH and sends nothing where the shim is absent (measured).
 * The resolver gives each peer a slot, 1 .. STANDIN_SLOTS - 2; slot n is
 * 239.192.0.0 + n and ff18:7075:6e63:6800::n.
 *
 * Doorbells reach a program's listener from DOORBELL_NET, 127.112.0.0/16.
 */
#ifndef PUNCH_STANDIN_H
#define PUNCH_STANDIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/endpoint.h"

#define STANDIN_SLOTS	(1u << 18)	/* addresses in a /14 */
#define DOORBELL_NET	0x7f700000u	/* 127.112.0.0/16, host order */
#define DOORBELL_MASK	0xffff0000u

/** standin_endpoint() - the address of a slot. @family: AF_INET or AF_INET6 */
void standin_endpoint(struct endpoint *ep, int family, uint32_t slot, uint16_t port);

/** standin_slot() - inverse. Return: slot, or 0 when @ep is no stand-in address */
uint32_t standin_slot(const struct endpoint *ep);

/** standin_is_sockaddr() - quick test on a raw sockaddr (also v4-mapped); safe on any length */
bool standin_is_sockaddr(const struct sockaddr *sa, socklen_t len);

/** doorbell_is_sockaddr() - is this a source in DOORBELL_NET (also v4-mapped)? */
bool doorbell_is_sockaddr(const struct sockaddr *sa, socklen_t len);

#endif
