/* SPDX-License-Identifier: MIT */
/*
 * secret.c - X25519 and HKDF: the secret that two ends of a session share
 *
 * The transcript is bound by its hashes rather than by the bodies themselves, so that
 * the info has a fixed size and no two pairs of bodies give the same one:
 * info = "punch session v1" || 0x00 || SHA-256(invitation) || SHA-256(answer).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#include "common/secret.h"

static const char session_salt[] = "punch session salt v1";
static const char label[] = "punch session v1";

int ephemeral_make(struct ephemeral *e)
{
	size_t size = KEY_SIZE;

	e->private = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	if (e->private && EVP_PKEY_get_raw_public_key(e->private, e->public, &size) == 1)
		return 0;
	ephemeral_wipe(e);
	ERR_clear_error();
	return -EIO;
}

void ephemeral_wipe(struct ephemeral *e)
{
	EVP_PKEY_free(e->private);
	OPENSSL_cleanse(e, sizeof(*e));
	e->private = NULL;
}

void secret_wipe(struct secret *secret)
{
	OPENSSL_cleanse(secret, sizeof(*secret));
}

int secret_hash(const void *data, size_t size, uint8_t hash[HASH_SIZE])
{
	size_t bytes = HASH_SIZE;

	return EVP_Q_digest(NULL, "SHA256", NULL, data, size, hash, &bytes) == 1 ? 0 : -EIO;
}

void secret_random(void *data, size_t size)
{
	/* sessions and nonces that repeat are worse than no service */
	if (size > INT32_MAX || RAND_bytes(data, (int)size) != 1)
		abort();
}

/*
 * RFC 7748 6.1: a low-order point of the far end's choosing gives a shared value of
 * zero, which the server would know.  OpenSSL refuses it by itself; it is checked here
 * all the same, because so much hangs on it.
 */
static int agree(uint8_t shared[32], const struct ephemeral *own, const uint8_t other[KEY_SIZE])
{
	static const uint8_t zero[32];
	EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, other, KEY_SIZE);
	EVP_PKEY_CTX *ctx = own->private ? EVP_PKEY_CTX_new(own->private, NULL) : NULL;
	size_t size = 32;
	int rc = -EIO;

	if (peer && ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1) {
		rc = EVP_PKEY_derive(ctx, shared, &size) == 1 && size == 32 ? 0 : -EKEYREJECTED;
		if (rc == 0 && CRYPTO_memcmp(shared, zero, 32) == 0)
			rc = -EKEYREJECTED;
	}
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	return rc;
}

int secret_mac(const uint8_t key[32], const void *data, size_t size, uint8_t mac[32])
{
	unsigned int bytes = 32;

	return HMAC(EVP_sha256(), key, 32, data, size, mac, &bytes) && bytes == 32 ? 0 : -EIO;
}

bool secret_equal(const void *a, const void *b, size_t size)
{
	return CRYPTO_memcmp(a, b, size) == 0;
}

int secret_expand(uint8_t *out, size_t size, const uint8_t key[32], const char *salt,
		  const uint8_t *info, size_t info_size)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
	size_t salt_size = strlen(salt);
	int rc = -EIO;

	if (ctx && salt_size < 128 && info_size < 1024 && EVP_PKEY_derive_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_hkdf_md(ctx, EVP_sha256()) == 1 &&
	    EVP_PKEY_CTX_set1_hkdf_salt(ctx, (const unsigned char *)salt, (int)salt_size) == 1 &&
	    EVP_PKEY_CTX_set1_hkdf_key(ctx, key, 32) == 1 &&
	    EVP_PKEY_CTX_add1_hkdf_info(ctx, info, (int)info_size) == 1 &&
	    EVP_PKEY_derive(ctx, out, &size) == 1)
		rc = 0;
	EVP_PKEY_CTX_free(ctx);
	return rc;
}

int secret_derive(struct secret *secret, const struct ephemeral *own, const uint8_t other[KEY_SIZE],
		  const uint8_t *invitation, size_t invitation_size,
		  const uint8_t *answer, size_t answer_size)
{
	uint8_t shared[32], info[sizeof(label) + HASH_SIZE + HASH_SIZE], out[4 * 32];
	int rc;

	memcpy(info, label, sizeof(label));	/* with its NUL */
	rc = secret_hash(invitation, invitation_size, info + sizeof(label));
	if (rc == 0)
		rc = secret_hash(answer, answer_size, info + sizeof(label) + HASH_SIZE);
	if (rc == 0)
		rc = agree(shared, own, other);
	if (rc == 0)
		rc = secret_expand(out, sizeof(out), shared, session_salt, info, sizeof(info));
	if (rc == 0) {
		memcpy(secret->caller, out, 32);
		memcpy(secret->callee, out + 32, 32);
		memcpy(secret->nominate, out + 64, 32);
		memcpy(secret->traffic, out + 96, 32);
	} else {
		secret_wipe(secret);
	}
	OPENSSL_cleanse(shared, sizeof(shared));
	OPENSSL_cleanse(out, sizeof(out));
	ERR_clear_error();
	return rc;
}
