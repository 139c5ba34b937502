/* SPDX-License-Identifier: MIT */
/*
 * After ECONNREFUSED the same descriptor can connect again: the next connect() gives ECONNABORTED, the one after works;
 * the local port and the epoll registration survive.
 */
#include <sys/epoll.h>

#include "netns.h"

static void a_refused_descriptor_connects_again(void **state)
{
	struct epoll_event ev = { .events = EPOLLOUT, .data.u32 = 42 }, got;
	int fd = tcp_bound("127.0.0.1", 5000), ep = epoll_create1(EPOLL_CLOEXEC), listener, err;

	(void)state;
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	assert_int_equal(tcp_connect(fd, "127.0.0.1", 6000), EINPROGRESS);
	assert_true(tcp_wait(fd, POLLOUT));
	assert_int_equal(tcp_error(fd), ECONNREFUSED);

	listener = tcp_bound("127.0.0.1", 6000);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(tcp_connect(fd, "127.0.0.1", 6000), ECONNABORTED);
	err = tcp_connect(fd, "127.0.0.1", 6000);
	assert_true(err == EINPROGRESS || err == 0);
	assert_int_equal(epoll_wait(ep, &got, 1, WAIT_MS), 1);
	assert_int_equal(got.data.u32, 42);
	assert_int_equal(tcp_error(fd), 0);
	assert_int_equal(tcp_state(fd), TCP_ESTABLISHED);
	assert_int_equal(tcp_port(fd), 5000);
	close(fd);
	close(ep);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_descriptor_connects_again),
	};

	ns_begin("reconnect");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
