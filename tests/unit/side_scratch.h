/* SPDX-License-Identifier: MIT */
/*
 * side_scratch.h - the resolver's local side on a scratch folder, around all tests of a program
 */
#ifndef PUNCH_TESTS_SIDE_SCRATCH_H
#define PUNCH_TESTS_SIDE_SCRATCH_H

#include "tests/unit/scratch.h"
#include "tests/unit/local_side.h"
#include "tests/unit/world.h"

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

#endif
