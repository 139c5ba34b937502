/* SPDX-License-Identifier: MIT */
/*
 * test_resolver_strangers.c - another user with many connections, silent ones or such that ask for much
 */
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "tests/unit/side_scratch.h"

#define GUESTS		256	/* connections of one user */
#define SILENT		300
#define PATIENCE	(5 * SECOND)	/* after which who is silent is hung up on; it takes no longer than twice */

static bool is_hung_up(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static bool is_answered(void)
{
	struct local_request request;
	struct local_reply reply;

	side_request(&request, LOCAL_STATUS);
	side_ask(&request, -1, &reply, NULL);
	return reply.status == LOCAL_DENIED;
}

/* Return: 0 when it hung up on each of them in its time, and on the oldest at once for who spoke */
static int be_silent(const void *arg)
{
	static struct {
		int fd;
		uint64_t since;
	} silent[SILENT];
	const unsigned int most = GUESTS - 1;	/* beside one who speaks */
	uint64_t spoke;
	unsigned int i;

	(void)arg;
	if (!is_answered())	/* what comes from now on is received as fast as it comes */
		return 1;
	for (i = 0; i < SILENT; i++) {
		silent[i].since = clock_now();
		silent[i].fd = side_connect();
		poll(NULL, 0, 2);
	}
	spoke = clock_now();
	if (!is_answered() || clock_now() - spoke >= PATIENCE / 2)
		return 2;
	for (i = 0; i < SILENT; i++) {
		if (is_hung_up(silent[i].fd) != (i < SILENT - most))
			return 3;
	}
	if (clock_now() - silent[0].since >= PATIENCE)
		return 4;	/* they were not the oldest, but too slow */
	for (i = SILENT - most; i < SILENT; i++) {
		while (!is_hung_up(silent[i].fd) && clock_now() - silent[i].since < 2 * PATIENCE)
			poll(NULL, 0, 5);
		if (clock_now() - silent[i].since < PATIENCE || clock_now() - silent[i].since >= 2 * PATIENCE)
			return 5;
	}
	return 0;
}

static void silent_ones_make_room_and_end(void **state)
{
	(void)state;
	assert_int_equal(as_nobody(be_silent, NULL), 0);
}

enum { FILES = 256, SHARE = FILES / 16 };

/* As a server that has dropped its privileges, with the token @arg.  Return: 0 when he had his share, and no more */
static int ask_for_much(const void *arg)
{
	struct local_request request;
	struct local_reply reply;
	int i, pass;

	side_request(&request, LOCAL_PING);	/* answered at once, and then under way until it is cancelled */
	memcpy(request.token, arg, LOCAL_TOKEN);
	strcpy(request.peer, "never");
	request.target.port = SIDE_PRIVATE;
	for (i = 0; i <= SHARE; i++) {
		int socket = side_connect();
		ssize_t size;

		if (local_send(socket, &request, sizeof(request), -1))
			return 1;
		size = local_recv(socket, &reply, sizeof(reply), &pass);
		if (i < SHARE && (size != (ssize_t)sizeof(reply) || reply.status != LOCAL_OK))
			return 2;
		if (i == SHARE && size != 0)
			return 3;
	}
	return 0;
}

static void requests_hold_a_sixteenth_of_the_descriptors(void **state)
{
	struct rlimit enough, few;
	struct local_reply reply;

	(void)state;
	assert_int_equal(side_simple(LOCAL_NAME, "bob", -1, &reply, NULL), LOCAL_OK);
	assert_int_equal(prlimit(side_pid(), RLIMIT_NOFILE, NULL, &enough), 0);
	few = enough;
	few.rlim_cur = FILES;
	assert_int_equal(prlimit(side_pid(), RLIMIT_NOFILE, &few, NULL), 0);
	assert_int_equal(as_nobody(ask_for_much, reply.token), 0);
	assert_true(side_status_has("cancelled=16"));		/* he has gone: there is room again */
	assert_int_equal(as_nobody(ask_for_much, reply.token), 0);
	assert_int_equal(prlimit(side_pid(), RLIMIT_NOFILE, &enough, NULL), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(silent_ones_make_room_and_end),
		cmocka_unit_test(requests_hold_a_sixteenth_of_the_descriptors),
	};

	return cmocka_run_group_tests_name("strangers", tests, side_setup, side_teardown);
}
