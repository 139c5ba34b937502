/* SPDX-License-Identifier: MIT */
/*
 * boottime.h - time that passes while this host sleeps, too
 */
#ifndef PUNCH_BOOTTIME_H
#define PUNCH_BOOTTIME_H

#include <stdint.h>
#include <time.h>

#include "common/clock.h"

/**
 * boottime_now() - CLOCK_BOOTTIME in microseconds, for what grows old elsewhere meanwhile: the leases of a gateway
 * clock_now() stands still while the host sleeps, and so do all timers.
 */
static inline uint64_t boottime_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec / 1000;
}

#endif
