/* SPDX-License-Identifier: MIT */
/*
 * swap_accepted.c - put another socket behind a descriptor that nobody knows yet
 */
#include "shim/carry.h"
#include "shim/raw.h"
#include "shim/swap.h"

int swap_accepted(int fd, int fresh)
{
	int rc;

	carry_over(fd, fresh);
	rc = raw_replace(fd, fresh);
	raw_close(fresh);
	return rc < 0 ? rc : 0;
}
