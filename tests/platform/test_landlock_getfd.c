/* SPDX-License-Identifier: MIT */
/*
 * test_landlock_getfd.c - who is under Landlock cannot copy the descriptors of a process that is not
 *
 * Whatever the ruleset says: a process in it may look only at processes in it or below (landlock(7), "Ptrace
 * restrictions"). That is why resolver/sandbox.c leaves the process that looks at programs' sockets out of Landlock.
 */
#include "netns.h"

#include <linux/landlock.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Copy standard input of @pid. Return: 0 or errno */
static int copied(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), fd = (int)syscall(SYS_pidfd_getfd, pidfd, 0, 0);

	return fd < 0 ? errno : 0;
}

/* A ruleset that forbids next to nothing */
static bool enter_landlock(void)
{
	const struct landlock_ruleset_attr attr = { .handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK };
	int set = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	return set >= 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_landlock_restrict_self, set, 0) == 0;
}

static int run(pid_t outside)
{
	int before = copied(outside);

	if (before == ENOSYS || !enter_landlock())
		return 77;
	return before ? 1 : copied(outside) == EPERM ? 0 : 2;
}

static void a_process_outside_shows_nothing(void **state)
{
	pid_t outside, inside;
	int status = -1, ready[2];
	char byte;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	outside = fork();
	if (outside == 0) {
		/* children look at each other: Yama may want the ancestor to do it */
		prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	inside = fork();
	if (inside == 0)
		_exit(run(outside));
	assert_int_equal(waitpid(inside, &status, 0), inside);
	kill(outside, SIGKILL);
	waitpid(outside, NULL, 0);
	if (WEXITSTATUS(status) == 77) {
		print_message("SKIP no Landlock or no pidfd_getfd() here\n");
		skip();
	}
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_outside_shows_nothing),
	};

	return cmocka_run_group_tests_name("landlock_getfd", tests, NULL, NULL);
}
