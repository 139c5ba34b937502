/* SPDX-License-Identifier: MIT */
/*
 * nonces.h - which tickets were used already
 *
 * Pure (libc only).  A nonce is remembered until its ticket expires, when ticket_open() refuses it
 * anyway.  The memory is bounded, and shared fairly between the addresses that use tickets.
 */
#ifndef RELAY_NONCES_H
#define RELAY_NONCES_H

#include <stdint.h>

#include "common/endpoint.h"

#define NONCE_SIZE	16	/* bytes, as in common/ticket.h */

struct nonces;

/**
 * nonces_new()
 * @count:	remembered at one time
 * @part:	an address that has used fewer than one in @part of what is free, or none, may use another one
 * Return: nonces_free(), or NULL without memory
 */
struct nonces *nonces_new(unsigned int count, unsigned int part);
void nonces_free(struct nonces *nonces);

/**
 * nonces_use() - use up a nonce
 * @from:	who shows the ticket
 * @expires_s:	last second in which its ticket is valid, Unix time
 * @now_s:	Unix time
 * Return: 0, -EALREADY (used before), -EUSERS or -ENOBUFS (no room to remember it: refuse the ticket, which stays
 * good), or -ENOMEM
 */
int nonces_use(struct nonces *nonces, const uint8_t nonce[NONCE_SIZE], const struct endpoint *from,
	       uint64_t expires_s, uint64_t now_s);

#endif
