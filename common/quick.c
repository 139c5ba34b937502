/* SPDX-License-Identifier: MIT */
/*
 * quick.c - quick mode: every key from a secret word and a name
 *
 * scrypt makes guessing the word dear: who guesses (the server, which sees public keys
 * and sealed names) pays 64 MiB and a fifth of a second for each try.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "common/quick.h"
#include "common/secret.h"

#define SCRYPT_N	(1u << 16)	/* with r = 8: 64 MiB; RFC 7914 section 2 */
#define SCRYPT_R	8
#define SCRYPT_P	1
#define SCRYPT_MEMORY	(80u << 20)	/* bytes allowed: 128 * N * r, and some for the rest */
#define NONCE		12		/* bytes, AES-GCM (SP 800-38D 8.2) */
#define TAG		16

static const char salt[] = "punch quick mode v1";
static const char suffix[] = ".punch";

int quick_init(struct quick *quick, const char *word)
{
	size_t size = strlen(word);

	memset(quick, 0, sizeof(*quick));
	if (size == 0 || size >= LIMIT_SECRET)
		return -EINVAL;
	if (EVP_PBE_scrypt(word, size, (const unsigned char *)salt, sizeof(salt) - 1, SCRYPT_N, SCRYPT_R,
			   SCRYPT_P, SCRYPT_MEMORY, quick->master, sizeof(quick->master)) == 1)
		return 0;
	quick_wipe(quick);
	ERR_clear_error();
	return -ENOMEM;
}

void quick_wipe(struct quick *quick)
{
	OPENSSL_cleanse(quick, sizeof(*quick));
}

/* Lower case, without ".punch": "Bob.punch" is "bob". Return: bytes, or 0 when it is no name */
static size_t canonical(char out[LIMIT_NAME], const char *name)
{
	size_t size = strlen(name), end = sizeof(suffix) - 1, i;

	if (size >= LIMIT_NAME + end)
		return 0;
	if (size >= end && strcasecmp(name + size - end, suffix) == 0)
		size -= end;
	if (size >= LIMIT_NAME)
		return 0;
	for (i = 0; i < size; i++) {
		out[i] = name[i];
		if (out[i] >= 'A' && out[i] <= 'Z')	/* not tolower(): a locale must not change keys */
			out[i] = (char)(out[i] - 'A' + 'a');
	}
	out[size] = '\0';
	return size;
}

int quick_key(const struct quick *quick, const char *name, struct key *key)
{
	static const char label[] = "node";	/* with its NUL */
	uint8_t info[sizeof(label) + LIMIT_NAME], seed[KEY_SIZE];
	char lower[LIMIT_NAME];
	size_t size = canonical(lower, name);
	int rc = -EIO;

	memset(key, 0, sizeof(*key));
	if (size == 0)
		return -EINVAL;
	memcpy(info, label, sizeof(label));
	memcpy(info + sizeof(label), lower, size);
	if (secret_expand(seed, sizeof(seed), quick->master, "", info, sizeof(label) + size) == 0)
		rc = key_from_seed(key, seed);
	OPENSSL_cleanse(seed, sizeof(seed));
	return rc;
}

int quick_meeting(const struct quick *quick, uint8_t key[32])
{
	static const uint8_t label[] = { 'm', 'e', 'e', 't' };

	return secret_expand(key, 32, quick->master, "", label, sizeof(label));
}

/* Start AES-256-GCM with the session and both keys as associated data */
static EVP_CIPHER_CTX *seal_start(const struct quick *quick, const uint8_t *nonce, int encrypt,
				  const uint8_t session[SESSION_SIZE], const uint8_t caller[KEY_SIZE],
				  const uint8_t callee[KEY_SIZE])
{
	static const uint8_t label[] = { 's', 'e', 'a', 'l' };
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t key[32];
	int n, good;

	good = ctx && secret_expand(key, sizeof(key), quick->master, "", label, sizeof(label)) == 0 &&
	       EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce, encrypt) == 1 &&
	       EVP_CipherUpdate(ctx, NULL, &n, session, SESSION_SIZE) == 1 &&
	       EVP_CipherUpdate(ctx, NULL, &n, caller, KEY_SIZE) == 1 &&
	       EVP_CipherUpdate(ctx, NULL, &n, callee, KEY_SIZE) == 1;
	OPENSSL_cleanse(key, sizeof(key));
	if (good)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

int quick_seal(const struct quick *quick, const char *name, const uint8_t session[SESSION_SIZE],
	       const uint8_t caller[KEY_SIZE], const uint8_t callee[KEY_SIZE],
	       uint8_t sealed[QUICK_SEALED_MAX])
{
	char plain[LIMIT_NAME] = "";	/* padded: the size would tell the name's length */
	EVP_CIPHER_CTX *ctx;
	int rc = -EIO, n;

	if (*name && canonical(plain, name) == 0)
		return -EINVAL;
	secret_random(sealed, NONCE);
	ctx = seal_start(quick, sealed, 1, session, caller, callee);
	if (ctx && EVP_CipherUpdate(ctx, sealed + NONCE, &n, (const uint8_t *)plain, LIMIT_NAME) == 1 &&
	    n == LIMIT_NAME && EVP_CipherFinal_ex(ctx, sealed + NONCE + LIMIT_NAME, &n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, sealed + NONCE + LIMIT_NAME) == 1)
		rc = QUICK_SEALED_MAX;
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	return rc;
}

int quick_open(const struct quick *quick, const uint8_t *sealed, size_t size,
	       const uint8_t session[SESSION_SIZE], const uint8_t caller[KEY_SIZE],
	       const uint8_t callee[KEY_SIZE], char name[LIMIT_NAME])
{
	uint8_t plain[LIMIT_NAME + TAG], tag[TAG];
	EVP_CIPHER_CTX *ctx;
	int rc = -EBADMSG, n;

	name[0] = '\0';
	if (size != QUICK_SEALED_MAX)
		return -EBADMSG;
	memcpy(tag, sealed + NONCE + LIMIT_NAME, TAG);
	ctx = seal_start(quick, sealed, 0, session, caller, callee);
	if (ctx && EVP_CipherUpdate(ctx, plain, &n, sealed + NONCE, LIMIT_NAME) == 1 && n == LIMIT_NAME &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
	    EVP_CipherFinal_ex(ctx, plain + LIMIT_NAME, &n) == 1 && plain[LIMIT_NAME - 1] == '\0') {
		memcpy(name, plain, LIMIT_NAME);
		rc = 0;
	}
	EVP_CIPHER_CTX_free(ctx);
	OPENSSL_cleanse(plain, sizeof(plain));
	ERR_clear_error();
	return rc;
}
