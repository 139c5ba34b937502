/* SPDX-License-Identifier: MIT */
/*
 * A socket in SYN_SENT that receives a SYN of its very four-tuple connects (simultaneous open, RFC 9293, 3.5),
 * even where a listener holds the same port.
 */
#include "netns.h"

static int here, there;

/* Here connects from 5000 to @port while the other side neither answers nor listens. */
static int open_unanswered(uint16_t port)
{
	int fd;

	ns_go(there); /* without a way back there is no RST */
	ns_sh("ip route add blackhole 10.0.0.1/32");
	ns_go(here);
	fd = tcp_bound("10.0.0.1", 5000);
	assert_int_equal(tcp_connect(fd, "10.0.0.2", port), EINPROGRESS);
	assert_int_equal(tcp_state(fd), TCP_SYN_SENT);
	ns_go(there);
	ns_sh("ip route del blackhole 10.0.0.1/32");
	ns_go(here);
	return fd;
}

static int dial_back(uint16_t port)
{
	int fd;

	ns_go(there);
	fd = tcp_bound("10.0.0.2", port);
	assert_int_equal(tcp_connect(fd, "10.0.0.1", 5000), EINPROGRESS);
	ns_go(here);
	return fd;
}

static void a_syn_from_the_peer_connects(void **state)
{
	int a = open_unanswered(6000), b = dial_back(6000);
	char byte = 'x';

	(void)state;
	assert_true(tcp_wait(a, POLLOUT));
	assert_true(tcp_wait(b, POLLOUT));
	assert_int_equal(tcp_error(a), 0);
	assert_int_equal(tcp_error(b), 0);
	assert_int_equal(write(a, &byte, 1), 1);
	assert_true(tcp_wait(b, POLLIN));
	assert_int_equal(read(b, &byte, 1), 1);
	close(a);
	close(b);
}

static void the_exact_socket_wins_over_a_listener(void **state)
{
	int listener = tcp_bound("0.0.0.0", 5000), a, b;

	(void)state;
	assert_int_equal(listen(listener, 8), 0);
	a = open_unanswered(6001);
	b = dial_back(6001);
	assert_true(tcp_wait(a, POLLOUT));
	assert_int_equal(tcp_error(a), 0);
	assert_int_equal(tcp_state(a), TCP_ESTABLISHED);
	assert_int_equal(accept(listener, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	close(a);
	close(b);
	close(listener);
}

static void a_close_in_syn_sent_sends_nothing(void **state)
{
	int a = open_unanswered(6002);
	long before = snmp_counter("Tcp", "OutSegs"), resets = snmp_counter("Tcp", "OutRsts");

	(void)state;
	close(a);
	assert_int_equal(snmp_counter("Tcp", "OutSegs"), before);
	assert_int_equal(snmp_counter("Tcp", "OutRsts"), resets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_syn_from_the_peer_connects),
		cmocka_unit_test(the_exact_socket_wins_over_a_listener),
		cmocka_unit_test(a_close_in_syn_sent_sends_nothing),
	};

	ns_begin("simultaneous_open");
	ns_pair(&here, &there);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
