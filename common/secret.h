/* SPDX-License-Identifier: MIT */
/*
 * secret.h - INTERFACE - the secret that two ends of a session share
 *
 * X25519 of two fresh keys, then HKDF-SHA256 with the transcript (both signed bodies,
 * which name the session and both Ed25519 keys) as salt-bound info.  The server forwards the
 * ephemeral keys but knows neither private half, and cannot change them: they are signed.
 */
#ifndef PUNCH_SECRET_H
#define PUNCH_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/evp.h>

#include "common/limits.h"

struct ephemeral {
	uint8_t public[KEY_SIZE];
	EVP_PKEY *private;	/* owned */
};

/** ephemeral_make() - fresh X25519 pair. Return: 0 or -EIO */
int ephemeral_make(struct ephemeral *e);
void ephemeral_wipe(struct ephemeral *e);

/**
 * struct secret - keys of one session, each 32 bytes, independent of each other
 * @caller:	MAC key of preambles the caller sends
 * @callee:	MAC key of preambles the callee sends
 * @nominate:	MAC key of the nomination
 * @traffic:	for the encryption of payload
 */
struct secret {
	uint8_t caller[32];
	uint8_t callee[32];
	uint8_t nominate[32];
	uint8_t traffic[32];
};

/**
 * secret_derive() - both ends get the same
 * @own:	own ephemeral key
 * @other:	the far end's ephemeral public key; all-zero results are refused (RFC 7748, 6.1)
 * @invitation, @answer:	bodies as signed
 * Return: 0, -EKEYREJECTED (low-order point) or -EIO
 */
int secret_derive(struct secret *secret, const struct ephemeral *own, const uint8_t other[KEY_SIZE],
		  const uint8_t *invitation, size_t invitation_size,
		  const uint8_t *answer, size_t answer_size);
void secret_wipe(struct secret *secret);

/**
 * secret_expand() - HKDF-SHA256 (RFC 5869) of a 32-byte key
 * @salt:	a fixed label, or "" for none
 * @info:	what the result is for
 * Return: 0 or -EIO
 */
int secret_expand(uint8_t *out, size_t size, const uint8_t key[32], const char *salt,
		  const uint8_t *info, size_t info_size);

/** secret_mac() - HMAC-SHA256 under a 32-byte key. Return: 0 or -EIO */
int secret_mac(const uint8_t key[32], const void *data, size_t size, uint8_t mac[32]);

/** secret_equal() - in a time that does not depend on the contents */
bool secret_equal(const void *a, const void *b, size_t size);

/** secret_hash() - SHA-256. Return: 0 or -EIO */
int secret_hash(const void *data, size_t size, uint8_t hash[HASH_SIZE]);

/** secret_random() - RAND_bytes; aborts the program when the system has no randomness */
void secret_random(void *data, size_t size);

#endif
