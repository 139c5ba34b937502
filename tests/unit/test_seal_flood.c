/* SPDX-License-Identifier: MIT */
/*
 * test_seal_flood.c - a far end that has the key and sends what costs us much and it little
 *
 * One process encrypts for many connections: none of them may keep it for as long as its peer likes.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/unit/scratch.h"
/* Its peer sends what seal.h has no call for */
#include "resolver/seal.c"
#include "resolver/pair.h"

#define FLOOD	(256 * 1024)	/* bytes in the socket: more than is read ahead, and less than a socket takes */

static const uint8_t session[SESSION_SIZE] = "a session's name";
static const uint8_t key[32] = "thirty-two bytes of a secret key";

struct ends {
	int fds[2];
	struct seal *caller, *callee;
};

static void make(struct ends *ends)
{
	struct seal_setup setup = { .caller = true, .session = session, .key = key };
	const int room = 4 * FLOOD;
	bool wants_write;
	int turn;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends->fds), 0);
	setsockopt(ends->fds[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	setup.fd = ends->fds[0];
	ends->caller = seal_new(&setup);
	setup.fd = ends->fds[1];
	setup.caller = false;
	ends->callee = seal_new(&setup);
	for (turn = 0; turn < 4; turn++) {
		seal_shake(ends->caller, &wants_write);
		seal_shake(ends->callee, &wants_write);
	}
	assert_true(SSL_is_init_finished(ends->caller->ssl) && SSL_is_init_finished(ends->callee->ssl));
	seal_flow(ends->caller);
	seal_flow(ends->callee);
}

static void end(struct ends *ends)
{
	seal_free(ends->caller);
	seal_free(ends->callee);
	close(ends->fds[0]);
	close(ends->fds[1]);
}

static size_t in_socket(const struct ends *ends)
{
	int left;

	assert_int_equal(ioctl(ends->fds[1], FIONREAD, &left), 0);
	return (size_t)left;
}

/* @count new keys, into @records. Return: bytes */
static size_t new_keys(struct seal *seal, unsigned int count, uint8_t *records, size_t room)
{
	seal->io.out = records;
	seal->io.used = 0;
	seal->io.room = room;
	while (count--) {
		assert_int_equal(SSL_key_update(seal->ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(seal->ssl), 1);
	}
	return seal->io.used;
}

static void send_all(const struct ends *ends, const uint8_t *records, size_t size)
{
	assert_int_equal(send(ends->fds[0], records, size, 0), (ssize_t)size);
}

static void send_byte(const struct ends *ends)
{
	static uint8_t records[SEAL_ROOM];

	send_all(ends, records, (size_t)seal_encrypt(ends->caller, (const uint8_t *)"a", 1, records));
}

static void new_keys_alone_do_not_keep_us(void **state)
{
	static uint8_t records[FLOOD + SEAL_ROOM], got[SEAL_CHUNK];
	const unsigned int turns = 5;
	struct ends ends;
	bool over;

	(void)state;
	make(&ends);
	/* What is read ahead is more than is opened in a turn; what was not read stays in the socket */
	send_all(&ends, records, new_keys(ends.caller, turns * SEAL_TURN, records, sizeof(records)));
	send_byte(&ends);
	for (unsigned int turn = 0; turn < turns; turn++)
		assert_int_equal(seal_decrypt(ends.callee, got, sizeof(got), &over), 0);	/* somebody else's turn comes before the rest */
	assert_int_equal(seal_decrypt(ends.callee, got, sizeof(got), &over), 1);		/* and what follows is not lost */
	assert_false(over);
	assert_int_equal(got[0], 'a');
	assert_int_equal(seal_decrypt(ends.callee, got, sizeof(got), &over), -EAGAIN);
	end(&ends);
}

/* Return: how many new keys the callee took before it gave up */
static unsigned int keys_until_it_ends(struct ends *ends, unsigned int most)
{
	uint8_t records[256], got[16];
	bool over;
	ssize_t n;

	for (unsigned int i = 0; i < most; i++) {
		send_all(ends, records, new_keys(ends->caller, 1, records, sizeof(records)));
		n = seal_decrypt(ends->callee, got, sizeof(got), &over);
		if (n == -EPROTO)
			return i;
		assert_int_equal(n, -EAGAIN);
	}
	return most;
}

static void more_new_keys_than_anybody_needs_end_it(void **state)
{
	uint8_t got[16];
	struct ends ends;
	bool over;

	(void)state;
	make(&ends);
	assert_int_equal(keys_until_it_ends(&ends, 2 * SEAL_BARE), SEAL_BARE);
	/* For good */
	send_byte(&ends);
	assert_int_equal(seal_decrypt(ends.callee, got, sizeof(got), &over), -EPROTO);
	end(&ends);
}

static void who_sends_data_may_have_more_new_keys(void **state)
{
	struct ends ends;
	uint8_t got[16];
	bool over;

	(void)state;
	make(&ends);
	for (unsigned int i = 0; i < 3 * SEAL_BARE_EACH; i++) {
		send_byte(&ends);
		assert_int_equal(seal_decrypt(ends.callee, got, sizeof(got), &over), 1);
	}
	assert_int_equal(keys_until_it_ends(&ends, 2 * SEAL_BARE), SEAL_BARE + 3);
	end(&ends);
}

/* A turn is over before what was read ahead is: the other's bytes come into the same buffer */
static void two_connections_do_not_mix_what_was_read_ahead(void **state)
{
	static uint8_t got[SEAL_CHUNK], records[SEAL_ROOM];
	struct ends ends[2];
	unsigned int i, k;
	uint8_t byte;
	bool over;

	(void)state;
	for (k = 0; k < 2; k++)
		make(&ends[k]);
	for (i = 0; i < 3 * SEAL_TURN; i++) {
		for (k = 0; k < 2; k++) {
			byte = (uint8_t)(2 * i + k);
			send_all(&ends[k], records, (size_t)seal_encrypt(ends[k].caller, &byte, 1, records));
		}
	}
	for (i = 0; i < 3 * SEAL_TURN; i++) {
		for (k = 0; k < 2; k++) {
			if (i % SEAL_TURN == 0) {
				assert_int_equal(seal_decrypt(ends[k].callee, got + k * SEAL_TURN, SEAL_CHUNK / 2, &over), SEAL_TURN);
				assert_int_equal(in_socket(&ends[k]), 0);
			}
			assert_int_equal(got[k * SEAL_TURN + i % SEAL_TURN], (uint8_t)(2 * i + k));
		}
	}
	for (k = 0; k < 2; k++) {
		assert_null(ends[k].callee->io.rest);	/* who is at rest holds no buffer */
		assert_int_equal(seal_decrypt(ends[k].callee, got, sizeof(got), &over), -EAGAIN);
		end(&ends[k]);
	}
}

/* The kernel says so once, and then that the stream has ended: in order, where the far end is in its kernel */
static void a_reset_behind_data_is_no_end(void **state)
{
	static uint8_t records[SEAL_ROOM];
	const struct linger reset = { .l_onoff = 1 };
	struct ends ends;
	uint8_t got[16];
	int pair[2];
	bool over;

	(void)state;
	make(&ends);
	SSL_set_options(ends.callee->ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);	/* as if the far end were in its kernel */
	assert_int_equal(pair_make(AF_INET, pair), 0);
	ends.callee->io.fd = pair[1];
	assert_int_equal(send(pair[0], records, (size_t)seal_encrypt(ends.caller, (const uint8_t *)"a", 1, records), 0), 23);
	setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(pair[0]);
	assert_int_equal(seal_decrypt(ends.callee, got, sizeof(got), &over), 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(seal_decrypt(ends.callee, got, sizeof(got), &over), -ECONNRESET);
		assert_false(over);
	}
	close(pair[1]);
	end(&ends);
}

static void records_of_one_byte_do_not_keep_us(void **state)
{
	static uint8_t records[SEAL_ROOM], got[SEAL_CHUNK];
	struct ends ends;
	unsigned int i;
	bool over;
	ssize_t n;

	(void)state;
	make(&ends);
	for (i = 0; i < 3 * SEAL_TURN; i++) {
		n = seal_encrypt(ends.caller, (const uint8_t *)"a", 1, records);
		assert_int_equal(send(ends.fds[0], records, (size_t)n, 0), n);
	}
	for (i = 0; i < 3; i++)
		assert_int_equal(seal_decrypt(ends.callee, got, sizeof(got), &over), SEAL_TURN);
	assert_int_equal(seal_decrypt(ends.callee, got, sizeof(got), &over), -EAGAIN);
	end(&ends);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_keys_alone_do_not_keep_us),
		cmocka_unit_test(more_new_keys_than_anybody_needs_end_it),
		cmocka_unit_test(who_sends_data_may_have_more_new_keys),
		cmocka_unit_test(two_connections_do_not_mix_what_was_read_ahead),
		cmocka_unit_test(a_reset_behind_data_is_no_end),
		cmocka_unit_test(records_of_one_byte_do_not_keep_us),
	};

	return cmocka_run_group_tests_name("seal flood", tests, NULL, NULL);
}
