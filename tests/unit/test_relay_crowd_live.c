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
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/relay_client.h"

#define CROWD	300
#define NARROW	2304	/* bytes: the smallest receive buffer; what a reader does not take stays in the relay */

#define MIB	(1024 * 1024ULL)
#define BUDGET	(256 * MIB)	/* --budget's default */
#define LEAST	(320 * 1024)	/* bytes of kernel memory that each pair may have above that, as punch-relay(8) says */

static struct relay relay;
static int ends[CROWD][2];

/* In a network of our own packets have the size that they have on the Internet: with 64 KiB buffers behave otherwise */
static void small_packets(void)
{
	if (unshare(CLONE_NEWNET) || system("ip link set lo up mtu 1500"))
		print_message("# packets of this host's loopback\n");
}

static int setup(void **state)
{
	struct rlimit limit;

	(void)state;
	small_packets();
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

/* Bytes that the kernel holds for the relay's sockets */
static uint64_t kernel_holds(void)
{
	char command[64], line[512];
	unsigned long long received, queued, sum = 0;
	const char *memory;
	FILE *ss;

	snprintf(command, sizeof(command), "ss -tnmH sport = :%u", relay.port);
	ss = popen(command, "re");
	assert_non_null(ss);
	while (fgets(line, sizeof(line), ss))
		if ((memory = strstr(line, "skmem:(r")) && sscanf(memory, "skmem:(r%llu,", &received) == 1 &&
		    (memory = strstr(memory, ",w")) && sscanf(memory, ",w%llu,", &queued) == 1)
			sum += received + queued;
	assert_int_equal(pclose(ss), 0);
	return sum;
}

/* As much as goes from each end to the other. Return: bytes sent; @received: what was read, NULL: nothing is */
static uint64_t push(const int fds[2], uint64_t *received)
{
	static char block[65536];
	uint64_t sent = 0;
	ssize_t n;

	for (int i = 0; i < 2; i++) {
		while ((n = send(fds[i], block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
			sent += (uint64_t)n;
		while (received && (n = recv(fds[i], block, sizeof(block), MSG_DONTWAIT)) > 0)
			*received += (uint64_t)n;
	}
	return sent;
}

/* All pairs have been fast, so that their buffers would be large; then nobody reads any more, and everybody sends */
static void stalled_readers_stay_within_the_budget(void **state)
{
	uint64_t received, most = 0, holds;
	unsigned int quiet = 0;
	int fresh[2], left = 0;

	(void)state;
	for (int i = 0; i < CROWD; i++) {
		assert_true(relay_pair(&relay, &ends[i][0], &ends[i][1]));
		for (received = 0; received < 2 * MIB; poll(NULL, 0, 1))
			push(ends[i], &received);
	}
	while (quiet < 20) {
		quiet++;
		for (int i = 0; i < CROWD; i++)
			if (push(ends[i], NULL))
				quiet = 0;
		holds = kernel_holds();
		most = holds > most ? holds : most;
		poll(NULL, 0, 10);
	}
	printf("%d pairs: %llu MiB\n", CROWD, (unsigned long long)(most / MIB));
	assert_in_range(most, CROWD * LEAST / 4, BUDGET + CROWD * LEAST);
	/* others are served meanwhile */
	assert_true(relay_pair(&relay, &fresh[0], &fresh[1]));
	for (received = 0; received < 8 * MIB; poll(NULL, 0, 1))
		push(fresh, &received);
	close(fresh[0]);
	close(fresh[1]);
	for (int i = 0; i < CROWD; i++) {
		close_with_reset(ends[i][0]);
		close_with_reset(ends[i][1]);
	}
	assert_true(live_until(are_gone, &left));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resets_of_many_cost_others_nothing),
		cmocka_unit_test(stalled_readers_stay_within_the_budget),
	};

	return cmocka_run_group_tests_name("relay_crowd_live", tests, setup, teardown);
}
