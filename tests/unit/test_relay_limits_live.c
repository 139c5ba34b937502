/* SPDX-License-Identifier: MIT */
/*
 * test_relay_limits_live.c - the real punch-relay with limits for each key
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/secret.h"
#include "tests/unit/relay_client.h"

#define MB	1000000ULL
#define LIMIT	PUNCH__RELAY_STATUS__RELAY_LIMIT
#define JOINED	PUNCH__RELAY_STATUS__RELAY_JOINED

static struct relay relay;
static char folder[64];

/* Pairs of one key: two at one time; bytes: 16 Mbit/s, 2 MB/s */
static int setup(void **state)
{
	char dash_c[] = "-c", path[128];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	alarm(120);
	live_folder(folder);
	live_write(folder, "relay.conf", "[relay]\npairs-per-key = 2\nmbit-per-key = 16\n");
	snprintf(path, sizeof(path), "%s/relay.conf", folder);
	relay_start_with(&relay, 0, dash_c, path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	live_folder_remove(folder);
	return relay_stop(&relay);
}

/* A pair of the keys @caller and @callee. Return: the status that both are told, -1 when they differ */
static int pair_of(uint8_t caller, uint8_t callee, int fds[2])
{
	struct ticket ticket = relay_ticket(0, TICKET_CALLER);
	int status;

	secret_random(ticket.session, sizeof(ticket.session));
	memset(ticket.caller_key, caller, sizeof(ticket.caller_key));
	memset(ticket.callee_key, callee, sizeof(ticket.callee_key));
	fds[0] = relay_hello(&relay, &ticket);
	secret_random(ticket.nonce, sizeof(ticket.nonce));
	ticket.side = TICKET_CALLEE;
	fds[1] = relay_hello(&relay, &ticket);
	status = relay_status(fds[0]);
	return status == relay_status(fds[1]) ? status : -1;
}

static void end_pair(const int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

static bool pairs_are(void *arg)
{
	return live_metric(relay.metrics, "punch_relay_pairs") == *(int *)arg;
}

static void pairs_per_key(void **state)
{
	int a[2], b[2], c[2], d[2], left = 2;

	(void)state;
	assert_int_equal(pair_of(10, 11, a), JOINED);
	assert_int_equal(pair_of(12, 10, b), JOINED);	/* as callee it counts as well */
	assert_int_equal(pair_of(10, 13, c), LIMIT);
	assert_int_equal(pair_of(13, 10, d), LIMIT);
	end_pair(c);
	end_pair(d);
	assert_int_equal(live_metric(relay.metrics, "punch_relay_refused_total{reason=\"key\"}"), 4);
	assert_true(live_log_has(relay.folder, "key 0a0a0a0a...: has as many pairs as one key may have"));
	/* those that were refused cost the other key nothing */
	assert_int_equal(pair_of(13, 14, c), JOINED);
	assert_int_equal(pair_of(13, 14, d), JOINED);
	end_pair(c);
	end_pair(d);
	assert_true(live_until(pairs_are, &left));
	end_pair(a);
	left = 1;
	assert_true(live_until(pairs_are, &left));
	assert_int_equal(pair_of(10, 13, a), JOINED);
	end_pair(a);
	end_pair(b);
	left = 0;
	assert_true(live_until(pairs_are, &left));
}

/* A relay with room for two pairs */
static void pairs_are_limited(void **state)
{
	int first[2], second[2], third[2], left = 1;
	char dash_c[] = "-c", path[128];
	const struct relay roomy = relay;

	(void)state;
	live_write(folder, "small.conf", "[relay]\npairs = 2\n");
	snprintf(path, sizeof(path), "%s/small.conf", folder);
	relay_start_with(&relay, 0, dash_c, path);
	assert_int_equal(pair_of(10, 11, first), JOINED);
	assert_int_equal(pair_of(12, 13, second), JOINED);
	assert_int_equal(pair_of(14, 15, third), LIMIT);
	assert_int_equal(live_metric(relay.metrics, "punch_relay_refused_total{reason=\"limit\"}"), 2);
	assert_true(live_log_has(relay.folder, "2 pairs, as many as there may be"));
	end_pair(third);
	end_pair(first);
	assert_true(live_until(pairs_are, &left));
	assert_int_equal(pair_of(14, 15, third), JOINED);
	end_pair(third);
	end_pair(second);
	assert_int_equal(relay_stop(&relay), 0);
	relay = roomy;
}

/* Send as much as goes, receive what is there */
static void move(const int fds[2], uint64_t *sent, uint64_t *received)
{
	static char block[65536];
	ssize_t n;

	while ((n = send(fds[0], block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		*sent += (uint64_t)n;
	while ((n = recv(fds[1], block, sizeof(block), MSG_DONTWAIT)) > 0)
		*received += (uint64_t)n;
}

/* Two pairs of one key, both with all that goes, for three seconds: 2 MB/s together, and each has its part */
static void bytes_per_key(void **state)
{
	uint64_t sent[2] = { 0 }, received[2] = { 0 }, started, span;
	unsigned int cpu = live_cpu_ms(relay.program.pid);
	int a[2], b[2];

	(void)state;
	assert_int_equal(pair_of(20, 21, a), JOINED);
	assert_int_equal(pair_of(22, 20, b), JOINED);
	for (started = clock_now(); clock_now() < started + 3 * SECOND; poll(NULL, 0, 2)) {
		move(a, &sent[0], &received[0]);
		move(b, &sent[1], &received[1]);
	}
	span = clock_now() - started;
	cpu = live_cpu_ms(relay.program.pid) - cpu;
	printf("%llu and %llu bytes, %u ms of CPU\n", (unsigned long long)received[0],
	       (unsigned long long)received[1], cpu);
	/* 0.4 MB may come ahead, and a chunk of 256 KiB */
	assert_in_range(received[0] + received[1], 4 * MB, 2 * MB * span / SECOND + MB);
	assert_in_range(received[0], MB, 6 * MB);
	assert_in_range(received[1], MB, 6 * MB);
	assert_in_range(cpu, 0, 600);
	/* what was sent and is not carried yet is in the kernel, bounded by its buffers; nothing of it is lost */
	shutdown(a[0], SHUT_WR);
	close(b[0]);
	close(b[1]);
	while (recv(a[1], &(char){ 0 }, 1, MSG_PEEK) > 0)
		move((int[2]){ -1, a[1] }, &sent[1], &received[0]);
	assert_int_equal(received[0], sent[0]);
	end_pair(a);
}

/* While one key waits another one's bytes pass at once */
static void others_do_not_wait(void **state)
{
	uint64_t sent = 0, received = 0, before;
	int busy[2], other[2];
	char byte;

	(void)state;
	assert_int_equal(pair_of(30, 31, busy), JOINED);
	assert_int_equal(pair_of(32, 33, other), JOINED);
	for (int i = 0; i < 200; i++) {
		move(busy, &sent, &received);
		poll(NULL, 0, 2);
	}
	assert_true(sent > received);
	for (int i = 0; i < 20; i++) {
		before = clock_now();
		assert_int_equal(send(other[0], "x", 1, MSG_NOSIGNAL), 1);
		assert_int_equal(recv(other[1], &byte, 1, 0), 1);
		assert_in_range(clock_now() - before, 0, SECOND / 2);
		move(busy, &sent, &received);
	}
	end_pair(busy);
	end_pair(other);
}

/*
 * A relay that carries 125 kB a second for a key. The bytes that eight pairs have brought to it before all
 * of them are reset are more than that in the 5 s that a pair has for them: they arrive all the same.
 */
static void a_reset_passes_what_came_before_it(void **state)
{
	const struct linger rst = { .l_onoff = 1 };
	char dash_c[] = "-c", path[128];
	uint64_t sent[8] = { 0 }, received[8] = { 0 }, sum = 0, nothing = 0;
	struct relay slow;
	int fds[8][2], queued, left = 0;

	(void)state;
	live_write(folder, "slow.conf", "[relay]\nmbit-per-key = 1\n");
	snprintf(path, sizeof(path), "%s/slow.conf", folder);
	relay_start_with(&slow, 0, dash_c, path);
	for (int i = 0; i < 8; i++)
		assert_true(relay_pair(&slow, &fds[i][0], &fds[i][1]));
	for (int round = 0; round < 200; round++, poll(NULL, 0, 2))
		for (int i = 0; i < 8; i++)
			move(fds[i], &sent[i], &received[i]);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(ioctl(fds[i][0], SIOCOUTQ, &queued), 0);
		sent[i] -= (uint64_t)queued;
		sum += sent[i] - received[i];
		setsockopt(fds[i][0], SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
		close(fds[i][0]);
	}
	printf("%llu bytes were on their way\n", (unsigned long long)sum);
	while (live_metric(slow.metrics, "punch_relay_pairs") > 0)
		for (int i = 0; i < 8; i++)
			move((int[2]){ -1, fds[i][1] }, &nothing, &received[i]);
	for (int i = 0; i < 8; i++) {
		move((int[2]){ -1, fds[i][1] }, &nothing, &received[i]);
		left += received[i] < sent[i];
		close(fds[i][1]);
	}
	assert_int_equal(left, 0);
	assert_int_equal(relay_stop(&slow), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_per_key),
		cmocka_unit_test(pairs_are_limited),
		cmocka_unit_test(bytes_per_key),
		cmocka_unit_test(others_do_not_wait),
		cmocka_unit_test(a_reset_passes_what_came_before_it),
	};

	return cmocka_run_group_tests_name("relay_limits_live", tests, setup, teardown);
}
