/* SPDX-License-Identifier: MIT */
/*
 * tell.c - linked into the real programs for tests/lab/test_secrets.sh: tells which secrets they have
 *
 * Most secrets live in no file: what X25519, HKDF and scrypt give, private halves that were drawn, the secrets of TLS.  The calls
 * that make or use them are wrapped by the linker (tests.mk), and each result is written, in hexadecimal, into the file
 * "told" beside the program, where there is one.  It is mapped before main(), so that it is reached in spite of
 * closed descriptors and sandboxes, and is shared by all processes.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>

#define TOLD_SIZE	(4u << 20)
#define LINE		128	/* bytes a secret, filled up with blanks */
#define PIECE		32	/* bytes of a secret on one line */

/* The first line counts */
static union told {
	_Atomic uint32_t lines;
	char text[TOLD_SIZE / LINE][LINE];
} *told;

static void __attribute__((constructor)) open_told(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 8);
	char *slash;
	void *at;
	int fd;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return;
	strcpy(slash, "/told");
	fd = open(path, O_RDWR | O_CLOEXEC);
	at = fd < 0 ? MAP_FAILED : mmap(NULL, TOLD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at != MAP_FAILED)
		told = at;
	if (fd >= 0)
		close(fd);
}

static void tell_hex(const char *what, const char *hex, size_t digits)
{
	uint32_t line = told ? atomic_fetch_add(&told->lines, 1) + 1 : UINT32_MAX;
	char text[LINE + 1];

	if (line >= TOLD_SIZE / LINE)
		return;		/* the test looks whether there was room */
	snprintf(text, sizeof(text), "%-*.*s", LINE - 1, LINE - 1, "");
	memcpy(text, what, strlen(what));
	memcpy(text + strlen(what) + 1, hex, digits);
	text[LINE - 1] = '\n';
	memcpy(told->text[line], text, LINE);
}

static void tell(const char *what, const uint8_t *secret, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	char hex[2 * PIECE];
	size_t at, i, n;

	for (at = 0; at < size; at += PIECE) {
		n = size - at < PIECE ? size - at : PIECE;
		for (i = 0; i < n; i++) {
			hex[2 * i] = digits[secret[at + i] >> 4];
			hex[2 * i + 1] = digits[secret[at + i] & 15];
		}
		tell_hex(what, hex, 2 * n);
	}
}

/* ------------------------------------------------------------ the calls */

int __real_EVP_PKEY_derive(EVP_PKEY_CTX *ctx, unsigned char *key, size_t *size);
int __wrap_EVP_PKEY_derive(EVP_PKEY_CTX *ctx, unsigned char *key, size_t *size);
int __wrap_EVP_PKEY_derive(EVP_PKEY_CTX *ctx, unsigned char *key, size_t *size)
{
	int rc = __real_EVP_PKEY_derive(ctx, key, size);

	if (rc == 1 && key)
		tell("derived", key, *size);
	return rc;
}

int __real_EVP_PBE_scrypt(const char *word, size_t word_size, const unsigned char *salt, size_t salt_size, uint64_t n,
			  uint64_t r, uint64_t p, uint64_t memory, unsigned char *key, size_t size);
int __wrap_EVP_PBE_scrypt(const char *word, size_t word_size, const unsigned char *salt, size_t salt_size, uint64_t n,
			  uint64_t r, uint64_t p, uint64_t memory, unsigned char *key, size_t size);
int __wrap_EVP_PBE_scrypt(const char *word, size_t word_size, const unsigned char *salt, size_t salt_size, uint64_t n,
			  uint64_t r, uint64_t p, uint64_t memory, unsigned char *key, size_t size)
{
	int rc = __real_EVP_PBE_scrypt(word, word_size, salt, salt_size, n, r, p, memory, key, size);

	if (rc == 1)
		tell("scrypt", key, size);
	return rc;
}

static void tell_private(const EVP_PKEY *key)
{
	uint8_t secret[64];
	size_t size = sizeof(secret);

	if (key && EVP_PKEY_get_raw_private_key(key, secret, &size) == 1)
		tell("private", secret, size);
}

/* Of the types that we make, which have no parameters */
EVP_PKEY *__real_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *library, const char *query, const char *type, ...);
EVP_PKEY *__wrap_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *library, const char *query, const char *type, ...);
EVP_PKEY *__wrap_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *library, const char *query, const char *type, ...)
{
	EVP_PKEY *key = __real_EVP_PKEY_Q_keygen(library, query, type);

	tell_private(key);
	return key;
}

EVP_PKEY *__real_EVP_PKEY_new_raw_private_key(int type, ENGINE *engine, const unsigned char *secret, size_t size);
EVP_PKEY *__wrap_EVP_PKEY_new_raw_private_key(int type, ENGINE *engine, const unsigned char *secret, size_t size);
EVP_PKEY *__wrap_EVP_PKEY_new_raw_private_key(int type, ENGINE *engine, const unsigned char *secret, size_t size)
{
	tell("private", secret, size);
	return __real_EVP_PKEY_new_raw_private_key(type, engine, secret, size);
}

EVP_PKEY *__real_PEM_read_bio_PrivateKey(BIO *in, EVP_PKEY **key, pem_password_cb *ask, void *arg);
EVP_PKEY *__wrap_PEM_read_bio_PrivateKey(BIO *in, EVP_PKEY **key, pem_password_cb *ask, void *arg);
EVP_PKEY *__wrap_PEM_read_bio_PrivateKey(BIO *in, EVP_PKEY **key, pem_password_cb *ask, void *arg)
{
	EVP_PKEY *got = __real_PEM_read_bio_PrivateKey(in, key, ask, arg);

	tell_private(got);
	return got;
}

unsigned char *__real_HMAC(const EVP_MD *md, const void *key, int size, const unsigned char *data, size_t data_size,
			   unsigned char *mac, unsigned int *mac_size);
unsigned char *__wrap_HMAC(const EVP_MD *md, const void *key, int size, const unsigned char *data, size_t data_size,
			   unsigned char *mac, unsigned int *mac_size);
unsigned char *__wrap_HMAC(const EVP_MD *md, const void *key, int size, const unsigned char *data, size_t data_size,
			   unsigned char *mac, unsigned int *mac_size)
{
	tell("mac-key", key, (size_t)size);
	return __real_HMAC(md, key, size, data, data_size, mac, mac_size);
}

int __real_EVP_KDF_derive(EVP_KDF_CTX *ctx, unsigned char *key, size_t size, const OSSL_PARAM params[]);
int __wrap_EVP_KDF_derive(EVP_KDF_CTX *ctx, unsigned char *key, size_t size, const OSSL_PARAM params[]);
int __wrap_EVP_KDF_derive(EVP_KDF_CTX *ctx, unsigned char *key, size_t size, const OSSL_PARAM params[])
{
	int rc = __real_EVP_KDF_derive(ctx, key, size, params);

	if (rc == 1 && size >= 16)	/* not the initial values of nonces */
		tell("derived", key, size);
	return rc;
}

/* "LABEL RANDOM SECRET", the format of SSLKEYLOGFILE */
static void on_keylog(const SSL *ssl, const char *line)
{
	const char *secret = strrchr(line, ' ');
	size_t at;

	(void)ssl;
	for (at = 1; secret && at < strlen(secret); at += 2 * PIECE)
		tell_hex("tls", secret + at, strlen(secret + at) < 2 * PIECE ? strlen(secret + at) : 2 * PIECE);
}

SSL_CTX *__real_SSL_CTX_new(const SSL_METHOD *method);
SSL_CTX *__wrap_SSL_CTX_new(const SSL_METHOD *method);
SSL_CTX *__wrap_SSL_CTX_new(const SSL_METHOD *method)
{
	SSL_CTX *ctx = __real_SSL_CTX_new(method);

	if (ctx)
		SSL_CTX_set_keylog_callback(ctx, on_keylog);
	return ctx;
}

/* The resolver's token, which its processes carry on in their environment */
int __real_setenv(const char *name, const char *value, int replace);
int __wrap_setenv(const char *name, const char *value, int replace);
int __wrap_setenv(const char *name, const char *value, int replace)
{
	if (strcmp(name, "PUNCH_RESOLVER_TOKEN") == 0)
		tell_hex("token", value, strlen(value) < 2 * PIECE ? strlen(value) : 2 * PIECE);
	return __real_setenv(name, value, replace);
}
