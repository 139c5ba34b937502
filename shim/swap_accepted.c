/* SPDX-License-Identifier: MIT */
/*
 * swap_accepted.c - put another socket behind a descriptor that nobody knows yet
 */
#include <stdbool.h>

#include "shim/carry.h"
#include "shim/drain.h"
#include "shim/raw.h"
#include "shim/swap.h"

int swap_accepted(int fd, int fresh)
{
	bool async = carry_over(fd, fresh);
	int rc = raw_replace(fd, fresh);

	if (rc >= 0 && async)
		carry_async(fd);
	if (rc >= 0)
		drain_note(fd);
	raw_close(fresh);
	return rc < 0 ? rc : 0;
}
