/* SPDX-License-Identifier: MIT */
/*
 * quick.h - INTERFACE - quick mode: every key from a secret word and a name
 *
 * master = scrypt(word, "punch quick mode v1", N = 2^16, r = 8, p = 1) (RFC 7914; 64 MiB, about 0.2 s);
 * node key seed = HKDF-SHA256(master, info = "node" || 0x00 || name);
 * sealing key   = HKDF-SHA256(master, info = "seal");
 * meeting key   = HKDF-SHA256(master, info = "meet").
 *
 * Both ends compute the server side's public key from its name, so they pin it.
 * A caller proves that it knows the word by sealing its name (may be empty) with AES-256-GCM under the
 * sealing key, with the session and both public keys as associated data.
 * The server sees public keys and ciphertext, neither word nor name.
 */
#ifndef PUNCH_QUICK_H
#define PUNCH_QUICK_H

#include <stddef.h>
#include <stdint.h>

#include "common/key.h"
#include "common/limits.h"

struct quick {
	uint8_t master[32];
};

/** quick_init() - runs scrypt: 0.2 s and 64 MiB. @word: not empty. Return: 0, -EINVAL, -ENOMEM */
int quick_init(struct quick *quick, const char *word);
void quick_wipe(struct quick *quick);

/** quick_key() - node key of a name, lower-cased ("bob", without ".punch"). Return: 0 or -EIO */
int quick_key(const struct quick *quick, const char *name, struct key *key);

/**
 * quick_meeting() - what all who know the word share, to meet without a server (common/meeting.h). Return: 0 or -EIO
 */
int quick_meeting(const struct quick *quick, uint8_t key[32]);

#define QUICK_SEALED_MAX (12 + LIMIT_NAME + 16)	/* nonce, name, tag */

/** quick_seal() - Return: bytes written to @sealed or -errno */
int quick_seal(const struct quick *quick, const char *name, const uint8_t session[SESSION_SIZE],
	       const uint8_t caller[KEY_SIZE], const uint8_t callee[KEY_SIZE],
	       uint8_t sealed[QUICK_SEALED_MAX]);

/** quick_open() - Return: 0 and the name, or -EBADMSG when the far end does not know the word */
int quick_open(const struct quick *quick, const uint8_t *sealed, size_t size,
	       const uint8_t session[SESSION_SIZE], const uint8_t caller[KEY_SIZE],
	       const uint8_t callee[KEY_SIZE], char name[LIMIT_NAME]);

#endif
