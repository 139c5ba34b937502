/* SPDX-License-Identifier: MIT */
/*
 * door.c - the relay's listening sockets
 *
 * A door accepts at most ACCEPT_BATCH connections in one turn.  When descriptors
 * run out it sleeps for ACCEPT_PAUSE: connections wait in the kernel's queue meanwhile.
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/accept.h"
#include "common/log.h"
#include "conf/conf.h"
#include "relay/door.h"
#include "relay/loop.h"
#include "relay/stats.h"

#define DOORS	(CONF_LIST + 1)	/* all of `listen`, and one for metrics */

struct door {
	struct watch watch;
	uint64_t deadline;	/* when to accept again without an event; NEVER: when there is one */
	void (*visit)(int fd, const struct endpoint *from, uint64_t now);
};

static struct door doors[DOORS];
static unsigned int door_count;

static void door_accept(struct door *door, uint64_t now)
{
	static struct log_limit limit;
	struct endpoint from;
	bool full = false;
	int fd;

	for (int i = 0; i < ACCEPT_BATCH && !full; i++) {
		fd = accept_reserve(door->watch.fd, &from, &full);
		if (fd == -EAGAIN) {
			door->deadline = NEVER;
			return;
		}
		if (fd < 0)
			full = true;
		else
			door->visit(fd, &from, now);
	}
	door->deadline = full ? now + ACCEPT_PAUSE : now;
	if (full && log_limited(&limit))
		log_warn("out of descriptors (%u sides wait, %u pairs): new connections wait; "
			 "raise the limit (ulimit -n, LimitNOFILE=)",
			 stats.visitors_now, stats.pairs_now);
}

static void door_ready(struct watch *watch, uint32_t events, uint64_t now)
{
	struct door *door = (struct door *)watch;	/* its first member */

	(void)events;
	if (door->deadline == NEVER)
		door_accept(door, now);
}

int door_open(struct endpoint *ep, int buffer,
	      void (*visit)(int fd, const struct endpoint *from, uint64_t now), char *why,
	      size_t size)
{
	struct door *door = &doors[door_count];
	int err;

	if (door_count == DOORS)
		return -E2BIG;
	door->watch.fd = accept_open(ep, why, size);
	if (door->watch.fd < 0)
		return door->watch.fd;
	if (buffer) {
		/* Accepted sockets inherit it; it has to be known before the SYN, for the window's scale */
		setsockopt(door->watch.fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
		setsockopt(door->watch.fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	}
	door->watch.ready = door_ready;
	door->visit = visit;
	door->deadline = NEVER;
	err = loop_add(&door->watch, EPOLLIN);
	if (err) {
		close(door->watch.fd);
		return err;
	}
	door_count++;
	return 0;
}

uint64_t doors_run(uint64_t now)
{
	uint64_t next = NEVER;

	for (unsigned int i = 0; i < door_count; i++) {
		if (doors[i].deadline <= now)
			door_accept(&doors[i], now);
		next = clock_before(next, doors[i].deadline);
	}
	return next;
}

void doors_close(void)
{
	for (unsigned int i = 0; i < door_count; i++)
		loop_end(&doors[i].watch);
	door_count = 0;
}
