/* SPDX-License-Identifier: MIT */
/*
 * test_accept.c - the descriptors that are kept back stay free, however often somebody tries
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/accept.h"

#define DESCRIPTORS	(ACCEPT_RESERVE + 30u)
#define CLIENTS		60

/* Clients that stay until they are killed. Return: their process */
static pid_t connect_all(const struct endpoint *to)
{
	struct sockaddr_storage ss;
	int len = endpoint_to_sockaddr(to, to->family, &ss), made[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(made), 0);
	pid = fork();
	if (!pid) {
		for (int i = 0; i < CLIENTS; i++)
			if (connect(socket(to->family, SOCK_STREAM, 0), (struct sockaddr *)&ss, (socklen_t)len))
				_exit(1);
		if (write(made[1], &byte, 1) == 1)
			pause();
		_exit(1);
	}
	close(made[1]);
	assert_int_equal(read(made[0], &byte, 1), 1);
	close(made[0]);
	return pid;
}

static void test_reserve_is_kept(void **state)
{
	struct rlimit limit = { DESCRIPTORS, DESCRIPTORS }, had;
	struct endpoint ep = { .family = AF_INET, .address = { 127, 0, 0, 1 } }, from;
	int listener, fds[CLIENTS], count = 0, got;
	bool full = false;
	char why[256];
	pid_t clients;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &had);
	listener = accept_open(&ep, why, sizeof(why));
	assert_true(listener >= 0);
	clients = connect_all(&ep);
	limit.rlim_max = had.rlim_max;
	if (limit.rlim_max > DESCRIPTORS)
		limit.rlim_max = DESCRIPTORS;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(accept_limit(), DESCRIPTORS);
	while (!full) {
		fds[count] = accept_reserve(listener, &from, &full);
		assert_in_range(fds[count], 3, DESCRIPTORS - ACCEPT_RESERVE - 1);
		count++;
	}
	assert_int_equal(fds[count - 1], DESCRIPTORS - ACCEPT_RESERVE - 1);
	/* as after each pause */
	for (int i = 0; i < 5; i++)
		assert_int_equal(accept_reserve(listener, &from, &full), -EMFILE);
	assert_true(accept_is_reserved(DESCRIPTORS - ACCEPT_RESERVE));
	assert_false(accept_is_reserved(DESCRIPTORS - ACCEPT_RESERVE - 1));
	/* whoever waits gets in when there is room */
	close(fds[--count]);
	got = accept_reserve(listener, &from, &full);
	assert_int_equal(got, fds[count]);
	assert_true(full);
	kill(clients, SIGKILL);
	waitpid(clients, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reserve_is_kept),
	};

	alarm(60);
	return cmocka_run_group_tests_name("accept", tests, NULL, NULL);
}
