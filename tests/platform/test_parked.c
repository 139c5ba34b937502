/* SPDX-License-Identifier: MIT */
/*
 * The parked socket: a listener with backlog 0 and one connection never accepted drops further SYNs, so that a
 * connect() to it stays in SYN_SENT; a socket bound to the listener's own address and port completes it by a local
 * simultaneous open, shutdown() ends it.
 */
#include "netns.h"

#define PARK 7000

static int listener, filler;

static int park(void **state)
{
	(void)state;
	listener = tcp_bound("127.0.0.1", PARK);
	assert_int_equal(listen(listener, 0), 0);
	filler = tcp_bound("127.0.0.1", 0);
	assert_int_equal(tcp_connect(filler, "127.0.0.1", PARK), EINPROGRESS);
	assert_true(tcp_wait(filler, POLLOUT));
	assert_int_equal(tcp_error(filler), 0);
	assert_true(tcp_wait(listener, POLLIN)); /* the queue is full from now on */
	return 0;
}

static int unpark(void **state)
{
	(void)state;
	close(filler);
	close(listener);
	return 0;
}

static int parked_socket(uint16_t port)
{
	struct pollfd p = { .events = POLLOUT | POLLIN };
	int fd = tcp_bound("127.0.0.1", port);

	assert_int_equal(tcp_connect(fd, "127.0.0.1", PARK), EINPROGRESS);
	p.fd = fd;
	assert_int_equal(poll(&p, 1, 100), 0); /* on loopback an answer takes microseconds */
	assert_int_equal(tcp_state(fd), TCP_SYN_SENT);
	return fd;
}

static void a_full_listener_leaves_a_connect_in_syn_sent(void **state)
{
	int fd = parked_socket(5000);

	(void)state;
	assert_int_equal(tcp_connect(fd, "127.0.0.1", PARK), EALREADY);
	close(fd);
}

static void a_local_simultaneous_open_completes_it(void **state)
{
	int fd = parked_socket(5001), other = tcp_bound("127.0.0.1", PARK);
	int err = tcp_connect(other, "127.0.0.1", 5001);
	char byte = 'x';

	(void)state;
	assert_true(err == 0 || err == EINPROGRESS);
	assert_true(tcp_wait(fd, POLLOUT));
	assert_int_equal(tcp_error(fd), 0);
	assert_int_equal(tcp_state(fd), TCP_ESTABLISHED);
	assert_true(tcp_wait(other, POLLOUT));
	assert_int_equal(tcp_error(other), 0);
	assert_int_equal(write(other, &byte, 1), 1);
	assert_true(tcp_wait(fd, POLLIN));
	close(fd);
	close(other);
}

static void completing_a_closed_one_is_refused(void **state)
{
	int fd = parked_socket(5002), other = tcp_bound("127.0.0.1", PARK), err;

	(void)state;
	close(fd);
	err = tcp_connect(other, "127.0.0.1", 5002);
	if (err == EINPROGRESS) {
		assert_true(tcp_wait(other, POLLOUT));
		err = tcp_error(other);
	}
	assert_int_equal(err, ECONNREFUSED);
	close(other);
}

static void shutdown_wakes_it_at_once(void **state)
{
	struct pollfd p = { .events = POLLOUT };
	int fd = parked_socket(5003), copy = dup(fd);

	(void)state;
	shutdown(copy, SHUT_RDWR);
	p.fd = fd;
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_true(p.revents & POLLHUP);
	close(fd);
	close(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_full_listener_leaves_a_connect_in_syn_sent, park, unpark),
		cmocka_unit_test_setup_teardown(a_local_simultaneous_open_completes_it, park, unpark),
		cmocka_unit_test_setup_teardown(completing_a_closed_one_is_refused, park, unpark),
		cmocka_unit_test_setup_teardown(shutdown_wakes_it_at_once, park, unpark),
	};

	ns_begin("parked");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
