/* SPDX-License-Identifier: MIT */
/*
 * test_ticket.c - the right to use a relay once
 */
#include <errno.h>
#include <sys/wait.h>

#include "common/ticket.h"
#include "common/punch.pb-c.h"
#include "common/secret.h"
#include "tests/unit/scratch.h"

#define NOW	1700000000u	/* any Unix time */

static const uint8_t secret[RELAY_SECRET_SIZE] = { 1, 2, 3 };
static char why[512];

static struct ticket a_ticket(void)
{
	struct ticket ticket = { .side = TICKET_CALLEE, .expires_s = NOW + TICKET_LIFETIME_S };

	memset(ticket.session, 0x51, sizeof(ticket.session));
	memset(ticket.caller_key, 0x52, sizeof(ticket.caller_key));
	memset(ticket.callee_key, 0x53, sizeof(ticket.callee_key));
	memset(ticket.nonce, 0x54, sizeof(ticket.nonce));
	return ticket;
}

static void a_ticket_comes_back(void **state)
{
	struct ticket ticket = a_ticket(), back;
	uint8_t out[TICKET_MAX];
	int size;

	(void)state;
	size = ticket_seal(&ticket, secret, out);
	assert_in_range(size, 100, 200);	/* "about 190" says the header */
	assert_int_equal(ticket_open(&back, secret, out, (size_t)size, NOW), 0);
	assert_memory_equal(back.session, ticket.session, sizeof(ticket.session));
	assert_memory_equal(back.caller_key, ticket.caller_key, KEY_SIZE);
	assert_memory_equal(back.callee_key, ticket.callee_key, KEY_SIZE);
	assert_memory_equal(back.nonce, ticket.nonce, sizeof(ticket.nonce));
	assert_int_equal(back.side, TICKET_CALLEE);
	assert_int_equal(back.expires_s, ticket.expires_s);
}

static void a_ticket_expires(void **state)
{
	struct ticket ticket = a_ticket(), back;
	uint8_t out[TICKET_MAX];
	size_t size = (size_t)ticket_seal(&ticket, secret, out);

	(void)state;
	assert_int_equal(ticket_open(&back, secret, out, size, ticket.expires_s - 1), 0);
	assert_int_equal(ticket_open(&back, secret, out, size, ticket.expires_s), -ETIME);
	assert_int_equal(ticket_open(&back, secret, out, size, UINT64_MAX), -ETIME);
}

static void another_secret_and_any_changed_bit_are_refused(void **state)
{
	struct ticket ticket = a_ticket(), back, zero;
	uint8_t out[TICKET_MAX], other[RELAY_SECRET_SIZE] = { 9 };
	size_t size = (size_t)ticket_seal(&ticket, secret, out), bit;

	(void)state;
	memset(&zero, 0, sizeof(zero));
	assert_int_equal(ticket_open(&back, other, out, size, NOW), -EBADMSG);
	assert_memory_equal(&back, &zero, sizeof(zero));
	for (bit = 0; bit < 8 * size; bit++) {
		out[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(ticket_open(&back, secret, out, size, NOW), -EBADMSG);
		out[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (bit = 0; bit < size; bit++)
		assert_int_equal(ticket_open(&back, secret, out, bit, NOW), -EBADMSG);
}

/* Seal any bytes with the right MAC, as a rendezvous of another make might */
static size_t seal_raw(uint8_t out[TICKET_MAX], const uint8_t *ticket, size_t size, const char *context)
{
	Punch__SealedTicket sealed = PUNCH__SEALED_TICKET__INIT;
	uint8_t message[1024], mac[32], copy[512];
	size_t prefix = strlen(context) + 1;

	memcpy(message, context, prefix);
	memcpy(message + prefix, ticket, size);
	memcpy(copy, ticket, size);
	assert_int_equal(secret_mac(secret, message, prefix + size, mac), 0);
	sealed.ticket.data = copy;
	sealed.ticket.len = size;
	sealed.mac.data = mac;
	sealed.mac.len = sizeof(mac);
	assert_true(punch__sealed_ticket__get_packed_size(&sealed) <= TICKET_MAX);
	return punch__sealed_ticket__pack(&sealed, out);
}

static void wrong_contents_under_a_good_mac_are_refused(void **state)
{
	uint8_t bytes[40] = { 1 }, packed[TICKET_MAX] = { 0 }, out[TICKET_MAX];
	Punch__Ticket good = PUNCH__TICKET__INIT, bad;
	struct ticket ticket;
	size_t size, i;

	(void)state;
	good.session = (ProtobufCBinaryData){ SESSION_SIZE, bytes };
	good.caller_key = good.callee_key = (ProtobufCBinaryData){ KEY_SIZE, bytes };
	good.nonce = (ProtobufCBinaryData){ 16, bytes };
	good.side = PUNCH__RELAY_SIDE__RELAY_SIDE_CALLER;
	good.expires_s = NOW + 1;
	size = seal_raw(out, packed, punch__ticket__pack(&good, packed), "punch relay ticket v1");
	assert_int_equal(ticket_open(&ticket, secret, out, size, NOW), 0);
	size = seal_raw(out, packed, punch__ticket__pack(&good, packed), "punch relay ticket v2");
	assert_int_equal(ticket_open(&ticket, secret, out, size, NOW), -EBADMSG);

	for (i = 0; i < 10; i++) {
		bad = good;
		switch (i) {
		case 0: bad.session.len--; break;
		case 1: bad.session.len++; break;
		case 2: bad.caller_key.len = 0; break;
		case 3: bad.caller_key.len++; break;
		case 4: bad.callee_key.len--; break;
		case 5: bad.nonce.len--; break;
		case 6: bad.nonce.len++; break;
		case 7: bad.side = PUNCH__RELAY_SIDE__RELAY_SIDE_UNSPECIFIED; break;
		case 8: bad.side = (Punch__RelaySide)3; break;
		case 9: bad.side = (Punch__RelaySide)-1; break;
		}
		size = seal_raw(out, packed, punch__ticket__pack(&bad, packed), "punch relay ticket v1");
		assert_int_equal(ticket_open(&ticket, secret, out, size, NOW), -EBADMSG);
	}
	size = seal_raw(out, bytes, 5, "punch relay ticket v1");
	assert_int_equal(ticket_open(&ticket, secret, out, size, NOW), -EBADMSG);
	memset(out, 0, sizeof(out));
	assert_int_equal(ticket_open(&ticket, secret, out, 0, NOW), -EBADMSG);
	assert_int_equal(ticket_open(&ticket, secret, out, sizeof(out), NOW), -EBADMSG);
}

static void the_secret_file_is_made_once(void **state)
{
	uint8_t first[RELAY_SECRET_SIZE], second[RELAY_SECRET_SIZE];
	const char *path = scratch_path("relay.secret");
	char text[64];
	struct stat st;

	(void)state;
	assert_int_equal(ticket_secret_load(first, path, 0, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "relay.secret: No such file"));
	assert_int_equal(ticket_secret_load(first, path, 1, why, sizeof(why)), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(scratch_read(path, text, sizeof(text)), 45);
	assert_int_equal(ticket_secret_load(second, path, 1, why, sizeof(why)), 0);
	assert_memory_equal(first, second, sizeof(first));
	assert_int_equal(ticket_secret_load(second, scratch_path("no/folder"), 1, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "cannot write the relay secret"));
}

static void processes_that_start_at_once_agree_on_the_secret(void **state)
{
	uint8_t mine[RELAY_SECRET_SIZE], theirs[RELAY_SECRET_SIZE];
	int fds[2], i, status;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	for (i = 0; i < 4; i++) {
		if (fork() == 0) {
			int rc = ticket_secret_load(mine, scratch_path("race.secret"), 1, why, sizeof(why));

			_exit(rc == 0 && write(fds[1], mine, sizeof(mine)) == (ssize_t)sizeof(mine) ? 0 : 1);
		}
	}
	for (i = 0; i < 4; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(ticket_secret_load(mine, scratch_path("race.secret"), 0, why, sizeof(why)), 0);
	for (i = 0; i < 4; i++) {
		assert_int_equal(read(fds[0], theirs, sizeof(theirs)), sizeof(theirs));
		assert_memory_equal(mine, theirs, sizeof(mine));
	}
	close(fds[0]);
	close(fds[1]);
}

static void wrong_secret_files_are_refused(void **state)
{
	static const char good[] = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n";
	static const char *const wrong[] = { "", "\n", "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\nmore\n", "short=\n" };
	uint8_t got[RELAY_SECRET_SIZE];
	char big[300];
	size_t i;

	(void)state;
	assert_int_equal(ticket_secret_load(got, scratch_write("s", good, 45, 0600), 0, why, sizeof(why)), 0);
	assert_int_equal(ticket_secret_load(got, scratch_write("s", good, 44, 0600), 0, why, sizeof(why)), 0);
	assert_int_equal(ticket_secret_load(got, scratch_write("s", good, 45, 0644), 1, why, sizeof(why)), -EPERM);
	assert_non_null(strstr(why, "chmod 600"));
	for (i = 0; i < COUNT(wrong); i++) {
		assert_int_equal(ticket_secret_load(got, scratch_write("s", wrong[i], strlen(wrong[i]), 0600), 1, why,
						    sizeof(why)), -EINVAL);
		assert_non_null(strstr(why, "openssl rand -base64 32"));
	}
	memset(big, 'A', sizeof(big));
	assert_int_equal(ticket_secret_load(got, scratch_write("s", big, sizeof(big), 0600), 1, why, sizeof(why)), -EFBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ticket_comes_back),
		cmocka_unit_test(a_ticket_expires),
		cmocka_unit_test(another_secret_and_any_changed_bit_are_refused),
		cmocka_unit_test(wrong_contents_under_a_good_mac_are_refused),
		cmocka_unit_test(the_secret_file_is_made_once),
		cmocka_unit_test(processes_that_start_at_once_agree_on_the_secret),
		cmocka_unit_test(wrong_secret_files_are_refused),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
