/* SPDX-License-Identifier: MIT */
/*
 * timer.h - libevent timers in the project's unit of time
 */
#ifndef PUNCH_TIMER_H
#define PUNCH_TIMER_H

#include <event2/event.h>

#include "common/clock.h"

/**
 * timer_set() - fire after @us microseconds; 0: from the loop, as soon as possible
 * @timer:	of evtimer_new(); a time set before is replaced
 * Return: 0 or -1 (memory)
 */
static inline int timer_set(struct event *timer, uint64_t us)
{
	struct timeval tv = { .tv_sec = (time_t)(us / SECOND), .tv_usec = (suseconds_t)(us % SECOND) };

	return evtimer_add(timer, &tv);
}

#endif
