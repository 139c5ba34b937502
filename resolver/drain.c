/* SPDX-License-Identifier: MIT */
/*
 * drain.c - keep what a program has left until the kernel has taken all that was written to it
 *
 * Theory of operation
 *
 * Where a program does not wait, a send to a socket of the kernel's TLS may end in the middle of a record: the
 * program is told that all of it was taken, the rest of the record lies beside the send buffer, and the kernel adds it
 * when there is room.  shutdown() and close() do not wait for that: the far end gets a part of a record and then the
 * end (Linux 6.1; close() tries once more and drops the rest).  So the shim passes us a duplicate of a socket that the
 * program ends while its buffer is full (shim/drain.c).  While we hold it, it is not closed.
 *
 *	FULL --room--> SETTLING --room still, or an error--> (ended, closed)
 *	 ^                |
 *	 +----- none -----+
 *
 * When there is room the kernel adds the rest from a worker of its own, which takes a moment: only when there still is
 * room after it nothing is left over.  What is in the buffer by then is the kernel's to deliver, as ever.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "resolver/drain.h"

/**
 * struct drain
 * @room:	pending: FULL
 * @settled:	pending: SETTLING
 * @until:	clock_now(): the end of patience
 */
struct drain {
	LIST_ENTRY(drain) entry;
	struct drains *drains;
	struct event *room, *settled;
	uint64_t until;
	int fd;
	bool end;
};

struct drains {
	struct event_base *base;
	LIST_HEAD(, drain) list;
	unsigned int count;
};

static void drain_free(struct drain *drain)
{
	if (drain->room)
		event_free(drain->room);
	if (drain->settled)
		event_free(drain->settled);
	free(drain);
}

/* A program's SO_LINGER of some seconds would have us wait in close(); one of none resets, as it wants */
static void forget_linger(int fd)
{
	struct linger linger = { 0 };
	socklen_t size = sizeof(linger);

	if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size) || !linger.l_onoff || !linger.l_linger)
		return;
	linger.l_onoff = 0;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void drain_over(struct drain *drain)
{
	forget_linger(drain->fd);
	LIST_REMOVE(drain, entry);
	drain->drains->count--;
	if (drain->end)
		shutdown(drain->fd, SHUT_WR);
	close(drain->fd);
	drain_free(drain);
}

/* Return: 0 or -ENOBUFS */
static int await_room(struct drain *drain)
{
	uint64_t now = clock_now(), left = drain->until > now ? drain->until - now : 0;
	const struct timeval patience = {
		.tv_sec = (time_t)(left / SECOND), .tv_usec = (suseconds_t)(left % SECOND),
	};

	return event_add(drain->room, &patience) < 0 ? -ENOBUFS : 0;
}

static void on_room(evutil_socket_t fd, short what, void *arg)
{
	const struct linger reset = { .l_onoff = 1 };
	const struct timeval moment = { .tv_usec = DRAIN_SETTLE_MS * 1000 };
	struct drain *drain = arg;

	(void)fd;
	if (what & EV_TIMEOUT)
		log_info("drain: the far end of a connection takes nothing for %d s: what a program wrote last is lost",
			 DRAIN_MOST_S);
	/* What is cut is no end, as far as we can say so: not where the program has its socket still */
	if (what & EV_TIMEOUT && !drain->end)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (what & EV_TIMEOUT || event_add(drain->settled, &moment) < 0)
		drain_over(drain);
}

/* An error is room, too: poll() of a broken socket shows both */
static void on_settled(evutil_socket_t fd, short what, void *arg)
{
	struct drain *drain = arg;
	struct pollfd room = { .fd = drain->fd, .events = POLLOUT };

	(void)fd;
	(void)what;
	if (poll(&room, 1, 0) != 0 || await_room(drain) < 0)
		drain_over(drain);
}

int drain_take(struct drains *drains, int fd, bool end)
{
	struct drain *drain;

	if (drains->count >= DRAINS_MAX)
		return -EUSERS;
	drain = calloc(1, sizeof(*drain));
	if (!drain)
		return -ENOMEM;
	drain->drains = drains;
	drain->fd = fd;
	drain->end = end;
	drain->until = clock_now() + DRAIN_MOST_S * SECOND;
	drain->room = event_new(drains->base, fd, EV_WRITE, on_room, drain);
	drain->settled = evtimer_new(drains->base, on_settled, drain);
	if (!drain->room || !drain->settled || await_room(drain) < 0) {
		drain_free(drain);
		return -ENOBUFS;
	}
	LIST_INSERT_HEAD(&drains->list, drain, entry);
	drains->count++;
	return 0;
}

unsigned int drains_count(const struct drains *drains)
{
	return drains ? drains->count : 0;
}

struct drains *drains_new(struct event_base *base)
{
	struct drains *drains = calloc(1, sizeof(*drains));

	if (!drains)
		return NULL;
	drains->base = base;
	LIST_INIT(&drains->list);
	return drains;
}

void drains_free(struct drains *drains)
{
	if (!drains)
		return;
	while (!LIST_EMPTY(&drains->list))
		drain_over(LIST_FIRST(&drains->list));
	free(drains);
}
