/* SPDX-License-Identifier: MIT */
/*
 * test_relay_crowd_live.c - the real punch-relay with many pairs whose readers do not read
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/relay_client.h"

#define CROWD	300
#define NARROW	2304	/* bytes: the smallest receive buffer; what a reader does not take stays in the relay */

static struct relay relay;
static int ends[CROWD][2];

static int setup(void **state)
{
	struct rlimit limit;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	alarm(120);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
	setrlimit(RLIMIT_NOFILE, &limit);
	relay_start_with(&relay, 0, NULL, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return relay_stop(&relay);
}

/* Pairs whose callee takes next to nothing */
static void crowd_comes(void)
{
	const int narrow = NARROW;

	for (int i = 0; i < CROWD; i++) {
		assert_true(relay_pair(&relay, &ends[i][0], &ends[i][1]));
		assert_int_equal(setsockopt(ends[i][1], SOL_SOCKET, SO_RCVBUF, &narrow, sizeof(narrow)), 0);
	}
}

static void close_with_reset(int fd)
{
	const struct linger rst = { .l_onoff = 1 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst)), 0);
	close(fd);
}

static bool are_gone(void *arg)
{
	return live_metric(relay.metrics, "punch_relay_pairs") == *(int *)arg;
}

/*
 * All of them are reset with bytes on the way: the relay looks at so many every 10 ms until they are passed on, not at all of
 * them whenever another pair moves a byte
 */
static void resets_of_many_cost_others_nothing(void **state)
{
	const char *const looks = "punch_relay_flush_looks_total";
	static char block[128 * 1024];
	int a, b, left = 0;
	uint64_t started;
	long long before;

	(void)state;
	crowd_comes();
	assert_true(relay_pair(&relay, &a, &b));
	for (int i = 0; i < CROWD; i++) {
		assert_true(send(ends[i][0], block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT) > 0);
		close_with_reset(ends[i][0]);
	}
	started = clock_now();
	before = live_metric(relay.metrics, looks);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(send(a, "x", 1, MSG_NOSIGNAL), 1);
		assert_int_equal(recv(b, block, 1, 0), 1);
	}
	before = live_metric(relay.metrics, looks) - before;
	printf("%lld looks in %llu ms\n", before, (unsigned long long)((clock_now() - started) / MS));
	assert_in_range(before, 1, 128 * ((clock_now() - started) / (10 * MS) + 2));
	/* and their time ends: 5 s */
	close(a);
	close(b);
	assert_true(live_until(are_gone, &left));
	for (int i = 0; i < CROWD; i++)
		close(ends[i][1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resets_of_many_cost_others_nothing),
	};

	return cmocka_run_group_tests_name("relay_crowd_live", tests, setup, teardown);
}
