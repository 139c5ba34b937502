/* SPDX-License-Identifier: MIT */
/*
 * test_syn.c - a low TTL is the first SYN's alone, and what is asked of a punching socket
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "resolver/syn.h"
#include "tests/unit/scratch.h"

static int option(int fd, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	assert_int_equal(getsockopt(fd, IPPROTO_IP, name, &value, &size), 0);
	return value;
}

static struct endpoint loopback(int family, uint16_t port)
{
	struct endpoint ep;

	assert_int_equal(endpoint_parse(&ep, family == AF_INET ? "127.0.0.1" : "::1", port), 0);
	return ep;
}

/* A listener of both families; @to gets its IPv4 address */
static int listener(struct endpoint *to)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), off = 0;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(endpoint_local(fd, to), 0);
	*to = loopback(AF_INET, to->port);
	return fd;
}

static int fresh(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	return fd;
}

static void wait_connected(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	int error = -1;
	socklen_t size = sizeof(error);

	assert_int_equal(poll(&wait, 1, -1), 1);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
	assert_int_equal(error, 0);
}

static void a_plain_socket_stays_as_it_is(void **state)
{
	struct endpoint to;
	int door = listener(&to), fd = fresh(AF_INET), ttl = option(fd, IP_TTL);

	(void)state;
	assert_int_equal(syn_connect(fd, AF_INET, &to), 0);
	wait_connected(fd);
	assert_int_equal(option(fd, IP_TTL), ttl);
	assert_int_equal(option(fd, IP_MINTTL), 0);
	close(fd);
	fd = fresh(AF_INET);
	to = loopback(AF_INET6, to.port);
	assert_true(syn_connect(fd, AF_INET, &to) < 0);		/* of the wrong family for this socket */
	close(fd);
	close(door);
}

static void a_punching_socket_is_deaf_to_routers(void **state)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct endpoint to;
	int door = listener(&to);
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(families); i++) {
		int fd = fresh(families[i]), ttl = option(fd, IP_TTL);

		assert_int_equal(syn_punch(fd, families[i], &to, 5), 0);
		wait_connected(fd);
		assert_int_equal(option(fd, IP_MINTTL), 2);
		assert_int_equal(option(fd, IP_TTL), ttl);
		close(fd);
	}
	close(door);
}

static void towards_ipv6_nothing_is_set(void **state)
{
	struct endpoint to;
	int door = listener(&to), fd = fresh(AF_INET6);

	(void)state;
	to = loopback(AF_INET6, to.port);
	assert_int_equal(syn_punch(fd, AF_INET6, &to, 5), 0);
	wait_connected(fd);
	assert_int_equal(option(fd, IP_MINTTL), 0);
	close(fd);
	close(door);
}

/* TTL of the first SYN to @port that @raw sees */
static unsigned int ttl_of_syn(int raw, uint16_t port)
{
	struct {
		struct iphdr ip;
		struct tcphdr tcp;
		uint8_t rest[1500];
	} packet;

	do
		assert_true(recv(raw, &packet, sizeof(packet), 0) >= (ssize_t)(sizeof(packet.ip) + sizeof(packet.tcp)));
	while (ntohs(packet.tcp.dest) != port || !packet.tcp.syn);
	return packet.ip.ttl;
}

static void the_first_syn_has_the_low_ttl(void **state)
{
	int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP), fd = fresh(AF_INET), door;
	unsigned int standard = (unsigned int)option(fd, IP_TTL);
	struct endpoint to;

	(void)state;
	if (raw < 0) {
		print_message("SKIP the first SYN: only root sees packets\n");
		skip();
	}
	door = listener(&to);
	assert_int_equal(syn_punch(fd, AF_INET, &to, 3), 0);
	assert_int_equal(ttl_of_syn(raw, to.port), 3);
	close(fd);
	fd = fresh(AF_INET);
	assert_int_equal(syn_punch(fd, AF_INET, &to, 0), 0);
	assert_int_equal(ttl_of_syn(raw, to.port), standard);
	close(fd);
	close(door);
	close(raw);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_socket_stays_as_it_is),
		cmocka_unit_test(a_punching_socket_is_deaf_to_routers),
		cmocka_unit_test(towards_ipv6_nothing_is_set),
		cmocka_unit_test(the_first_syn_has_the_low_ttl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
