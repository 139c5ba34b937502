/* SPDX-License-Identifier: MIT */
/*
 * Every address of 127/8 is local without being configured: the doorbell can come from 127.112.x.y to a listener on
 * 127.0.0.1 or on all addresses, IPv4 or dual-stack, and the listener sees where from.
 */
#include "netns.h"

static void ring(int listener, const char *from, uint16_t port)
{
	struct sockaddr_storage who;
	socklen_t len = sizeof(who);
	int fd = tcp_bound(from, 0), c, err;
	char text[INET6_ADDRSTRLEN];
	const void *addr = &((struct sockaddr_in *)&who)->sin_addr;

	err = tcp_connect(fd, "127.0.0.1", port);
	assert_true(err == 0 || err == EINPROGRESS);
	assert_true(tcp_wait(listener, POLLIN));
	c = accept(listener, (struct sockaddr *)&who, &len);
	assert_true(c >= 0);
	if (who.ss_family == AF_INET6)
		addr = &((struct sockaddr_in6 *)&who)->sin6_addr.s6_addr[12];
	assert_string_equal(inet_ntop(AF_INET, addr, text, sizeof(text)), from);
	close(c);
	close(fd);
}

static void a_listener_sees_the_pool_address(void **state)
{
	int one = tcp_bound("127.0.0.1", 5000), any = tcp_bound("0.0.0.0", 5001);

	(void)state;
	assert_int_equal(listen(one, 8), 0);
	assert_int_equal(listen(any, 8), 0);
	ring(one, "127.112.3.4", 5000);
	ring(one, "127.127.255.254", 5000);
	ring(any, "127.112.0.1", 5001);
	close(one);
	close(any);
}

static void a_dual_stack_listener_does_too(void **state)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(5002) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_true(fd >= 0);
	set_opt(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	ring(fd, "127.112.7.7", 5002);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_listener_sees_the_pool_address),
		cmocka_unit_test(a_dual_stack_listener_does_too),
	};

	ns_begin("loopback_pool");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
