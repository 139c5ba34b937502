/* SPDX-License-Identifier: MIT */
/*
 * quick_plain.h - what somebody who knows the word can seal in place of a name: any bytes
 *
 * Written after the formula of common/quick.h, for quick_seal() seals nothing but names.
 */
#ifndef PUNCH_TESTS_QUICK_PLAIN_H
#define PUNCH_TESTS_QUICK_PLAIN_H

#include <stdbool.h>
#include <openssl/evp.h>

#include "common/quick.h"
#include "common/secret.h"

/** quick_plain_seal() - @plain as it is, not ended by a NUL. Return: false when OpenSSL would not */
static inline bool quick_plain_seal(const struct quick *quick, const uint8_t plain[LIMIT_NAME],
				    const uint8_t session[SESSION_SIZE], const uint8_t caller[KEY_SIZE],
				    const uint8_t callee[KEY_SIZE], uint8_t sealed[QUICK_SEALED_MAX])
{
	static const uint8_t label[] = { 's', 'e', 'a', 'l' };
	uint8_t key[32], *cipher = sealed + 12, *tag = cipher + LIMIT_NAME;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool good;
	int n;

	secret_random(sealed, 12);
	good = ctx && secret_expand(key, sizeof(key), quick->master, "", label, sizeof(label)) == 0 &&
	       EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, sealed) == 1 &&
	       EVP_EncryptUpdate(ctx, NULL, &n, session, SESSION_SIZE) == 1 &&
	       EVP_EncryptUpdate(ctx, NULL, &n, caller, KEY_SIZE) == 1 &&
	       EVP_EncryptUpdate(ctx, NULL, &n, callee, KEY_SIZE) == 1 &&
	       EVP_EncryptUpdate(ctx, cipher, &n, plain, LIMIT_NAME) == 1 &&
	       EVP_EncryptFinal_ex(ctx, tag, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return good;
}

#endif
