/* SPDX-License-Identifier: MIT */
/*
 * A router's ICMP time-exceeded ends a socket in SYN_SENT with EHOSTUNREACH; IP_MINTTL of 2 or more makes the
 * kernel, which compares it with the TTL in the quoted header, ignore the error. The TTL of the socket can be raised
 * while it waits, and it connects when the peer dials.
 */
#include "netns.h"

static int here, there;

#define PEER "10.9.9.9" /* lives on the router's loopback only when the peer is to answer */

/* Connect with a TTL that ends at the router. The time-exceeded has arrived on return. */
static int connect_low(int minttl, int recverr)
{
	long before = snmp_counter("Icmp", "InTimeExcds");
	int fd = tcp_bound("10.0.0.1", 5000);

	assert_true(before >= 0);
	set_opt(fd, IPPROTO_IP, IP_TTL, 1);
	if (minttl)
		set_opt(fd, IPPROTO_IP, IP_MINTTL, minttl);
	if (recverr)
		set_opt(fd, IPPROTO_IP, IP_RECVERR, 1);
	assert_int_equal(tcp_connect(fd, PEER, 6000), EINPROGRESS);
	set_opt(fd, IPPROTO_IP, IP_TTL, 64);
	assert_true(snmp_wait("Icmp", "InTimeExcds", before + 1));
	return fd;
}

static void time_exceeded_ends_a_socket_in_syn_sent(void **state)
{
	int fd = connect_low(0, 0);

	(void)state;
	assert_true(tcp_wait(fd, POLLOUT));
	assert_int_equal(tcp_error(fd), EHOSTUNREACH);
	close(fd);
}

static void recverr_does_not_prevent_it(void **state)
{
	int fd = connect_low(0, 1);

	(void)state;
	assert_true(tcp_wait(fd, POLLOUT));
	assert_int_equal(tcp_error(fd), EHOSTUNREACH);
	close(fd);
}

static void minttl_2_prevents_it_and_the_peer_can_dial(void **state)
{
	struct pollfd p = { .events = POLLOUT };
	int fd = connect_low(2, 0), peer;

	(void)state;
	p.fd = fd;
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(tcp_state(fd), TCP_SYN_SENT);

	ns_go(there);
	ns_sh("ip addr add " PEER "/32 dev lo");
	peer = tcp_bound(PEER, 6000);
	assert_int_equal(tcp_connect(peer, "10.0.0.1", 5000), EINPROGRESS);
	ns_go(here);
	assert_true(tcp_wait(fd, POLLOUT));
	assert_int_equal(tcp_error(fd), 0);
	assert_int_equal(tcp_state(fd), TCP_ESTABLISHED);
	close(fd);
	close(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(time_exceeded_ends_a_socket_in_syn_sent),
		cmocka_unit_test(recverr_does_not_prevent_it),
		cmocka_unit_test(minttl_2_prevents_it_and_the_peer_can_dial),
	};

	ns_begin("minttl");
	ns_pair(&here, &there);
	ns_go(there);
	/* Forwarded to nowhere: only the TTL decides what the router answers. */
	ns_sh("ip link add sink type veth peer name sink2 && ip addr add 10.9.9.1/24 dev sink && "
	      "ip link set sink up && ip link set sink2 up");
	ns_go(here);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
