/* SPDX-License-Identifier: MIT */
/*
 * clock.h - INTERFACE - the one unit of time: monotonic microseconds
 */
#ifndef PUNCH_CLOCK_H
#define PUNCH_CLOCK_H

#include <stdint.h>
#include <time.h>

#define MS	1000ULL			/* microseconds in a millisecond */
#define SECOND	1000000ULL		/* microseconds in a second */
#define NEVER	UINT64_MAX		/* no deadline */

/** clock_now() - CLOCK_MONOTONIC in microseconds */
static inline uint64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec / 1000;
}

/** clock_before() - the earlier of two deadlines */
static inline uint64_t clock_before(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

#endif
