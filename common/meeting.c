/* SPDX-License-Identifier: MIT */
/*
 * meeting.c - two nodes that know each other's key and public address meet without a server
 *
 * The only file that uses libsodium: OpenSSL has no way from an Ed25519 key to the X25519 key of the same
 * point.  That one key may serve both is shown in "On using the same key pair for Ed25519 and an X25519 based
 * KEM" (Thormarker, 2021).  What is shared so decides only where to meet and hides what is said
 * first; the session's own secret comes from fresh keys, as with a server.
 */
#include <errno.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sodium.h>

#include "common/meeting.h"
#include "common/secret.h"

#define NONCE	12
#define TAG	16

static const char salt[] = "punch meeting salt v1";
static const char label_key[] = "punch meeting v1";
static const char label_place[] = "punch place v1";

static int shared_point(uint8_t shared[32], const struct key *own, const uint8_t peer[KEY_SIZE])
{
	uint8_t secret[crypto_sign_SECRETKEYBYTES], scalar[32], point[32];
	size_t size = 32;
	int rc = -EIO;

	if (own->private && EVP_PKEY_get_raw_private_key(own->private, secret, &size) == 1 && size == 32) {
		memcpy(secret + 32, own->public, KEY_SIZE);
		rc = -EKEYREJECTED;
		/* Points of low order and such as are not on the main subgroup are refused */
		if (crypto_sign_ed25519_sk_to_curve25519(scalar, secret) == 0 &&
		    crypto_sign_ed25519_pk_to_curve25519(point, peer) == 0 &&
		    crypto_scalarmult_curve25519(shared, scalar, point) == 0)
			rc = 0;
	}
	OPENSSL_cleanse(secret, sizeof(secret));
	OPENSSL_cleanse(scalar, sizeof(scalar));
	ERR_clear_error();
	return rc;
}

int meeting_make(struct meeting *meeting, const struct key *own, const uint8_t peer[KEY_SIZE])
{
	uint8_t shared[32], info[sizeof(label_key) + 2 * KEY_SIZE];
	bool first = memcmp(own->public, peer, KEY_SIZE) < 0;	/* both sides sort alike */
	int rc = sodium_init() < 0 ? -EIO : shared_point(shared, own, peer);

	memcpy(info, label_key, sizeof(label_key));	/* with its NUL */
	memcpy(info + sizeof(label_key), first ? own->public : peer, KEY_SIZE);
	memcpy(info + sizeof(label_key) + KEY_SIZE, first ? peer : own->public, KEY_SIZE);
	if (rc == 0)
		rc = secret_expand(meeting->key, sizeof(meeting->key), shared, salt, info, sizeof(info));
	OPENSSL_cleanse(shared, sizeof(shared));
	if (rc)
		meeting_wipe(meeting);
	return rc;
}

void meeting_wipe(struct meeting *meeting)
{
	OPENSSL_cleanse(meeting, sizeof(*meeting));
}

static uint16_t to_port(const uint8_t raw[4])
{
	uint32_t n = (uint32_t)raw[0] << 24 | (uint32_t)raw[1] << 16 | (uint32_t)raw[2] << 8 | raw[3];

	return (uint16_t)(MEETING_PORT_LOW + n % MEETING_PORT_COUNT);
}

int meeting_place(const struct meeting *meeting, const struct meeting_when *when, struct meeting_place *place)
{
	uint8_t info[sizeof(label_place) + 2 * KEY_SIZE + 8 + 2 + 1], *at = info, out[4 + 4 + 32 + 32];
	int i, rc;

	memcpy(at, label_place, sizeof(label_place));	/* with its NUL */
	at += sizeof(label_place);
	memcpy(at, when->caller, KEY_SIZE);
	at += KEY_SIZE;
	memcpy(at, when->callee, KEY_SIZE);
	at += KEY_SIZE;
	for (i = 0; i < 8; i++)
		*at++ = (uint8_t)(when->bucket >> (56 - 8 * i));
	*at++ = (uint8_t)(when->port >> 8);
	*at++ = (uint8_t)when->port;
	*at = (uint8_t)when->place;
	rc = secret_expand(out, sizeof(out), meeting->key, salt, info, sizeof(info));
	if (rc == 0) {
		place->caller_port = to_port(out);
		place->callee_port = to_port(out + 4);
		memcpy(place->caller_key, out + 8, 32);
		memcpy(place->callee_key, out + 40, 32);
	}
	OPENSSL_cleanse(out, sizeof(out));
	return rc;
}

int meeting_seal(const uint8_t key[32], const uint8_t *plain, size_t size, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n, rc = -EIO;

	secret_random(out, NONCE);
	if (ctx && size <= LIMIT_FRAME && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, out, 1) == 1 &&
	    EVP_CipherUpdate(ctx, out + NONCE, &n, plain, (int)size) == 1 && n == (int)size &&
	    EVP_CipherFinal_ex(ctx, out + NONCE + size, &n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, out + NONCE + size) == 1)
		rc = 0;
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	return rc;
}

ssize_t meeting_open(const uint8_t key[32], const uint8_t *sealed, size_t size, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	size_t plain = size - MEETING_SEAL;
	uint8_t tag[TAG], end[TAG];
	ssize_t rc = -EBADMSG;
	int n;

	if (ctx && size > MEETING_SEAL && size <= LIMIT_FRAME) {
		memcpy(tag, sealed + NONCE + plain, TAG);
		if (EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, sealed, 0) == 1 &&
		    EVP_CipherUpdate(ctx, out, &n, sealed + NONCE, (int)plain) == 1 &&
		    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
		    EVP_CipherFinal_ex(ctx, end, &n) == 1)
			rc = (ssize_t)plain;
	}
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	return rc;
}
