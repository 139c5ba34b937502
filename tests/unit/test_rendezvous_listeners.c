/* SPDX-License-Identifier: MIT */
/*
 * test_rendezvous_listeners.c - a server whose listeners paused, and for which the kernel then has no watch left, hears again
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <event2/event.h>

#include "rendezvous/listeners.h"

static struct event_base *base;
static unsigned int no_descriptor, no_watch, came;

int __real_event_add(struct event *event, const struct timeval *timeout);
int __wrap_event_add(struct event *event, const struct timeval *timeout);
int __real_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags);

int __wrap_event_add(struct event *event, const struct timeval *timeout)
{
	if (no_watch && event_get_fd(event) >= 0) {
		no_watch--;
		errno = ENOSPC;
		return -1;
	}
	return __real_event_add(event, timeout);
}

int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	if (!no_descriptor)
		return __real_accept4(fd, sa, len, flags);
	no_descriptor--;
	errno = EMFILE;
	return -1;
}

static void accepted(void *ctx, unsigned int index, int fd, const struct endpoint *from)
{
	(void)ctx;
	(void)from;
	assert_int_equal(index, 0);
	came++;
	close(fd);
	event_base_loopbreak(base);
}

static void no_watch_after_a_pause_is_no_end(void **state)
{
	const struct timeval long_enough = { .tv_sec = 10 };
	struct sockaddr_storage ss;
	struct endpoint ep;
	struct listeners *group;
	char why[256];
	int size;
	int fd;

	(void)state;
	base = event_base_new();
	group = listeners_new(base, accepted, NULL);
	assert_non_null(group);
	assert_int_equal(endpoint_parse(&ep, "127.0.0.1", 0), 0);
	assert_int_equal(listeners_add(group, &ep, why, sizeof(why)), 0);
	no_descriptor = 1;
	no_watch = 2;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size = endpoint_to_sockaddr(&ep, AF_INET, &ss);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, (socklen_t)size), 0);
	event_base_loopexit(base, &long_enough);
	event_base_dispatch(base);
	assert_int_equal(came, 1);
	assert_int_equal(no_descriptor + no_watch, 0);
	close(fd);
	listeners_free(group);
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_watch_after_a_pause_is_no_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
