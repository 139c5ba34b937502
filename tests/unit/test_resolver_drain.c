/* SPDX-License-Identifier: MIT */
/*
 * test_resolver_drain.c - what a program leaves behind a full send buffer is kept until there is room
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "tests/unit/scratch.h"
#include "resolver/drain.h"
#include "tests/unit/world.h"

static struct event_base *base;
static struct drains *drains;

static int begin(void **state)
{
	struct rlimit files;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	base = event_base_new();
	drains = drains_new(base);
	return base && drains ? world_isolate() : -1;
}

static int end(void **state)
{
	(void)state;
	drains_free(drains);
	event_base_free(base);
	return 0;
}

static void tcp_pair(int fds[2])
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(sin);

	assert_int_equal(bind(listener, (struct sockaddr *)&sin, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sin, &size), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&sin, size), 0);
	fds[1] = accept(listener, NULL, NULL);
	assert_true(fds[1] >= 0);
	close(listener);
}

/* Until it stays full */
static void fill(int fd)
{
	static const char data[65536];
	struct pollfd room = { .fd = fd, .events = POLLOUT };

	do {
		while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
			;
	} while (poll(&room, 1, 200) == 1);
}

/* Return: false when nothing is there now */
static bool take(int fd, bool *ended)
{
	static char data[65536];
	ssize_t n;

	while ((n = recv(fd, data, sizeof(data), MSG_DONTWAIT)) > 0)
		;
	*ended = n == 0;
	return n == 0;
}

static bool has_ended(void *arg)
{
	bool ended;

	take(*(int *)arg, &ended);
	return ended;
}

static bool is_over(void *arg)
{
	(void)arg;
	return drains_count(drains) == 0;
}

static void it_ends_when_there_is_room(void **state)
{
	int fds[2], kept;

	(void)state;
	tcp_pair(fds);
	fill(fds[0]);
	kept = dup(fds[0]);
	assert_int_equal(drain_take(drains, kept, true), 0);
	world_turn(base, 3 * DRAIN_SETTLE_MS);
	assert_int_equal(drains_count(drains), 1);
	assert_true(world_until(base, has_ended, &fds[1]));
	assert_int_equal(drains_count(drains), 0);
	assert_int_equal(send(fds[0], "x", 1, MSG_NOSIGNAL), -1);	/* of the program's own, too */
	assert_int_equal(errno, EPIPE);
	assert_int_equal(send(fds[1], "answer", 6, 0), 6);
	assert_int_equal(recv(fds[0], (char[8]){ 0 }, 8, 0), 6);
	close(fds[0]);
	close(fds[1]);
}

static void a_closed_one_ends_when_there_is_room(void **state)
{
	int fds[2];

	(void)state;
	tcp_pair(fds);
	fill(fds[0]);
	assert_int_equal(drain_take(drains, fds[0], false), 0);
	world_turn(base, 3 * DRAIN_SETTLE_MS);
	assert_int_equal(drains_count(drains), 1);
	assert_true(world_until(base, has_ended, &fds[1]));
	close(fds[1]);
}

static void what_others_have_is_not_ended_with_a_closed_one(void **state)
{
	int fds[2];
	bool ended;

	(void)state;
	tcp_pair(fds);
	assert_int_equal(drain_take(drains, dup(fds[0]), false), 0);
	assert_true(world_until(base, is_over, NULL));
	take(fds[1], &ended);
	assert_false(ended);
	assert_int_equal(send(fds[0], "more", 4, MSG_NOSIGNAL), 4);
	close(fds[0]);
	close(fds[1]);
}

static void a_broken_one_is_let_go(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	int fds[2];

	(void)state;
	tcp_pair(fds);
	fill(fds[0]);
	assert_int_equal(drain_take(drains, fds[0], true), 0);
	setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fds[1]);
	assert_true(world_until(base, is_over, NULL));
}

/* A far end that has not all of it: the kernel would have us wait in close() */
static void a_programs_linger_holds_nobody_up(void **state)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 30 };
	static char data[65536];
	uint64_t began = clock_now();
	int fds[2];

	(void)state;
	tcp_pair(fds);
	setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	fill(fds[0]);
	assert_int_equal(drain_take(drains, fds[0], false), 0);
	while (drains_count(drains)) {
		struct pollfd room = { .fd = fds[0], .events = POLLOUT };

		if (poll(&room, 1, 0) == 0)
			assert_true(recv(fds[1], data, sizeof(data), 0) > 0);
		world_turn(base, 10);
	}
	assert_true(recv(fds[1], data, sizeof(data), 0) > 0);
	assert_true(clock_now() - began < 15 * SECOND);
	close(fds[1]);
}

static void there_is_a_most(void **state)
{
	int fds[2], i;

	(void)state;
	tcp_pair(fds);
	fill(fds[0]);
	for (i = 0; i < DRAINS_MAX; i++)
		assert_int_equal(drain_take(drains, dup(fds[0]), false), 0);
	assert_int_equal(drain_take(drains, fds[0], false), -EUSERS);
	assert_int_equal(send(fds[1], "x", 1, 0), 1);
	assert_int_equal(recv(fds[0], (char[8]){ 0 }, 8, 0), 1);	/* still the caller's */
	close(fds[0]);
	close(fds[1]);
	assert_true(world_until(base, is_over, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_ends_when_there_is_room),
		cmocka_unit_test(a_closed_one_ends_when_there_is_room),
		cmocka_unit_test(what_others_have_is_not_ended_with_a_closed_one),
		cmocka_unit_test(a_broken_one_is_let_go),
		cmocka_unit_test(a_programs_linger_holds_nobody_up),
		cmocka_unit_test(there_is_a_most),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
