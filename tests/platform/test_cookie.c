/* SPDX-License-Identifier: MIT */
/* SO_COOKIE names a socket, not a descriptor: the same across dup and fork, another for a reused descriptor. */
#include <sys/wait.h>

#include "netns.h"

static uint64_t cookie(int fd)
{
	socklen_t len = sizeof(uint64_t);
	uint64_t c = 0;

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &c, &len), 0);
	assert_true(c != 0);
	return c;
}

static void a_dup_has_the_same(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), copy = dup(fd);

	(void)state;
	assert_true(cookie(fd) == cookie(copy));
	assert_true(cookie(fd) == cookie(fd));
	close(fd);
	close(copy);
}

static void a_child_sees_the_same(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), status;
	uint64_t mine = cookie(fd);
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(cookie(fd) != mine);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(fd);
}

static void a_reused_descriptor_has_another(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), again;
	uint64_t old = cookie(fd);

	(void)state;
	close(fd);
	again = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(again, fd);
	assert_true(cookie(again) != old);
	close(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dup_has_the_same),
		cmocka_unit_test(a_child_sees_the_same),
		cmocka_unit_test(a_reused_descriptor_has_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
