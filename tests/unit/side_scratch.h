/* SPDX-License-Identifier: MIT */
/*
 * side_scratch.h - the resolver's local side on a scratch folder, around all tests of a program
 */
#ifndef PUNCH_TESTS_SIDE_SCRATCH_H
#define PUNCH_TESTS_SIDE_SCRATCH_H

#include <sys/wait.h>

#include "tests/unit/scratch.h"
#include "tests/unit/local_side.h"
#include "tests/unit/world.h"

#define NOBODY 65534	/* uid without rights here */

/* Other users may come as far as its socket: some tests are one */
static inline int side_setup(void **state)
{
	if (scratch_setup(state) || world_isolate())
		return -1;
	chmod(scratch, 0711);
	side_start(scratch);
	return 0;
}

static inline int side_teardown(void **state)
{
	side_kill();
	return scratch_teardown(state);
}

/* Run @what in a child under another uid. Return: its result; skips the test where this machine has no other for us */
static inline int as_nobody(int (*what)(const void *arg), const void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(setresuid(NOBODY, NOBODY, NOBODY) ? 255 : what(arg));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 255)
		skip();
	return WEXITSTATUS(status);
}

#endif
