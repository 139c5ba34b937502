/* SPDX-License-Identifier: MIT */
/*
 * key.h - INTERFACE - Ed25519 identities of nodes and servers
 *
 * A public key is 32 bytes, written as 44 characters of base64.  A private key is a PEM file
 * (PKCS#8, as `openssl genpkey -algorithm ed25519` makes), mode 0600.
 */
#ifndef PUNCH_KEY_H
#define PUNCH_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/evp.h>

#include "common/limits.h"

struct key {
	uint8_t public[KEY_SIZE];
	EVP_PKEY *private;	/* owned; NULL in a key that only names somebody */
};

/** key_generate() - new random key. Return: 0 or -ENOMEM/-EIO */
int key_generate(struct key *key);

/** key_from_seed() - the key of a 32-byte private seed (RFC 8032) */
int key_from_seed(struct key *key, const uint8_t seed[KEY_SIZE]);

/**
 * key_load() - read a private key file
 * Refuses files that others may read or write (-EPERM), other key types (-EKEYREJECTED).
 * @why:	receives one line for people on failure, naming the file; @size bytes
 * Return: 0 or -errno
 */
int key_load(struct key *key, const char *path, char *why, size_t size);

/** key_save() - write a new file, mode 0600, O_EXCL, fsync; never overwrites (-EEXIST). @why as above */
int key_save(const struct key *key, const char *path, char *why, size_t size);

/** key_wipe() - free and zero */
void key_wipe(struct key *key);

/** key_text() - base64 of a public key. Return: @text */
const char *key_text(const uint8_t public[KEY_SIZE], char text[KEY_TEXT_SIZE]);

/** key_parse() - base64 text, exactly 44 characters. Return: 0 or -EINVAL */
int key_parse(uint8_t public[KEY_SIZE], const char *text);

/*
 * Signatures are over CONTEXT || 0x00 || body, so that one made for one use is
 * worthless for another.
 */
#define KEY_CONTEXT_INVITATION	"punch invitation v1"
#define KEY_CONTEXT_ANSWER	"punch answer v1"

/** key_sign() - Return: 0 or -EIO */
int key_sign(const struct key *key, const char *context, const uint8_t *body, size_t size,
	     uint8_t signature[SIGNATURE_SIZE]);

/** key_verify() - Return: true when the signature is good */
bool key_verify(const uint8_t public[KEY_SIZE], const char *context, const uint8_t *body, size_t size,
		const uint8_t signature[SIGNATURE_SIZE]);

#endif
