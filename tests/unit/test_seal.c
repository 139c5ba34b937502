/* SPDX-License-Identifier: MIT */
/*
 * test_seal.c - two ends of one TLS: what they agree on, new keys, and who is refused
 */
#include <errno.h>
#include <sys/socket.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tests/unit/scratch.h"
#include "resolver/seal.h"

static const uint8_t session[SESSION_SIZE] = "a session's name";
static const uint8_t key[32] = "thirty-two bytes of a secret key";
static const uint8_t other[32] = "thirty-two bytes of another key.";

struct ends {
	int fds[2];
	struct seal *caller, *callee;
};

static void make(struct ends *ends, unsigned int caller_kernel, unsigned int callee_kernel, const uint8_t *callee_key)
{
	struct seal_setup setup = { .caller = true, .session = session, .key = key, .kernel = caller_kernel };

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends->fds), 0);
	setup.fd = ends->fds[0];
	ends->caller = seal_new(&setup);
	setup.fd = ends->fds[1];
	setup.caller = false;
	setup.key = callee_key;
	setup.kernel = callee_kernel;
	ends->callee = seal_new(&setup);
	assert_true(ends->caller && ends->callee);
}

static void shake(struct ends *ends, int *caller, int *callee)
{
	bool wants_write;

	*caller = *callee = -EAGAIN;
	for (int turn = 0; turn < 10; turn++) {
		if (*caller == -EAGAIN)
			*caller = seal_shake(ends->caller, &wants_write);
		if (*callee == -EAGAIN)
			*callee = seal_shake(ends->callee, &wants_write);
	}
}

static void must_shake(struct ends *ends)
{
	int caller, callee;

	shake(ends, &caller, &callee);
	assert_int_equal(caller, 0);
	assert_int_equal(callee, 0);
}

static void end(struct ends *ends)
{
	seal_free(ends->caller);
	seal_free(ends->callee);
	close(ends->fds[0]);
	close(ends->fds[1]);
}

static void pass(struct seal *from, int fd, struct seal *to, const void *data, size_t size)
{
	static uint8_t sealed[SEAL_ROOM], got[SEAL_CHUNK];
	ssize_t n = seal_encrypt(from, data, size, sealed);
	bool over;

	assert_true(n > (ssize_t)size);
	assert_int_equal(send(fd, sealed, (size_t)n, 0), n);
	assert_int_equal(seal_decrypt(to, got, sizeof(got), &over), (ssize_t)size);
	assert_memory_equal(got, data, size);
	assert_false(over);
}

#define BOTH (SEAL_KERNEL_CHACHA | SEAL_KERNEL_AES)
#define AES_NAME	"TLS_AES_128_GCM_SHA256"
#define CHACHA_NAME	"TLS_CHACHA20_POLY1305_SHA256"

static void a_kernel_at_either_end_chooses_the_cipher_without_a_limit(void **state)
{
	static const struct {
		unsigned int caller, callee;
		const char *cipher;
		bool user;
	} rows[] = {
		{ 0, 0, NULL, true },			/* by the processor */
		{ BOTH, 0, CHACHA_NAME, false },
		{ 0, BOTH, CHACHA_NAME, false },
		{ BOTH, BOTH, CHACHA_NAME, false },
		{ SEAL_KERNEL_AES, 0, AES_NAME, false },
		{ 0, SEAL_KERNEL_AES, AES_NAME, false },
		{ BOTH, SEAL_KERNEL_AES, AES_NAME, false },
		{ SEAL_KERNEL_CHACHA, BOTH, CHACHA_NAME, false },
	};
	struct ends ends;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		make(&ends, rows[i].caller, rows[i].callee, key);
		must_shake(&ends);
		if (rows[i].cipher)
			assert_string_equal(seal_cipher(ends.caller), rows[i].cipher);
		assert_string_equal(seal_cipher(ends.caller), seal_cipher(ends.callee));
		assert_int_equal(seal_user(ends.caller), rows[i].user);
		assert_int_equal(seal_user(ends.callee), rows[i].user);
		end(&ends);
	}
}

static void both_ends_have_the_same_keys_for_the_kernel(void **state)
{
	static const uint8_t none[32];
	struct seal_keys caller, callee;
	struct ends ends;

	(void)state;
	for (unsigned int kernel = SEAL_KERNEL_CHACHA; kernel <= SEAL_KERNEL_AES; kernel++) {
		size_t size = kernel == SEAL_KERNEL_CHACHA ? 32 : 16;

		make(&ends, kernel, kernel, key);
		must_shake(&ends);
		assert_int_equal(seal_take_keys(ends.caller, &caller), 0);
		assert_int_equal(seal_take_keys(ends.callee, &callee), 0);
		assert_int_equal(caller.chacha, kernel == SEAL_KERNEL_CHACHA);
		assert_memory_equal(caller.out.key, callee.in.key, size);
		assert_memory_equal(caller.in.key, callee.out.key, size);
		assert_memory_equal(caller.out.iv, callee.in.iv, 12);
		assert_memory_equal(caller.in.iv, callee.out.iv, 12);
		assert_memory_not_equal(caller.out.key, caller.in.key, size);
		assert_memory_not_equal(caller.out.key, none, size);
		end(&ends);
	}
}

/* As with a connection over 2^24 records: the count is what matters, and it is set lower */
static void keys_are_renewed_and_no_byte_is_lost(void **state)
{
	static uint8_t data[3 * SEAL_RECORD];
	struct ends ends;

	(void)state;
	seal_set_rekey(10);
	make(&ends, 0, 0, key);
	must_shake(&ends);
	seal_flow(ends.caller);
	seal_flow(ends.callee);
	for (unsigned int i = 0; i < 100; i++) {
		memset(data, (int)i, sizeof(data));
		pass(ends.caller, ends.fds[0], ends.callee, data, i % 3 ? 1 : sizeof(data));
		pass(ends.callee, ends.fds[1], ends.caller, data, 100);
	}
	if (strcmp(seal_cipher(ends.caller), AES_NAME) == 0) {
		assert_int_equal(seal_rekeys(ends.caller), 16);		/* 34 * 3 + 66 records */
		assert_int_equal(seal_rekeys(ends.callee), 9);
	} else {
		assert_int_equal(seal_rekeys(ends.caller), 0);		/* no AES here, no limit */
	}
	end(&ends);
	seal_set_rekey(SEAL_REKEY);
}

static void a_kernel_is_sent_neither_new_keys_nor_alerts(void **state)
{
	static uint8_t sealed[SEAL_ROOM];
	struct ends ends;
	uint8_t got[16];
	bool over;

	(void)state;
	seal_set_rekey(2);
	make(&ends, 0, SEAL_KERNEL_AES, key);	/* the far end only says that it will go there */
	must_shake(&ends);
	seal_flow(ends.caller);
	seal_flow(ends.callee);
	for (unsigned int i = 0; i < 10; i++)
		pass(ends.caller, ends.fds[0], ends.callee, "data", 4);
	assert_int_equal(seal_rekeys(ends.caller), 0);
	assert_int_equal(seal_encrypt(ends.caller, NULL, 0, sealed), 0);	/* no close_notify */
	shutdown(ends.fds[0], SHUT_WR);
	assert_int_equal(seal_decrypt(ends.callee, got, sizeof(got), &over), 0);
	assert_true(over);
	end(&ends);
	seal_set_rekey(SEAL_REKEY);
}

static void not_a_byte_behind_the_handshake_is_read(void **state)
{
	static uint8_t sealed[SEAL_ROOM];
	struct ends ends;
	bool wants_write;
	uint8_t left[64];
	ssize_t n;

	(void)state;
	make(&ends, 0, SEAL_KERNEL_AES, key);
	assert_int_equal(seal_shake(ends.caller, &wants_write), -EAGAIN);
	assert_int_equal(seal_shake(ends.callee, &wants_write), -EAGAIN);
	assert_int_equal(seal_shake(ends.caller, &wants_write), 0);
	seal_flow(ends.caller);
	n = seal_encrypt(ends.caller, (const uint8_t *)"early", 5, sealed);	/* with the Finished, before it was read */
	assert_int_equal(send(ends.fds[0], sealed, (size_t)n, 0), n);
	assert_int_equal(seal_shake(ends.callee, &wants_write), 0);
	assert_int_equal(recv(ends.fds[1], left, sizeof(left), 0), n);
	assert_memory_equal(left, sealed, (size_t)n);
	end(&ends);
}

static void another_key_is_refused(void **state)
{
	struct ends ends;
	int caller, callee;

	(void)state;
	make(&ends, 0, 0, other);
	shake(&ends, &caller, &callee);
	assert_int_equal(callee, -EKEYREJECTED);
	assert_int_not_equal(caller, 0);
	end(&ends);
}

/* Somebody between the two, with a certificate of his own in the place of the key */
static void a_certificate_does_not_do(void **state)
{
	struct seal_setup setup = { .caller = true, .session = session, .key = key };
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	X509 *certificate = X509_new();
	int fds[2], rc = -EAGAIN;
	struct seal *caller;
	bool wants_write;
	SSL *ssl;

	(void)state;
	X509_set_pubkey(certificate, pkey);
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	assert_true(X509_sign(certificate, pkey, NULL) > 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, pkey), 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	setup.fd = fds[0];
	caller = seal_new(&setup);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fds[1]);
	for (int turn = 0; turn < 10 && rc == -EAGAIN; turn++) {
		rc = seal_shake(caller, &wants_write);
		SSL_accept(ssl);
	}
	assert_int_equal(rc, -EKEYREJECTED);
	seal_free(caller);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	X509_free(certificate);
	EVP_PKEY_free(pkey);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kernel_at_either_end_chooses_the_cipher_without_a_limit),
		cmocka_unit_test(both_ends_have_the_same_keys_for_the_kernel),
		cmocka_unit_test(keys_are_renewed_and_no_byte_is_lost),
		cmocka_unit_test(a_kernel_is_sent_neither_new_keys_nor_alerts),
		cmocka_unit_test(not_a_byte_behind_the_handshake_is_read),
		cmocka_unit_test(another_key_is_refused),
		cmocka_unit_test(a_certificate_does_not_do),
	};

	return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
