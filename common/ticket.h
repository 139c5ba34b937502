/* SPDX-License-Identifier: MIT */
/*
 * ticket.h - INTERFACE - right to use a relay once, given by the rendezvous
 *
 * HMAC-SHA256 under the relay secret (a file of 32 random bytes in base64, mode 0600,
 * shared by rendezvous and relays).  The context "punch relay ticket v1" || 0x00 is part of what is MACed.
 */
#ifndef PUNCH_TICKET_H
#define PUNCH_TICKET_H

#include <stddef.h>
#include <stdint.h>

#include "common/limits.h"

/* from issue to presentation: as long as a connection attempt can last */
#define TICKET_LIFETIME_S	TIMEOUT_MOST_S
#define TICKET_MAX		512	/* bytes of a sealed ticket; real ones have about 190 */
#define RELAY_SECRET_SIZE	32

enum ticket_side { TICKET_CALLER = 1, TICKET_CALLEE = 2 };

struct ticket {
	uint8_t session[SESSION_SIZE];
	enum ticket_side side;
	uint8_t caller_key[KEY_SIZE];
	uint8_t callee_key[KEY_SIZE];
	uint64_t expires_s;		/* Unix time */
	uint8_t nonce[16];
};

/** ticket_seal() - Return: bytes written to @out, or -errno */
int ticket_seal(const struct ticket *ticket, const uint8_t secret[RELAY_SECRET_SIZE],
		uint8_t out[TICKET_MAX]);

/** ticket_open() - Return: 0, -EBADMSG (malformed or wrong MAC), -ETIME (expired at @now_s) */
int ticket_open(struct ticket *ticket, const uint8_t secret[RELAY_SECRET_SIZE],
		const uint8_t *data, size_t size, uint64_t now_s);

/**
 * ticket_secret_load() - read the secret file; with @make, create it (mode 0600, O_EXCL) when missing
 * @why:	one line for people on failure
 * Return: 0 or -errno
 */
int ticket_secret_load(uint8_t secret[RELAY_SECRET_SIZE], const char *path, int make,
		       char *why, size_t size);

#endif
