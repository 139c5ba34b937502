/* SPDX-License-Identifier: MIT */
/*
 * test_tls.c - two keys meet over a pair of memory BIOs, and what is turned away
 */
#include <errno.h>
#include <openssl/err.h>

#include "common/tls.h"
#include "tests/unit/scratch.h"

#define ROUNDS	50	/* a handshake has some four flights */

/**
 * struct pair - both ends of one connection
 */
struct pair {
	SSL *client, *server;
};

static struct key alice, server_key;

static int make_keys(void **state)
{
	(void)state;
	return key_generate(&alice) || key_generate(&server_key) ? -1 : 0;
}

static int wipe_keys(void **state)
{
	(void)state;
	key_wipe(&alice);
	key_wipe(&server_key);
	return 0;
}

static SSL *end_of(SSL_CTX *ctx, BIO *bio, bool server)
{
	SSL *ssl = SSL_new(ctx);

	assert_non_null(ssl);
	SSL_set_bio(ssl, bio, bio);
	if (server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

/* Shake hands. Return: true when both ends are content; the contexts are used up */
static bool meet(struct pair *pair, SSL_CTX *client, SSL_CTX *server)
{
	BIO *a, *b;
	int i, c = 0, s = 0;

	assert_non_null(client);
	assert_non_null(server);
	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	pair->client = end_of(client, a, false);
	pair->server = end_of(server, b, true);
	SSL_CTX_free(client);
	SSL_CTX_free(server);
	for (i = 0; i < ROUNDS && (c != 1 || s != 1); i++) {
		c = SSL_do_handshake(pair->client);
		if (c != 1 && SSL_get_error(pair->client, c) != SSL_ERROR_WANT_READ)
			break;
		s = SSL_do_handshake(pair->server);
		if (s != 1 && SSL_get_error(pair->server, s) != SSL_ERROR_WANT_READ)
			break;
	}
	return c == 1 && s == 1;
}

static void part(struct pair *pair)
{
	SSL_free(pair->client);
	SSL_free(pair->server);
	ERR_clear_error();
}

static void each_end_sees_the_other_ones_key(void **state)
{
	uint8_t seen[KEY_SIZE];
	struct pair pair;
	char text[8];

	(void)state;
	assert_true(meet(&pair, tls_context(&alice, false), tls_context(&server_key, true)));
	assert_int_equal(tls_peer(pair.client, seen), 0);
	assert_memory_equal(seen, server_key.public, KEY_SIZE);
	assert_int_equal(tls_peer(pair.server, seen), 0);
	assert_memory_equal(seen, alice.public, KEY_SIZE);
	assert_int_equal(SSL_version(pair.client), TLS1_3_VERSION);

	/* no session ticket follows the handshake */
	assert_int_equal(BIO_ctrl_pending(SSL_get_rbio(pair.client)), 0);

	assert_int_equal(SSL_write(pair.client, "hello", 5), 5);
	assert_int_equal(SSL_read(pair.server, text, sizeof(text)), 5);
	assert_memory_equal(text, "hello", 5);
	part(&pair);
}

/* Else a stranger could keep a server from everybody: 8 MB of them took 3.7 s */
static void new_keys_alone_do_not_keep_the_reader(void **state)
{
	struct pair pair;
	size_t pending;
	char text[8];
	int i;

	(void)state;
	assert_true(meet(&pair, tls_context(&alice, false), tls_context(&server_key, true)));
	for (i = 0; i < 100; i++) {
		assert_int_equal(SSL_key_update(pair.client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(pair.client), 1);
	}
	assert_int_equal(SSL_write(pair.client, "hello", 5), 5);
	pending = BIO_ctrl_pending(SSL_get_rbio(pair.server));
	for (i = 0; i < 100; i++) {
		assert_int_equal(SSL_read(pair.server, text, sizeof(text)), -1);
		assert_int_equal(SSL_get_error(pair.server, -1), SSL_ERROR_WANT_READ);
		assert_true(BIO_ctrl_pending(SSL_get_rbio(pair.server)) < pending);
		pending = BIO_ctrl_pending(SSL_get_rbio(pair.server));
	}
	assert_int_equal(SSL_read(pair.server, text, sizeof(text)), 5);
	part(&pair);
}

static void no_key_is_shown_before_the_handshake_is_over(void **state)
{
	SSL_CTX *ctx = tls_context(&alice, false);
	uint8_t seen[KEY_SIZE];
	SSL *ssl = SSL_new(ctx);

	(void)state;
	assert_int_equal(tls_peer(ssl, seen), -EKEYREJECTED);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

static void a_key_without_its_private_half_is_no_context(void **state)
{
	struct key named = { .private = NULL };

	(void)state;
	assert_null(tls_context(&named, false));
}

/* A context in the manner of tls_context(), with a certificate of the test's own making */
static SSL_CTX *foreign(EVP_PKEY *pkey, EVP_PKEY *issuer, long from, long until, bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	X509 *certificate = X509_new();
	const EVP_MD *digest = EVP_PKEY_get_base_id(issuer) == EVP_PKEY_EC ? EVP_sha256() : NULL;

	X509_set_version(certificate, X509_VERSION_3);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
				   (const unsigned char *)"any name", -1, -1, 0);
	X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
	X509_gmtime_adj(X509_getm_notBefore(certificate), from);
	X509_gmtime_adj(X509_getm_notAfter(certificate), until);
	X509_set_pubkey(certificate, pkey);
	assert_true(X509_sign(certificate, issuer, digest) > 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, pkey), 1);
	X509_free(certificate);
	if (!server)
		assert_int_equal(SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x07punch/1", 8), 0);
	return ctx;
}

static void names_and_dates_do_not_matter(void **state)
{
	uint8_t seen[KEY_SIZE];
	struct pair pair;

	(void)state;
	/* expired a year ago; valid from next year on */
	assert_true(meet(&pair, foreign(alice.private, alice.private, -63072000, -31536000, false),
			 tls_context(&server_key, true)));
	assert_int_equal(tls_peer(pair.server, seen), 0);
	assert_memory_equal(seen, alice.public, KEY_SIZE);
	part(&pair);
	assert_true(meet(&pair, foreign(alice.private, alice.private, 31536000, 63072000, false),
			 tls_context(&server_key, true)));
	part(&pair);
}

static void other_types_of_keys_are_turned_away(void **state)
{
	EVP_PKEY *keys[] = { EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), EVP_PKEY_Q_keygen(NULL, NULL, "ED448") };
	struct pair pair;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(keys); i++) {
		assert_false(meet(&pair, foreign(keys[i], keys[i], 0, 1000, false), tls_context(&server_key, true)));
		part(&pair);
		assert_false(meet(&pair, tls_context(&alice, false), foreign(keys[i], keys[i], 0, 1000, true)));
		part(&pair);
		EVP_PKEY_free(keys[i]);
	}
}

static void a_certificate_signed_by_somebody_else_is_turned_away(void **state)
{
	struct pair pair;

	(void)state;
	assert_false(meet(&pair, foreign(alice.private, server_key.private, 0, 1000, false),
			  tls_context(&server_key, true)));
	part(&pair);
}

static void a_chain_is_turned_away(void **state)
{
	SSL_CTX *client = foreign(alice.private, alice.private, 0, 1000, false);
	struct pair pair;

	(void)state;
	assert_int_equal(SSL_CTX_add1_chain_cert(client, SSL_CTX_get0_certificate(client)), 1);
	assert_false(meet(&pair, client, tls_context(&server_key, true)));
	part(&pair);
}

static void a_client_without_certificate_is_turned_away(void **state)
{
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	uint8_t seen[KEY_SIZE];
	struct pair pair;

	(void)state;
	SSL_CTX_set_alpn_protos(client, (const unsigned char *)"\x07punch/1", 8);
	assert_false(meet(&pair, client, tls_context(&server_key, true)));
	assert_int_equal(tls_peer(pair.server, seen), -EKEYREJECTED);
	part(&pair);
}

static void older_tls_is_turned_away(void **state)
{
	SSL_CTX *old = foreign(alice.private, alice.private, 0, 1000, false);
	struct pair pair;

	(void)state;
	SSL_CTX_set_max_proto_version(old, TLS1_2_VERSION);
	assert_false(meet(&pair, old, tls_context(&server_key, true)));
	part(&pair);
	old = foreign(server_key.private, server_key.private, 0, 1000, true);
	SSL_CTX_set_max_proto_version(old, TLS1_2_VERSION);
	assert_false(meet(&pair, tls_context(&alice, false), old));
	part(&pair);
}

static void another_protocol_is_turned_away(void **state)
{
	SSL_CTX *client = foreign(alice.private, alice.private, 0, 1000, false);
	uint8_t seen[KEY_SIZE];
	struct pair pair;

	(void)state;
	SSL_CTX_set_alpn_protos(client, (const unsigned char *)"\x02h2", 3);
	assert_false(meet(&pair, client, tls_context(&server_key, true)));
	part(&pair);
	/* none at all: the handshake ends well, but the key is not handed out */
	client = foreign(alice.private, alice.private, 0, 1000, false);
	SSL_CTX_set_alpn_protos(client, NULL, 0);
	assert_true(meet(&pair, client, tls_context(&server_key, true)));
	assert_int_equal(tls_peer(pair.server, seen), -EKEYREJECTED);
	part(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_end_sees_the_other_ones_key),
		cmocka_unit_test(new_keys_alone_do_not_keep_the_reader),
		cmocka_unit_test(no_key_is_shown_before_the_handshake_is_over),
		cmocka_unit_test(a_key_without_its_private_half_is_no_context),
		cmocka_unit_test(names_and_dates_do_not_matter),
		cmocka_unit_test(other_types_of_keys_are_turned_away),
		cmocka_unit_test(a_certificate_signed_by_somebody_else_is_turned_away),
		cmocka_unit_test(a_chain_is_turned_away),
		cmocka_unit_test(a_client_without_certificate_is_turned_away),
		cmocka_unit_test(older_tls_is_turned_away),
		cmocka_unit_test(another_protocol_is_turned_away),
	};

	return cmocka_run_group_tests(tests, make_keys, wipe_keys);
}
