/* SPDX-License-Identifier: MIT */
/*
 * clock.c - clocks that a target sets ahead; linked with --wrap=clock_gettime, and --wrap=time where that is asked
 */
#include <time.h>

#include "tests/fuzz/fuzz.h"

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);
int __real_clock_gettime(clockid_t clock, struct timespec *ts);
time_t __wrap_time(time_t *out);

uint64_t fuzz_ahead;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	int rc = __real_clock_gettime(clock, ts);

	ts->tv_sec += (time_t)fuzz_ahead;
	return rc;
}

time_t __wrap_time(time_t *out)
{
	struct timespec now;

	__wrap_clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}
