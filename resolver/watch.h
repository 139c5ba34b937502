/* SPDX-License-Identifier: MIT */
/*
 * watch.h - what a libevent event of a socket waits for, changed in place
 */
#ifndef PUNCH_WATCH_H
#define PUNCH_WATCH_H

#include <errno.h>

#include <event2/event.h>

/**
 * watch_set() - wait for something else from now on, until told otherwise
 *
 * Between the old wish and the new one the kernel gives up its watch, which another process of the same user may then
 * have taken (fs.epoll.max_user_watches): whoever ignores the error may wait for ever, unless a timer ends that.
 *
 * @event:	of event_new() with a descriptor; its callback and argument stay
 * @what:	EV_READ, EV_WRITE, EV_ET; 0: nothing any more
 * Return: 0, -ENOBUFS (no more watches, or memory): the event is not pending then
 */
static inline int watch_set(struct event *event, short what)
{
	const short wanted = (short)(what | EV_PERSIST);

	/* Often the same as before: no system call */
	if (what && event_get_events(event) == wanted && event_pending(event, EV_READ | EV_WRITE, NULL))
		return 0;
	event_del(event);
	if (!what)
		return 0;
	if (event_assign(event, event_get_base(event), event_get_fd(event), wanted, event_get_callback(event),
			 event_get_callback_arg(event)) < 0 ||
	    event_add(event, NULL) < 0)
		return -ENOBUFS;
	return 0;
}

#endif
