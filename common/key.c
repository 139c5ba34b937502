/* SPDX-License-Identifier: MIT */
/*
 * key.c - Ed25519 identities: make, read, write, sign, verify
 *
 * Private keys are PKCS#8 in PEM, so that openssl(1) reads and makes them too.
 * A file that others may read is refused rather than warned about: it is
 * the node's whole identity.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "common/file.h"
#include "common/key.h"

#define PEM_MAX		8192	/* bytes of a key file; an Ed25519 key has 119, comments may stand before it */
#define BODY_MAX	65536	/* bytes signed at once; frames end at LIMIT_FRAME */

int key_from_seed(struct key *key, const uint8_t seed[KEY_SIZE])
{
	size_t size = KEY_SIZE;

	memset(key, 0, sizeof(*key));
	key->private = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, KEY_SIZE);
	if (key->private && EVP_PKEY_get_raw_public_key(key->private, key->public, &size) == 1)
		return 0;
	key_wipe(key);
	return -EIO;
}

int key_generate(struct key *key)
{
	size_t size = KEY_SIZE;

	memset(key, 0, sizeof(*key));
	key->private = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (key->private && EVP_PKEY_get_raw_public_key(key->private, key->public, &size) == 1)
		return 0;
	key_wipe(key);
	return -EIO;
}

void key_wipe(struct key *key)
{
	EVP_PKEY_free(key->private);
	OPENSSL_cleanse(key, sizeof(*key));
	key->private = NULL;
}

/* A key file with a pass phrase: nobody is there to ask */
static int no_passphrase(char *buf, int size, int rwflag, void *user)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	*(int *)user = 1;
	return -1;
}

int key_load(struct key *key, const char *path, char *why, size_t size)
{
	char text[PEM_MAX];
	ssize_t used = file_read_private(path, text, sizeof(text), why, size);
	size_t raw = KEY_SIZE;
	int rc = -EKEYREJECTED, encrypted = 0;
	BIO *bio;

	memset(key, 0, sizeof(*key));
	if (used < 0) {
		if (used == -ENOENT)
			snprintf(why, size, "%s: no such file; make a key with: punchctl keygen %s", path, path);
		OPENSSL_cleanse(text, sizeof(text));
		return (int)used;
	}
	bio = BIO_new_mem_buf(text, (int)used);
	if (bio)
		key->private = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted);
	if (encrypted)
		snprintf(why, size, "%s: the key is protected by a pass phrase, which a daemon cannot ask for; "
			 "run: openssl pkey -in %s -out NEW", path, path);
	else if (!key->private)
		snprintf(why, size, "%s: no private key in PEM; make one with: punchctl keygen FILE", path);
	else if (EVP_PKEY_get_base_id(key->private) != EVP_PKEY_ED25519)
		snprintf(why, size, "%s: the key is of type %s, wanted is ED25519", path,
			 EVP_PKEY_get0_type_name(key->private) ? EVP_PKEY_get0_type_name(key->private) : "unknown");
	else if (EVP_PKEY_get_raw_public_key(key->private, key->public, &raw) == 1)
		rc = 0;
	else
		snprintf(why, size, "%s: the key is damaged", path);
	if (rc < 0)
		key_wipe(key);
	BIO_free(bio);
	OPENSSL_cleanse(text, sizeof(text));
	ERR_clear_error();
	return rc;
}

int key_save(const struct key *key, const char *path, char *why, size_t size)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *data = NULL;
	long bytes;
	int rc = -EIO;

	if (bio && key->private && PEM_write_bio_PKCS8PrivateKey(bio, key->private, NULL, NULL, 0, NULL, NULL) == 1) {
		bytes = BIO_get_mem_data(bio, &data);
		if (data && bytes > 0)
			rc = file_create(path, data, (size_t)bytes);
	}
	BIO_free(bio);
	if (rc == -EEXIST)
		snprintf(why, size, "%s: is there already; a key is never overwritten, move it away first", path);
	else if (rc < 0)
		snprintf(why, size, "%s: cannot write the key: %s", path, strerror(-rc));
	return rc;
}

const char *key_text(const uint8_t public[KEY_SIZE], char text[KEY_TEXT_SIZE])
{
	/* EVP_EncodeBlock() writes exactly 44 characters and the NUL */
	EVP_EncodeBlock((unsigned char *)text, public, KEY_SIZE);
	return text;
}

int key_parse(uint8_t public[KEY_SIZE], const char *text)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned char raw[KEY_SIZE + 1];	/* 44 characters decode to 33 bytes, padding included */
	char again[KEY_TEXT_SIZE];

	/* EVP_DecodeBlock() trims blanks and takes "=" anywhere: look first */
	if (strnlen(text, KEY_TEXT_SIZE) != KEY_TEXT_SIZE - 1 ||
	    strspn(text, alphabet) != KEY_TEXT_SIZE - 2 || text[KEY_TEXT_SIZE - 2] != '=')
		return -EINVAL;
	if (EVP_DecodeBlock(raw, (const unsigned char *)text, KEY_TEXT_SIZE - 1) != (int)sizeof(raw))
		return -EINVAL;
	/* one key, one text: bits that the last character does not need must be zero */
	if (strcmp(key_text(raw, again), text) != 0)
		return -EINVAL;
	memcpy(public, raw, KEY_SIZE);
	return 0;
}

/* CONTEXT || 0x00 || body; Ed25519 takes its message in one piece. Return: bytes or 0 */
static size_t signed_message(uint8_t **out, const char *context, const uint8_t *body, size_t size)
{
	size_t prefix = strlen(context) + 1;

	if (size > BODY_MAX)
		return 0;
	*out = OPENSSL_malloc(prefix + size);
	if (!*out)
		return 0;
	memcpy(*out, context, prefix);
	if (size)
		memcpy(*out + prefix, body, size);
	return prefix + size;
}

int key_sign(const struct key *key, const char *context, const uint8_t *body, size_t size,
	     uint8_t signature[SIGNATURE_SIZE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t bytes = SIGNATURE_SIZE, total;
	uint8_t *message = NULL;
	int rc = -EIO;

	total = signed_message(&message, context, body, size);
	if (ctx && total && key->private && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->private) == 1 &&
	    EVP_DigestSign(ctx, signature, &bytes, message, total) == 1 && bytes == SIGNATURE_SIZE)
		rc = 0;
	OPENSSL_free(message);
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return rc;
}

bool key_verify(const uint8_t public[KEY_SIZE], const char *context, const uint8_t *body, size_t size,
		const uint8_t signature[SIGNATURE_SIZE])
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public, KEY_SIZE);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t *message = NULL;
	bool good = false;
	size_t total;

	total = signed_message(&message, context, body, size);
	if (pkey && ctx && total && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1)
		good = EVP_DigestVerify(ctx, signature, SIGNATURE_SIZE, message, total) == 1;
	OPENSSL_free(message);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return good;
}
