/* SPDX-License-Identifier: MIT */
/*
 * dup3() over a descriptor silently loses its epoll registration, which belongs to (file, descriptor):
 * EPOLL_CTL_MOD gives ENOENT then. The order DEL, dup3, ADD keeps it, also for a thread that sits in epoll_wait().
 */
#include <pthread.h>
#include <sys/epoll.h>

#include "netns.h"

struct pairs {
	int ep, old[2], new[2];
};

static struct pairs setup_pairs(void)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = 42 };
	struct pairs p;

	p.ep = epoll_create1(EPOLL_CLOEXEC);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p.old), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p.new), 0);
	assert_int_equal(epoll_ctl(p.ep, EPOLL_CTL_ADD, p.old[0], &ev), 0);
	return p;
}

static void close_pairs(const struct pairs *p)
{
	close(p->ep);
	close(p->old[0]);
	close(p->old[1]);
	close(p->new[0]);
	close(p->new[1]);
}

static void dup3_alone_loses_the_registration(void **state)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct pairs p = setup_pairs();

	(void)state;
	assert_int_equal(dup3(p.new[0], p.old[0], 0), p.old[0]);
	assert_int_equal(write(p.new[1], "x", 1), 1);
	assert_true(tcp_wait(p.old[0], POLLIN)); /* the descriptor itself is readable ... */
	assert_int_equal(epoll_wait(p.ep, &ev, 1, 0), 0);
	assert_int_equal(epoll_ctl(p.ep, EPOLL_CTL_MOD, p.old[0], &ev), -1);
	assert_int_equal(errno, ENOENT);
	close_pairs(&p);
}

static void *wait_in_epoll(void *arg)
{
	struct epoll_event ev = { 0 };
	const int *ep = arg;

	return (void *)(intptr_t)(epoll_wait(*ep, &ev, 1, WAIT_MS) == 1 ? (int)ev.data.u32 : -1);
}

static void del_dup3_add_keeps_it_under_a_waiting_thread(void **state)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = 43 };
	struct pairs p = setup_pairs();
	pthread_t thread;
	void *seen;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, wait_in_epoll, &p.ep), 0);
	assert_int_equal(epoll_ctl(p.ep, EPOLL_CTL_DEL, p.old[0], NULL), 0);
	assert_int_equal(dup3(p.new[0], p.old[0], 0), p.old[0]);
	assert_int_equal(epoll_ctl(p.ep, EPOLL_CTL_ADD, p.old[0], &ev), 0);
	assert_int_equal(write(p.new[1], "x", 1), 1);
	assert_int_equal(pthread_join(thread, &seen), 0);
	assert_int_equal((int)(intptr_t)seen, 43);
	close_pairs(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dup3_alone_loses_the_registration),
		cmocka_unit_test(del_dup3_add_keeps_it_under_a_waiting_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
