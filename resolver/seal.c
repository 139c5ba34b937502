/* SPDX-License-Identifier: MIT */
/*
 * seal.c - TLS 1.3 between the two ends of one connection, keyed from their session's secret
 *
 * Theory of operation
 *
 * Both ends have a key that nobody else has (secret.traffic).  It is used as
 * an external pre-shared key (RFC 8446, 4.2.11): no certificates, no tickets, no early
 * data; the name of the key is the session.  The caller is the client.  Fresh
 * X25519 shares are exchanged all the same (psk_dhe_ke), which is what OpenSSL does by itself.
 *
 * Where the data is encrypted afterwards, in this process or in the kernel, is
 * each end's own affair; the bytes are the same.  But the kernel cannot do two things:
 * take a new key, and take an alert.  So the handshake settles by ALPN whether both
 * ends are in user space ("punch/user") or one may be in the kernel ("punch/kernel"):
 *
 *			punch/user			punch/kernel
 *	new key		KeyUpdate after SEAL_REKEY	never
 *	end of data	close_notify, then FIN; a FIN	FIN
 *			without it counts as a reset
 *
 * Ciphers: AES-128-GCM where both ends have instructions for it, else
 * ChaCha20-Poly1305.  A kernel prefers ChaCha20-Poly1305, which has no limit of records that matters (RFC 8446, 5.5).
 *
 * The handshake is read record by record, so that what follows it stays in the
 * socket for the kernel.  Afterwards several records are read at a time, and what is
 * written goes to memory, for the caller to send several at once (seal_bio.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/ssl.h>

#include "common/log.h"
#include "common/secret.h"
#include "resolver/seal.h"
#include "resolver/seal_bio.h"

#define SECRET_SIZE	32	/* bytes: SHA-256 */
#define CHACHA		"TLS_CHACHA20_POLY1305_SHA256"
#define AES		"TLS_AES_128_GCM_SHA256"

static const unsigned char protocol_user[] = "\x0apunch/user";
static const unsigned char protocol_kernel[] = "\x0cpunch/kernel";
static const unsigned char protocol_both[] = "\x0apunch/user\x0cpunch/kernel";

/* Labels of the NSS key log, and where its secret goes */
static const char label_client[] = "CLIENT_TRAFFIC_SECRET_0 ";
static const char label_server[] = "SERVER_TRAFFIC_SECRET_0 ";

struct seal {
	SSL *ssl;
	bool caller;
	unsigned int kernel;
	uint8_t session[SESSION_SIZE];
	uint8_t psk[SECRET_SIZE];
	uint8_t secrets[2][SECRET_SIZE];	/* of what the client sends, of what the server sends */
	bool have[2];
	uint64_t records;			/* sent with the present key */
	unsigned int rekeys;
	uint64_t opened, bare;			/* records of data, and without: new keys */
	/* -errno: nothing is opened after it; of a reset, the kernel speaks once */
	int broken;
	struct seal_bio io;
};

static uint64_t rekey_after = SEAL_REKEY;

void seal_set_rekey(uint64_t records)
{
	rekey_after = records;
}

/* ------------------------------------------------------------ the key and its name */

static SSL_SESSION *psk_session(SSL *ssl, const struct seal *seal)
{
	/* stands for its hash, SHA-256, which both ciphers use */
	static const unsigned char id[] = { 0x13, 0x01 };
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, id);
	SSL_SESSION *session = SSL_SESSION_new();

	if (session && cipher && SSL_SESSION_set1_master_key(session, seal->psk, sizeof(seal->psk)) == 1 &&
	    SSL_SESSION_set_cipher(session, cipher) == 1 &&
	    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1)
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

static int on_client_psk(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *size, SSL_SESSION **session)
{
	struct seal *seal = SSL_get_app_data(ssl);

	(void)md;
	*session = psk_session(ssl, seal);
	*id = seal->session;
	*size = sizeof(seal->session);
	return *session != NULL;
}

static int on_server_psk(SSL *ssl, const unsigned char *id, size_t size, SSL_SESSION **session)
{
	struct seal *seal = SSL_get_app_data(ssl);

	*session = NULL;
	if (size == sizeof(seal->session) && memcmp(id, seal->session, size) == 0)
		*session = psk_session(ssl, seal);
	return 1;
}

static int on_protocol(SSL *ssl, const unsigned char **out, unsigned char *size, const unsigned char *in,
		       unsigned int in_size, void *user)
{
	const struct seal *seal = SSL_get_app_data(ssl);
	const unsigned char *ours = seal->kernel ? protocol_kernel : protocol_both;
	unsigned int ours_size = seal->kernel ? sizeof(protocol_kernel) - 1 : sizeof(protocol_both) - 1;
	unsigned char *chosen;

	(void)user;
	if (SSL_select_next_proto(&chosen, size, ours, ours_size, in, in_size) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* The only way to the traffic secrets; nothing is written anywhere */
static void on_secret(const SSL *ssl, const char *line)
{
	struct seal *seal = SSL_get_app_data(ssl);
	unsigned int i = strncmp(line, label_client, sizeof(label_client) - 1) == 0 ? 0 :
			 strncmp(line, label_server, sizeof(label_server) - 1) == 0 ? 1 : 2;
	const char *hex = strrchr(line, ' ');
	size_t size = 0;

	if (i < 2 && hex && seal->kernel)
		seal->have[i] = OPENSSL_hexstr2buf_ex(seal->secrets[i], SECRET_SIZE, &size, hex + 1, '\0') == 1 &&
				size == SECRET_SIZE;
}

/* ------------------------------------------------------------ the handshake */

static SSL_CTX *context(void)
{
	static SSL_CTX *ctx;

	if (ctx)
		return ctx;
	ctx = SSL_CTX_new(TLS_method());
	if (!ctx)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	/* no dummy records: nobody between knows what this is */
	SSL_CTX_clear_options(ctx, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_psk_use_session_callback(ctx, on_client_psk);
	SSL_CTX_set_psk_find_session_callback(ctx, on_server_psk);
	SSL_CTX_set_alpn_select_cb(ctx, on_protocol, NULL);
	SSL_CTX_set_keylog_callback(ctx, on_secret);
	if (SSL_CTX_set_num_tickets(ctx, 0) != 1 || SSL_CTX_set_max_early_data(ctx, 0) != 1 ||
	    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 || SSL_CTX_set1_groups_list(ctx, "X25519") != 1) {
		SSL_CTX_free(ctx);
		ctx = NULL;
	}
	return ctx;
}

void seal_prepare(void)
{
	uint8_t drawn;

	secret_random(&drawn, sizeof(drawn));
	if (!context())
		log_warn("tls: cannot be set up");
}

/* Without them AES in software is slow, and its time may depend on the key */
static bool cpu_has_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_cpu_supports("aes");
#elif defined(__aarch64__)
	return getauxval(AT_HWCAP) & 1u << 3;	/* HWCAP_AES */
#else
	return false;
#endif
}

static int choose_ciphers(struct seal *seal)
{
	bool aes_first = !seal->kernel && cpu_has_aes();
	const char *list = aes_first ? AES ":" CHACHA : CHACHA ":" AES;

	if (seal->kernel == SEAL_KERNEL_AES)
		list = AES;
	else if (seal->kernel == SEAL_KERNEL_CHACHA)
		list = CHACHA;
	/* A server that has AES goes by the client's order, which may have none */
	if (!aes_first)
		SSL_set_options(seal->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
	return SSL_set_ciphersuites(seal->ssl, list) == 1 ? 0 : -EIO;
}

static int set_up(struct seal *seal, const struct seal_setup *setup)
{
	static const uint8_t info[] = "punch tls v1";
	SSL_CTX *ctx = context();
	bool kernel = setup->kernel != 0;

	if (!ctx || secret_expand(seal->psk, sizeof(seal->psk), setup->key, "", info, sizeof(info) - 1) < 0)
		return -EIO;
	seal->ssl = SSL_new(ctx);
	if (!seal->ssl || SSL_set_app_data(seal->ssl, seal) != 1 || SSL_set_fd(seal->ssl, setup->fd) != 1 ||
	    choose_ciphers(seal) < 0)
		return -ENOMEM;
	if (!seal->caller) {
		SSL_set_accept_state(seal->ssl);
		return 0;
	}
	SSL_set_connect_state(seal->ssl);
	SSL_set_verify(seal->ssl, SSL_VERIFY_PEER, NULL);	/* there are no roots: a certificate never does */
	return SSL_set_alpn_protos(seal->ssl, kernel ? protocol_kernel : protocol_both,	/* 0 is success here */
				   kernel ? sizeof(protocol_kernel) - 1 : sizeof(protocol_both) - 1) == 0 ? 0 : -ENOMEM;
}

struct seal *seal_new(const struct seal_setup *setup)
{
	struct seal *seal = calloc(1, sizeof(*seal));

	if (!seal)
		return NULL;
	seal->caller = setup->caller;
	seal->kernel = setup->kernel;
	memcpy(seal->session, setup->session, sizeof(seal->session));
	if (set_up(seal, setup) < 0) {
		seal_free(seal);
		return NULL;
	}
	return seal;
}

void seal_free(struct seal *seal)
{
	if (!seal)
		return;
	SSL_free(seal->ssl);
	seal_bio_end(&seal->io);
	OPENSSL_cleanse(seal, sizeof(*seal));
	free(seal);
	ERR_clear_error();
}

/* A certificate, or a key of another kind, must not have taken the place of ours */
static bool is_proven(const struct seal *seal)
{
	const unsigned char *protocol = NULL;
	unsigned int size = 0;

	SSL_get0_alpn_selected(seal->ssl, &protocol, &size);
	return SSL_session_reused(seal->ssl) == 1 && SSL_version(seal->ssl) == TLS1_3_VERSION && size > 0;
}

/* What SSL_get_error() says, as errno */
static int failure(const struct seal *seal, int rc)
{
	int error = SSL_get_error(seal->ssl, rc), saved = errno;
	unsigned long code = ERR_peek_last_error();

	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return -EAGAIN;
	if (code && ERR_GET_REASON(code) != SSL_R_UNEXPECTED_EOF_WHILE_READING)
		log_debug("tls: %s", ERR_reason_error_string(code) ? ERR_reason_error_string(code) : "error");
	ERR_clear_error();
	if (error == SSL_ERROR_SYSCALL && (saved == ETIMEDOUT || saved == EHOSTUNREACH || saved == ENETUNREACH))
		return -saved;
	if (error == SSL_ERROR_SYSCALL || (code && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING))
		return -ECONNRESET;
	return -EBADMSG;
}

int seal_shake(struct seal *seal, bool *wants_write)
{
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_do_handshake(seal->ssl);
	if (rc == 1) {
		OPENSSL_cleanse(seal->psk, sizeof(seal->psk));
		return is_proven(seal) ? 0 : -EKEYREJECTED;
	}
	*wants_write = SSL_get_error(seal->ssl, rc) == SSL_ERROR_WANT_WRITE;
	rc = failure(seal, rc);
	return rc == -EBADMSG ? -EKEYREJECTED : rc;
}

const char *seal_cipher(const struct seal *seal)
{
	return SSL_get_cipher_name(seal->ssl);
}

bool seal_user(const struct seal *seal)
{
	const unsigned char *protocol = NULL;
	unsigned int size = 0;

	SSL_get0_alpn_selected(seal->ssl, &protocol, &size);
	return size == sizeof(protocol_user) - 2 && memcmp(protocol, protocol_user + 1, size) == 0;
}

/* ------------------------------------------------------------ keys for the kernel */

/* HKDF-Expand-Label of RFC 8446, 7.1 with an empty context */
static int expand_label(const uint8_t secret[SECRET_SIZE], const char *label, uint8_t *out, size_t size)
{
	char digest[] = "SHA256", prefix[] = "tls13 ";
	union {
		const void *in;
		void *out;
	} key = { .in = secret }, name = { .in = label };	/* OpenSSL only reads them */
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY, rc = -EIO;
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS13-KDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key.out, SECRET_SIZE),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, prefix, sizeof(prefix) - 1),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, name.out, strlen(label)),
		OSSL_PARAM_construct_end(),
	};

	if (ctx && EVP_KDF_derive(ctx, out, size, params) == 1)
		rc = 0;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return rc;
}

int seal_take_keys(struct seal *seal, struct seal_keys *keys)
{
	unsigned int own = seal->caller ? 0 : 1, far = 1 - own;
	size_t size;
	int rc = -EIO;

	keys->chacha = strcmp(seal_cipher(seal), CHACHA) == 0;
	size = keys->chacha ? 32 : 16;
	if (seal->have[0] && seal->have[1] && !SSL_has_pending(seal->ssl) &&
	    expand_label(seal->secrets[own], "key", keys->out.key, size) == 0 &&
	    expand_label(seal->secrets[own], "iv", keys->out.iv, sizeof(keys->out.iv)) == 0 &&
	    expand_label(seal->secrets[far], "key", keys->in.key, size) == 0 &&
	    expand_label(seal->secrets[far], "iv", keys->in.iv, sizeof(keys->in.iv)) == 0)
		rc = 0;
	OPENSSL_cleanse(seal->secrets, sizeof(seal->secrets));
	return rc;
}

/* ------------------------------------------------------------ data */

int seal_flow(struct seal *seal)
{
	BIO *bio = seal_bio_new(&seal->io);

	OPENSSL_cleanse(seal->secrets, sizeof(seal->secrets));
	if (!bio)
		return -ENOMEM;
	seal->io.fd = SSL_get_fd(seal->ssl);
	SSL_set_bio(seal->ssl, bio, bio);
	/* SSL_read_ex() comes back after each record without data, or a far end could keep us
	 * in it by nothing but new keys */
	SSL_clear_mode(seal->ssl, SSL_MODE_AUTO_RETRY);
	if (!seal_user(seal))
		SSL_set_options(seal->ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
	return 0;
}

static bool is_due(const struct seal *seal)
{
	return seal->records >= rekey_after && seal_user(seal) && strcmp(seal_cipher(seal), AES) == 0;
}

static int put_record(struct seal *seal, const uint8_t *in, size_t size)
{
	size_t written;

	if (is_due(seal)) {
		if (SSL_key_update(seal->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1)
			return -EIO;
		log_debug("tls: a new key after %llu records", (unsigned long long)seal->records);
		seal->records = 0;
		seal->rekeys++;
	}
	seal->records++;
	return SSL_write_ex(seal->ssl, in, size, &written) == 1 && written == size ? 0 : -EIO;
}

ssize_t seal_encrypt(struct seal *seal, const uint8_t *in, size_t size, uint8_t *out)
{
	size_t done, some;
	int rc = 0;

	ERR_clear_error();
	seal->io.out = out;
	seal->io.used = 0;
	seal->io.room = SEAL_ROOM;
	for (done = 0; rc == 0 && done < size; done += some) {
		some = size - done < SEAL_RECORD ? size - done : SEAL_RECORD;
		rc = put_record(seal, in + done, some);
	}
	if (!size && seal_user(seal) && SSL_shutdown(seal->ssl) < 0)
		rc = -EIO;
	seal->io.out = NULL;
	return rc < 0 ? rc : (ssize_t)seal->io.used;
}

/* One record, or what is left of it. Return: bytes, 0 when it has no data or with @end, -errno as seal_decrypt() */
static ssize_t take_record(struct seal *seal, uint8_t *out, size_t size, bool *end)
{
	size_t n;
	int rc;

	if (seal->broken)
		return seal->broken;
	errno = 0;
	seal->io.served = false;
	rc = SSL_read_ex(seal->ssl, out, size, &n);
	if (rc == 1) {
		seal->opened++;
		return (ssize_t)n;
	}
	*end = SSL_get_error(seal->ssl, rc) == SSL_ERROR_ZERO_RETURN;
	if (*end)
		return 0;
	rc = failure(seal, rc);
	if (rc == -EAGAIN && !seal->io.served)
		return rc;
	if (rc == -EAGAIN && ++seal->bare <= SEAL_BARE + seal->opened / SEAL_BARE_EACH)
		return 0;
	if (rc == -EAGAIN)
		log_debug("tls: %llu records without data", (unsigned long long)seal->bare);
	seal->broken = rc == -EAGAIN ? -EPROTO : rc;
	return seal->broken;
}

ssize_t seal_decrypt(struct seal *seal, uint8_t *out, size_t size, bool *end)
{
	unsigned int records;
	size_t got = 0;
	ssize_t n = 0;

	*end = false;
	ERR_clear_error();
	for (records = 0; got < size && records < SEAL_TURN && !*end && n >= 0; records++) {
		n = take_record(seal, out + got, size - got, end);
		if (n > 0)
			got += (size_t)n;
	}
	if (seal_bio_keep(&seal->io) < 0)
		return -ENOMEM;
	if (!got)
		return n;
	*end = false;		/* this, or what is wrong, it says again */
	return (ssize_t)got;
}

unsigned int seal_rekeys(const struct seal *seal)
{
	return seal->rekeys;
}
