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

static void new_keys_alone_do_not_keep_us(void **state)
{
	static uint8_t records[FLOOD + SEAL_ROOM], got[SEAL_CHUNK];
	struct ends ends;
	struct seal *seal;
	bool over;
	int turn;

	(void)state;
	make(&ends);
	seal = ends.caller;
	seal->out = records;
	seal->room = sizeof(records);
	while (seal->used < FLOOD) {
		assert_int_equal(SSL_key_update(seal->ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(seal->ssl), 1);
	}
	assert_int_equal(send(ends.fds[0], records, seal->used, 0), (ssize_t)seal->used);
	assert_int_equal(seal_open(ends.callee, got, sizeof(got), &over), -EAGAIN);
	assert_true(in_socket(&ends) >= FLOOD - SEAL_ROOM);	/* what it did not read, somebody else's turn comes before */
	/* And what follows is not lost */
	seal->used = seal_close(seal, (const uint8_t *)"data", 4, records);
	assert_int_equal(send(ends.fds[0], records, seal->used, 0), (ssize_t)seal->used);
	for (turn = 0; turn < 8 && seal_open(ends.callee, got, sizeof(got), &over) != 4; turn++)
		;
	assert_true(turn < 8);
	assert_memory_equal(got, "data", 4);
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
		n = seal_close(ends.caller, (const uint8_t *)"a", 1, records);
		assert_int_equal(send(ends.fds[0], records, (size_t)n, 0), n);
	}
	for (i = 0; i < 3; i++)
		assert_int_equal(seal_open(ends.callee, got, sizeof(got), &over), SEAL_TURN);
	assert_int_equal(seal_open(ends.callee, got, sizeof(got), &over), -EAGAIN);
	end(&ends);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_keys_alone_do_not_keep_us),
		cmocka_unit_test(records_of_one_byte_do_not_keep_us),
	};

	return cmocka_run_group_tests_name("seal flood", tests, NULL, NULL);
}
