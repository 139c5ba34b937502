/* SPDX-License-Identifier: MIT */
/*
 * test_relay_live.c - bytes through the real punch-relay: all of them, in order, with their ends
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/relay_client.h"

#define MIB (1024 * 1024ULL)

static struct relay relay;

static void test_64_mib_both_ways_arrive_unchanged(void **state)
{
	struct stream streams[2] = { { 0 }, { 0 } };
	long long before = live_metric(relay.metrics, "punch_relay_bytes_total");
	int a, b;

	(void)state;
	assert_true(relay_pair(&relay, &a, &b));
	streams[0] = (struct stream){ .from = a, .to = b, .total = 64 * MIB };
	streams[1] = (struct stream){ .from = b, .to = a, .total = 64 * MIB };
	assert_true(streams_run(streams, 2));
	close(a);
	close(b);
	assert_int_equal(live_metric(relay.metrics, "punch_relay_bytes_total") - before, 128 * MIB);
}

/* Sent right behind the hello, long before the partner comes */
static void test_bytes_before_the_join_are_kept(void **state)
{
	struct ticket ticket = relay_ticket(1, TICKET_CALLER);
	int a = relay_hello(&relay, &ticket), b;
	char text[32];

	(void)state;
	assert_int_equal(send(a, "early bytes", 11, MSG_NOSIGNAL), 11);
	ticket = relay_ticket(1, TICKET_CALLEE);
	b = relay_hello(&relay, &ticket);
	assert_int_equal(relay_status(a), PUNCH__RELAY_STATUS__RELAY_JOINED);
	assert_int_equal(relay_status(b), PUNCH__RELAY_STATUS__RELAY_JOINED);
	assert_int_equal(recv(b, text, 11, MSG_WAITALL), 11);
	assert_memory_equal(text, "early bytes", 11);
	close(a);
	close(b);
}

static void test_half_close_is_carried_over(void **state)
{
	char text[32];
	int a, b;

	(void)state;
	assert_true(relay_pair(&relay, &a, &b));
	assert_int_equal(send(a, "question", 8, MSG_NOSIGNAL), 8);
	assert_int_equal(shutdown(a, SHUT_WR), 0);
	assert_int_equal(recv(b, text, 8, MSG_WAITALL), 8);
	assert_int_equal(recv(b, text, 1, 0), 0);
	/* the other direction lives on */
	assert_int_equal(send(b, "answer", 6, MSG_NOSIGNAL), 6);
	assert_int_equal(recv(a, text, 6, MSG_WAITALL), 6);
	assert_int_equal(send(b, "more", 4, MSG_NOSIGNAL), 4);
	close(b);
	assert_int_equal(recv(a, text, 4, MSG_WAITALL), 4);
	assert_int_equal(recv(a, text, 1, 0), 0);
	close(a);
}

static void close_with_reset(int fd)
{
	const struct linger rst = { 1, 0 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst)), 0);
	close(fd);
}

static void test_reset_is_an_abort_for_the_other_side(void **state)
{
	char byte;
	int a, b;

	(void)state;
	assert_true(relay_pair(&relay, &a, &b));
	close_with_reset(a);
	assert_int_equal(recv(b, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(b);
}

/* The flow towards the end that dies has ended before: that changes nothing for the other side */
static void test_reset_after_a_half_close(void **state)
{
	char byte;
	int a, b;

	(void)state;
	assert_true(relay_pair(&relay, &a, &b));
	shutdown(a, SHUT_WR);
	assert_int_equal(recv(b, &byte, 1, 0), 0);
	close_with_reset(b);
	assert_int_equal(recv(a, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(a);
}

static bool is_acknowledged(void *arg)
{
	int queued;

	return !ioctl(*(int *)arg, SIOCOUTQ, &queued) && !queued;
}

/* As a server that closes with a request unread: its answer comes first, then the reset */
static void test_bytes_before_a_reset_arrive(void **state)
{
	static char block[300 * 1024];
	size_t have = 0;
	ssize_t n;
	int a, b;

	(void)state;
	assert_true(relay_pair(&relay, &a, &b));
	memset(block, 'x', sizeof(block));
	assert_int_equal(send(a, block, sizeof(block), MSG_NOSIGNAL), sizeof(block));
	assert_true(live_until(is_acknowledged, &a));
	close_with_reset(a);
	while ((n = recv(b, block, 4096, 0)) > 0)
		have += (size_t)n;
	assert_int_equal(have, sizeof(block));
	assert_int_equal(n, -1);
	assert_int_equal(errno, ECONNRESET);
	close(b);
}

static bool has_shrunk(void *arg)
{
	return live_metric(((struct relay *)arg)->metrics, "punch_relay_grown_bytes") == 0;
}

/* @most: bytes that it may keep on the way, the ends' own buffers included */
static void stall(const struct relay *by, uint64_t most)
{
	static char block[65536];
	struct pollfd pfd = { .events = POLLOUT };
	uint64_t sent = 0, received = 0;
	unsigned int cpu;
	int a, b, c, d;
	ssize_t n;

	assert_true(relay_pair(by, &a, &b));
	assert_true(relay_pair(by, &c, &d));
	/* b reads nothing: a is stopped once the buffers on the way are full */
	pfd.fd = a;
	while (poll(&pfd, 1, 500) > 0 && sent < 64 * MIB)
		if ((n = send(a, block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
			sent += (uint64_t)n;
	assert_in_range(sent, 1, most);
	/* the relay waits for it without turning round */
	cpu = live_cpu_ms(by->program.pid);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(send(c, block, 1000, MSG_NOSIGNAL), 1000);
		assert_int_equal(recv(d, block, 1000, MSG_WAITALL), 1000);
		poll(NULL, 0, 2);
	}
	assert_in_range(live_cpu_ms(by->program.pid) - cpu, 0, 100);
	/* nothing is lost when it wakes up */
	shutdown(a, SHUT_WR);
	while ((n = recv(b, block, sizeof(block), 0)) > 0)
		received += (uint64_t)n;
	assert_int_equal(n, 0);
	assert_int_equal(received, sent);
	close(a);
	close(b);
	close(c);
	close(d);
}

static void test_stalled_reader_holds_only_its_own_pair(void **state)
{
	char option[] = "--budget", none[] = "0";
	struct relay strict;

	(void)state;
	stall(&relay, 40 * MIB);	/* one pair may use the budget */
	relay_start_with(&strict, 0, option, none);
	stall(&strict, 16 * MIB);
	assert_int_equal(relay_stop(&strict), 0);
}

/* Return: bytes that the relay's buffers have grown by, when so many have passed from @a to @b */
static long long grown_by(const struct relay *by, int a, int b, uint64_t total)
{
	static char block[65536];
	struct pollfd pfds[] = { { .fd = a, .events = POLLOUT }, { .fd = b, .events = POLLIN } };
	uint64_t sent = 0, received = 0;
	ssize_t n;

	while (received < total && poll(pfds, 2, LIVE_WAIT_S * 1000) > 0) {
		pfds[0].events = sent < total ? POLLOUT : 0;
		n = sent < total ? send(a, block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
		sent += n > 0 ? (uint64_t)n : 0;
		n = recv(b, block, sizeof(block), MSG_DONTWAIT);
		received += n > 0 ? (uint64_t)n : 0;
	}
	assert_true(received >= total);
	return live_metric(by->metrics, "punch_relay_grown_bytes");
}

/* Buffers grow with a pair that is fast, within the budget, and what they took is given back */
static void test_buffers_grow_within_the_budget(void **state)
{
	char option[] = "--budget", none[] = "0";
	struct relay strict;
	int a, b, c, d;

	(void)state;
	assert_true(relay_pair(&relay, &a, &b));
	assert_in_range(grown_by(&relay, a, b, 64 * MIB), 1, 256 * MIB);
	close(a);
	close(b);
	assert_true(live_until(has_shrunk, &relay));

	relay_start_with(&strict, 0, option, none);
	assert_true(relay_pair(&strict, &c, &d));
	/* but for a packet or two beyond a buffer's limit, as the kernel takes them */
	assert_in_range(grown_by(&strict, c, d, 64 * MIB), 0, MIB / 4);
	/* one that was held goes on */
	assert_in_range(grown_by(&strict, d, c, 64 * MIB), 0, MIB / 4);
	close(c);
	close(d);
	assert_int_equal(relay_stop(&strict), 0);
}

static void send_urgent(int fd)
{
	assert_int_equal(send(fd, "before", 6, MSG_NOSIGNAL), 6);
	assert_int_equal(send(fd, "!", 1, MSG_NOSIGNAL | MSG_OOB), 1);
	assert_int_equal(send(fd, "after", 5, MSG_NOSIGNAL), 5);
}

/* Telnet and FTP: splice() alone would stop before the urgent byte for ever */
static void test_urgent_data_keeps_its_place(void **state)
{
	struct ticket ticket = relay_ticket(2, TICKET_CALLER);
	char text[32];
	int a, b;

	(void)state;
	assert_true(relay_pair(&relay, &a, &b));
	send_urgent(a);
	assert_int_equal(recv(b, text, 12, MSG_WAITALL), 12);
	assert_memory_equal(text, "before!after", 12);
	close(a);
	close(b);
	/* with the end of the stream behind it, all there when the pump begins */
	a = relay_hello(&relay, &ticket);
	send_urgent(a);
	shutdown(a, SHUT_WR);
	ticket = relay_ticket(2, TICKET_CALLEE);
	b = relay_hello(&relay, &ticket);
	assert_int_equal(relay_status(b), PUNCH__RELAY_STATUS__RELAY_JOINED);
	assert_int_equal(recv(b, text, 12, MSG_WAITALL), 12);
	assert_memory_equal(text, "before!after", 12);
	assert_int_equal(recv(b, text, 1, 0), 0);
	close(a);
	close(b);
}

static bool no_pairs(void *arg)
{
	(void)arg;
	return live_metric(relay.metrics, "punch_relay_pairs") == 0;
}

static void test_pairs_are_forgotten_when_both_ends_closed(void **state)
{
	int fds[40];

	(void)state;
	for (int i = 0; i < 40; i += 2)
		assert_true(relay_pair(&relay, &fds[i], &fds[i + 1]));
	assert_in_range(live_metric(relay.metrics, "punch_relay_pairs"), 20, 25);
	for (int i = 0; i < 40; i++)
		close(fds[i]);
	assert_true(live_until(no_pairs, NULL));
	assert_int_equal(live_metric(relay.metrics, "punch_relay_waiting"), 0);
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	alarm(150);
	relay_start(&relay, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return relay_stop(&relay);	/* 0: left cleanly by SIGTERM */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_64_mib_both_ways_arrive_unchanged),
		cmocka_unit_test(test_bytes_before_the_join_are_kept),
		cmocka_unit_test(test_half_close_is_carried_over),
		cmocka_unit_test(test_reset_is_an_abort_for_the_other_side),
		cmocka_unit_test(test_reset_after_a_half_close),
		cmocka_unit_test(test_bytes_before_a_reset_arrive),
		cmocka_unit_test(test_stalled_reader_holds_only_its_own_pair),
		cmocka_unit_test(test_buffers_grow_within_the_budget),
		cmocka_unit_test(test_urgent_data_keeps_its_place),
		cmocka_unit_test(test_pairs_are_forgotten_when_both_ends_closed),
	};

	return cmocka_run_group_tests_name("relay_live", tests, setup, teardown);
}
