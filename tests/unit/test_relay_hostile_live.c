/* SPDX-License-Identifier: MIT */
/*
 * test_relay_hostile_live.c - what the real punch-relay says to tickets that are no good, and how it stands overload
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/secret.h"
#include "tests/unit/relay_client.h"

static struct relay relay;

/* Started first, looked at last, so that their 5 and 20 s pass beside the other tests */
static int lonely = -1, slow = -1;
static uint64_t started;

static int refused(const char *reason)
{
	char name[64];

	snprintf(name, sizeof(name), "punch_relay_refused_total{reason=\"%s\"}", reason);
	return (int)live_metric(relay.metrics, name);
}

/* The status, and the end of the connection behind it */
static int status_and_end(int fd)
{
	int status = relay_status(fd);
	char byte;

	if (recv(fd, &byte, 1, 0) != 0)
		status = -2;
	close(fd);
	return status;
}

static void test_it_is_confined(void **state)
{
	(void)state;
	assert_true(live_is_confined(relay.program.pid));
}

static void test_another_secret(void **state)
{
	struct ticket ticket = relay_ticket(1, TICKET_CALLER);
	struct relay forged = relay;

	(void)state;
	forged.secret[31] ^= 1;
	assert_int_equal(status_and_end(relay_hello(&forged, &ticket)),
			 PUNCH__RELAY_STATUS__RELAY_BAD_TICKET);
	assert_int_equal(refused("ticket"), 1);
}

static void test_expired_ticket(void **state)
{
	struct ticket ticket = relay_ticket(2, TICKET_CALLER);

	(void)state;
	ticket.expires_s = (uint64_t)time(NULL) - 1;
	assert_int_equal(status_and_end(relay_hello(&relay, &ticket)),
			 PUNCH__RELAY_STATUS__RELAY_EXPIRED);
}

static void test_ticket_is_good_once(void **state)
{
	struct ticket ticket = relay_ticket(3, TICKET_CALLER);
	int first = relay_hello(&relay, &ticket), callee;

	(void)state;
	assert_int_equal(status_and_end(relay_hello(&relay, &ticket)), PUNCH__RELAY_STATUS__RELAY_USED);
	/* whoever came first keeps the seat */
	ticket = relay_ticket(3, TICKET_CALLEE);
	callee = relay_hello(&relay, &ticket);
	assert_int_equal(relay_status(first), PUNCH__RELAY_STATUS__RELAY_JOINED);
	close(first);
	close(callee);
}

static void test_same_side_again_displaces_the_older(void **state)
{
	struct ticket ticket = relay_ticket(4, TICKET_CALLER);
	int first = relay_hello(&relay, &ticket), second, callee;

	(void)state;
	secret_random(ticket.nonce, sizeof(ticket.nonce));
	second = relay_hello(&relay, &ticket);
	assert_int_equal(status_and_end(first), PUNCH__RELAY_STATUS__RELAY_USED);
	ticket = relay_ticket(4, TICKET_CALLEE);
	callee = relay_hello(&relay, &ticket);
	assert_int_equal(relay_status(second), PUNCH__RELAY_STATUS__RELAY_JOINED);
	close(second);
	close(callee);
}

static int send_raw(const void *data, size_t size)
{
	int fd = live_connect("127.0.0.1", relay.port);

	assert_true(fd >= 0);
	assert_int_equal(send(fd, data, size, MSG_NOSIGNAL), size);
	return fd;
}

static void test_what_is_no_hello(void **state)
{
	static const uint8_t huge[] = "\xff\xff\xff\xff rest", empty[] = "\0\0\0\0",
		unparsable[] = "\0\0\0\4\xff\xff\xff\xff", above_hello[] = "\0\0\x20\0";
	static const char http[] = "GET / HTTP/1.1\r\nHost: relay\r\n\r\n";
	const int bad = PUNCH__RELAY_STATUS__RELAY_BAD_TICKET;

	(void)state;
	assert_int_equal(status_and_end(send_raw(huge, sizeof(huge) - 1)), bad);
	assert_int_equal(status_and_end(send_raw(empty, 4)), bad);
	assert_int_equal(status_and_end(send_raw(unparsable, 8)), bad);
	assert_int_equal(status_and_end(send_raw(above_hello, 4)), bad);
	assert_int_equal(status_and_end(send_raw(http, sizeof(http) - 1)), bad);
}

/* Behind a bad hello there is much more: the reply must not drown in a RST */
static void test_refusal_reaches_a_side_that_talks_on(void **state)
{
	static uint8_t talk[200000] = { 0xff };

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(status_and_end(send_raw(talk, sizeof(talk))),
				 PUNCH__RELAY_STATUS__RELAY_BAD_TICKET);
}

static bool nobody_waits(void *arg)
{
	return live_metric(relay.metrics, "punch_relay_waiting") == *(int *)arg;
}

static void test_side_that_gives_up_is_forgotten(void **state)
{
	struct ticket ticket = relay_ticket(5, TICKET_CALLER);
	int waiting = (int)live_metric(relay.metrics, "punch_relay_waiting"), more = waiting + 1;
	int fd = relay_hello(&relay, &ticket);

	(void)state;
	assert_true(live_until(nobody_waits, &more));
	close(fd);
	assert_true(live_until(nobody_waits, &waiting));
}

/* 20 pairs whose readers do not read */
struct stalled {
	struct relay relay;
	int from[20], to[20];
	uint64_t sent[20];
};

/* Send what goes; are there buffers? */
static bool has_buffers(void *arg)
{
	static char block[65536];
	struct stalled *stalled = arg;
	ssize_t n;

	for (int i = 0; i < 20; i++) {
		memset(block, 'a' + i, sizeof(block));
		while ((n = send(stalled->from[i], block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
			stalled->sent[i] += (uint64_t)n;
	}
	return live_metric(stalled->relay.metrics, "punch_relay_buffers") > 0;
}

static bool has_no_buffers(void *arg)
{
	return live_metric(((struct stalled *)arg)->relay.metrics, "punch_relay_buffers") == 0;
}

/*
 * 128 descriptors give 16 pipes.  20 stalled pairs need 20 carriers: the rest are copied.  Nobody's bytes are lost, and
 * those buffers are given back with what was in them.
 */
static void test_without_pipes_bytes_are_copied(void **state)
{
	static char block[65536];
	static struct stalled stalled;
	uint64_t received;
	ssize_t n;

	(void)state;
	relay_start(&stalled.relay, 128);
	for (int i = 0; i < 20; i++)
		assert_true(relay_pair(&stalled.relay, &stalled.from[i], &stalled.to[i]));
	assert_true(live_until(has_buffers, &stalled));
	for (int i = 0; i < 20; i++) {
		shutdown(stalled.from[i], SHUT_WR);
		for (received = 0; (n = recv(stalled.to[i], block, sizeof(block), 0)) > 0;
		     received += (uint64_t)n)
			assert_int_equal(block[n - 1], 'a' + i);
		assert_int_equal(received, stalled.sent[i]);
		close(stalled.from[i]);
		close(stalled.to[i]);
	}
	assert_true(live_until(has_no_buffers, &stalled));
	assert_int_equal(relay_stop(&stalled.relay), 0);
}

/* 64 descriptors: the listener pauses, does not spin, and goes on when some are free again */
static bool is_out_of_descriptors(void *folder)
{
	return live_log_has(folder, "out of descriptors");
}

/* Its tables are as large as what it had at its start: then there is less, as where the whole system runs out */
static void test_out_of_descriptors(void **state)
{
	const struct rlimit less = { .rlim_cur = 64, .rlim_max = 64 };
	struct relay small;
	unsigned int cpu;
	int fds[100], a, b;

	(void)state;
	relay_start(&small, 0);
	assert_return_code(prlimit(small.program.pid, RLIMIT_NOFILE, &less, NULL), errno);
	for (int i = 0; i < 100; i++)
		fds[i] = live_connect("127.0.0.1", small.port);
	assert_true(live_until(is_out_of_descriptors, small.folder));
	cpu = live_cpu_ms(small.program.pid);
	usleep(500 * 1000);
	assert_in_range(live_cpu_ms(small.program.pid) - cpu, 0, 50);
	for (int i = 0; i < 100; i++)
		close(fds[i]);
	assert_true(relay_pair(&small, &a, &b));
	close(a);
	close(b);
	assert_int_equal(relay_stop(&small), 0);
}

static void test_without_a_secret_it_does_not_start(void **state)
{
	char name[] = "punch-relay", option[] = "--secret", file[] = "/nonexistent/relay.secret";
	char *argv[] = { name, option, file, NULL };
	struct program program;
	char folder[64];

	(void)state;
	live_folder(folder);
	assert_false(live_start(&program, name, argv, folder, "listening", 0));
	assert_true(live_log_has(folder, "/nonexistent/relay.secret"));
	assert_int_equal(live_stop(&program), 1);
	live_folder_remove(folder);
}

static void test_check_names_file_and_line(void **state)
{
	char name[] = "punch-relay", check[] = "--check", dash_c[] = "-c", path[128];
	char *argv[] = { name, check, dash_c, path, NULL };
	struct program program;
	char folder[64];

	(void)state;
	live_folder(folder);
	snprintf(path, sizeof(path), "%s/relay.conf", folder);
	live_write(folder, "relay.conf", "[relay]\nlisten = here\n");
	live_start(&program, name, argv, folder, "never", 0);
	assert_int_equal(live_stop(&program), 1);
	assert_true(live_log_has(folder, "relay.conf:2"));
	live_write(folder, "relay.conf", "[relay]\nlisten = 127.0.0.1:9999\n");
	live_start(&program, name, argv, folder, "never", 0);
	assert_int_equal(live_stop(&program), 0);
	live_folder_remove(folder);
}

/* The kernel would choose one that nobody is told */
static void test_figures_without_a_port_are_refused(void **state)
{
	char name[] = "punch-relay", check[] = "--check", dash_m[] = "--metrics", address[] = "127.0.0.1";
	char *argv[] = { name, check, dash_m, address, NULL };
	struct program program;
	char folder[64];

	(void)state;
	live_folder(folder);
	live_start(&program, name, argv, folder, "never", 0);
	assert_int_equal(live_stop(&program), 2);
	assert_true(live_log_has(folder, "--metrics 127.0.0.1: want ADDRESS:PORT"));
	live_folder_remove(folder);
}

static void test_slow_hello_is_closed(void **state)
{
	char byte;

	(void)state;
	assert_int_equal(recv(slow, &byte, 1, 0), 0);
	assert_in_range(clock_now() - started, 4 * SECOND, 40 * SECOND);
	assert_int_equal(refused("slow"), 1);
	close(slow);
}

static void test_no_partner(void **state)
{
	struct timeval wait = { .tv_sec = 25 };

	(void)state;
	setsockopt(lonely, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	assert_int_equal(status_and_end(lonely), PUNCH__RELAY_STATUS__RELAY_NO_PARTNER);
	assert_in_range(clock_now() - started, 19 * SECOND, 40 * SECOND);
	assert_int_equal(refused("partner"), 1);
}

static int setup(void **state)
{
	struct ticket ticket = relay_ticket(99, TICKET_CALLEE);

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	alarm(150);
	relay_start(&relay, 0);
	started = clock_now();
	lonely = relay_hello(&relay, &ticket);
	slow = send_raw("\0\0", 2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return relay_stop(&relay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_confined),
		cmocka_unit_test(test_another_secret),
		cmocka_unit_test(test_expired_ticket),
		cmocka_unit_test(test_ticket_is_good_once),
		cmocka_unit_test(test_same_side_again_displaces_the_older),
		cmocka_unit_test(test_what_is_no_hello),
		cmocka_unit_test(test_refusal_reaches_a_side_that_talks_on),
		cmocka_unit_test(test_side_that_gives_up_is_forgotten),
		cmocka_unit_test(test_without_pipes_bytes_are_copied),
		cmocka_unit_test(test_out_of_descriptors),
		cmocka_unit_test(test_without_a_secret_it_does_not_start),
		cmocka_unit_test(test_check_names_file_and_line),
		cmocka_unit_test(test_figures_without_a_port_are_refused),
		cmocka_unit_test(test_slow_hello_is_closed),
		cmocka_unit_test(test_no_partner),
	};

	return cmocka_run_group_tests_name("relay_hostile_live", tests, setup, teardown);
}
