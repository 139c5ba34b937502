/* SPDX-License-Identifier: MIT */
/*
 * clock_ahead.h - what reads the clock is told that time has passed; for one file of a test, linked with --wrap=clock_gettime
 *
 * Timers of libevent go by the real time all the same.
 */
#ifndef PUNCH_TESTS_CLOCK_AHEAD_H
#define PUNCH_TESTS_CLOCK_AHEAD_H

#include "common/clock.h"

/* How far time is ahead of the real one, in us, and how much of that this host has slept */
static uint64_t ahead, slept;

int __real_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	int rc = __real_clock_gettime(clock, ts);
	uint64_t us = (uint64_t)ts->tv_nsec / 1000 + ahead - (clock == CLOCK_BOOTTIME ? 0 : slept);

	ts->tv_sec += (time_t)(us / SECOND);
	ts->tv_nsec = (long)(us % SECOND * 1000);
	return rc;
}

#endif
