/* SPDX-License-Identifier: MIT */
/*
 * nonces.h - which tickets were used already
 *
 * Pure.  A fixed table: a nonce is remembered until its ticket expires, when ticket_open() refuses it anyway.
 */
#ifndef RELAY_NONCES_H
#define RELAY_NONCES_H

#include <stdint.h>

#define NONCE_SIZE	16	/* bytes, as in common/ticket.h */

struct nonces;

/** nonces_new() - @count: a multiple of 32. Return: nonces_free(), or NULL without memory */
struct nonces *nonces_new(unsigned int count);
void nonces_free(struct nonces *nonces);

/**
 * nonces_use() - use up a nonce
 * @expires_s:	last second in which its ticket is valid, Unix time
 * @now_s:	Unix time
 * Return: 0, -EALREADY (used before), -ENOBUFS (no room to remember it: refuse the ticket)
 */
int nonces_use(struct nonces *nonces, const uint8_t nonce[NONCE_SIZE], uint64_t expires_s,
	       uint64_t now_s);

#endif
