/* SPDX-License-Identifier: MIT */
/*
 * test_seal_limit.c - one TLS connection over more records than may go under one key
 *
 * RFC 8446, 5.5: AES-GCM bears 2^24.5 records; we renew at 2^24.  OpenSSL does not by itself; seal.c has to, and to
 * count right.  Real records, each of one byte: 15 to 25 s of a processor, so it is a test of its own.
 */
#include <errno.h>
#include <sys/socket.h>

#include "tests/unit/scratch.h"
#include "resolver/seal.h"

#define LIMIT	(1u << 24)	/* records under one key */
#define BEYOND	(1u << 18)	/* records after it: they would not open if the ends had different keys */
#define BATCH	4096u		/* records sent at once: some 90 KiB, which a socket takes */

static const uint8_t session[SESSION_SIZE] = "a session's name";
static const uint8_t key[32] = "thirty-two bytes of a secret key";

static uint8_t pattern(uint32_t i)
{
	return (uint8_t)(i * 2654435761u >> 24);
}

static struct seal *new_end(bool caller, int fd)
{
	struct seal_setup setup = { .caller = caller, .session = session, .key = key, .fd = fd };
	const int room = 1 << 20;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	return seal_new(&setup);
}

static void shake(struct seal *caller, struct seal *callee)
{
	int one = -EAGAIN, other = -EAGAIN;
	bool wants_write;

	for (int turn = 0; turn < 10; turn++) {
		if (one == -EAGAIN)
			one = seal_shake(caller, &wants_write);
		if (other == -EAGAIN)
			other = seal_shake(callee, &wants_write);
	}
	assert_int_equal(one, 0);
	assert_int_equal(other, 0);
	assert_true(seal_user(caller));
	seal_flow(caller);
	seal_flow(callee);
}

/* BATCH records of one byte each, from record number @at on, and read again */
static void pass_batch(struct seal *from, int fd, struct seal *to, uint32_t at)
{
	static uint8_t records[SEAL_ROOM + BATCH * 64], sent[BATCH], got[BATCH];
	size_t used = 0, have = 0;
	bool over;
	ssize_t n;

	for (uint32_t i = 0; i < BATCH; i++) {
		sent[i] = pattern(at + i);
		n = seal_encrypt(from, &sent[i], 1, records + used);
		assert_true(n > 1);
		used += (size_t)n;
	}
	assert_int_equal(send(fd, records, used, 0), (ssize_t)used);
	while (have < BATCH) {
		n = seal_decrypt(to, got + have, BATCH - have, &over);
		assert_true(n > 0);
		have += (size_t)n;
	}
	assert_memory_equal(got, sent, BATCH);
}

static void a_connection_goes_on_past_the_limit_with_new_keys(void **state)
{
	struct seal *caller, *callee;
	uint32_t at;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	caller = new_end(true, fds[0]);
	callee = new_end(false, fds[1]);
	assert_true(caller && callee);
	shake(caller, callee);
	for (at = 0; at < LIMIT + BEYOND; at += BATCH) {
		pass_batch(caller, fds[0], callee, at);
		if (at + BATCH == LIMIT)
			assert_int_equal(seal_rekeys(caller), 0);	/* not a record too early */
	}
	/* ChaCha20-Poly1305, where a processor has no instructions for AES, has no limit */
	assert_int_equal(seal_rekeys(caller), strcmp(seal_cipher(caller), "TLS_AES_128_GCM_SHA256") == 0 ? 1 : 0);
	assert_int_equal(seal_rekeys(callee), 0);	/* each end has a key of its own */
	pass_batch(callee, fds[1], caller, 0);
	seal_free(caller);
	seal_free(callee);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_goes_on_past_the_limit_with_new_keys),
	};

	return cmocka_run_group_tests_name("seal limit", tests, NULL, NULL);
}
