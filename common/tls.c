/* SPDX-License-Identifier: MIT */
/*
 * tls.c - TLS 1.3 with nothing but two Ed25519 keys in it
 *
 * A certificate here is only an envelope that TLS demands: OpenSSL proves that
 * the far end holds the private key (CertificateVerify), tls_peer() hands out the
 * public one, and the caller compares it with the key it has pinned.  So
 * the verification of chains is replaced by check_certificate(), which asks for one
 * Ed25519 certificate signed by itself, and by nothing else: who wrote what into
 * its names and dates does not matter.
 */
#include <errno.h>
#include <string.h>
#include <openssl/x509.h>

#include "common/tls.h"

static const unsigned char alpn[] = "\x07punch/1";
#define ALPN_SIZE (sizeof(alpn) - 1)

/* The Ed25519 key in a certificate. Return: true when it is one */
static bool certificate_key(X509 *certificate, uint8_t public[KEY_SIZE])
{
	EVP_PKEY *pkey = certificate ? X509_get0_pubkey(certificate) : NULL;
	size_t size = KEY_SIZE;

	return pkey && EVP_PKEY_get_base_id(pkey) == EVP_PKEY_ED25519 &&
	       EVP_PKEY_get_raw_public_key(pkey, public, &size) == 1 && size == KEY_SIZE;
}

/* Takes the place of X509_verify_cert() */
static int check_certificate(X509_STORE_CTX *store, void *user)
{
	X509 *certificate = X509_STORE_CTX_get0_cert(store);
	STACK_OF(X509) *others = X509_STORE_CTX_get0_untrusted(store);
	uint8_t public[KEY_SIZE];
	int error = X509_V_OK;

	(void)user;
	if (!certificate_key(certificate, public))
		error = X509_V_ERR_CERT_REJECTED;
	else if (sk_X509_num(others) > 1)	/* the certificate itself is among them */
		error = X509_V_ERR_CERT_CHAIN_TOO_LONG;
	else if (X509_verify(certificate, X509_get0_pubkey(certificate)) != 1)
		error = X509_V_ERR_CERT_SIGNATURE_FAILURE;
	X509_STORE_CTX_set_error(store, error);
	return error == X509_V_OK;
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *size, const unsigned char *in,
		       unsigned int in_size, void *user)
{
	unsigned char *chosen;

	(void)ssl;
	(void)user;
	if (SSL_select_next_proto(&chosen, size, alpn, ALPN_SIZE, in, in_size) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* Dates that no clock falls outside of; RFC 5280 4.1.2.5 for "no expiry" */
static X509 *make_certificate(const struct key *own)
{
	X509 *certificate = X509_new();
	X509_NAME *name = X509_NAME_new();

	if (certificate && name && X509_set_version(certificate, X509_VERSION_3) == 1 &&
	    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1 &&
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"punch", -1, -1, 0) == 1 &&
	    X509_set_subject_name(certificate, name) == 1 && X509_set_issuer_name(certificate, name) == 1 &&
	    ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate), "19700101000000Z") == 1 &&
	    ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate), "99991231235959Z") == 1 &&
	    X509_set_pubkey(certificate, own->private) == 1 && X509_sign(certificate, own->private, NULL) > 0) {
		X509_NAME_free(name);
		return certificate;
	}
	X509_NAME_free(name);
	X509_free(certificate);
	return NULL;
}

static bool configure(SSL_CTX *ctx, bool server)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	/* idle nodes are many: no buffers while nothing is under way */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
			 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* a far end that sends nothing but new keys (RFC 8446, 4.6.3) must not keep SSL_read(),
	 * and all of us with it */
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, check_certificate, NULL);
	/* one small certificate: the default would let a stranger send 100 KiB */
	SSL_CTX_set_max_cert_list(ctx, 4096);
	SSL_CTX_set_max_early_data(ctx, 0);
	if (server)
		SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
	else if (SSL_CTX_set_alpn_protos(ctx, alpn, ALPN_SIZE) != 0)	/* 0 is success here */
		return false;
	return SSL_CTX_set_num_tickets(ctx, 0) == 1 && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set1_sigalgs_list(ctx, "ed25519") == 1;
}

SSL_CTX *tls_context(const struct key *own, bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	X509 *certificate = own->private ? make_certificate(own) : NULL;

	if (!ctx || !certificate || !configure(ctx, server) || SSL_CTX_use_certificate(ctx, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, own->private) != 1) {
		SSL_CTX_free(ctx);
		ctx = NULL;
	}
	X509_free(certificate);		/* the context has its own reference */
	return ctx;
}

int tls_peer(const SSL *ssl, uint8_t public[KEY_SIZE])
{
	const unsigned char *protocol = NULL;
	unsigned int size = 0;

	SSL_get0_alpn_selected(ssl, &protocol, &size);
	if (!SSL_is_init_finished(ssl) || size != ALPN_SIZE - 1 || memcmp(protocol, alpn + 1, size) != 0)
		return -EKEYREJECTED;
	if (SSL_get_verify_result(ssl) != X509_V_OK || !certificate_key(SSL_get0_peer_certificate(ssl), public))
		return -EKEYREJECTED;
	return 0;
}
