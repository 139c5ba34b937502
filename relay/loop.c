/* SPDX-License-Identifier: MIT */
/*
 * loop.c - the relay's event loop: epoll, edge-triggered
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "relay/loop.h"

#define BATCH	256	/* events a wake-up */

static int epoll_fd = -1;
static struct grave *graves;

int loop_open(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return epoll_fd < 0 ? -errno : 0;
}

static void bury(void)
{
	struct grave *grave;

	while ((grave = graves)) {
		graves = grave->next;
		free(grave->memory);
	}
}

void loop_close(void)
{
	bury();
	if (epoll_fd >= 0)
		close(epoll_fd);
	epoll_fd = -1;
}

static int control(int op, int fd, struct watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events | EPOLLET, .data.ptr = watch };

	return epoll_ctl(epoll_fd, op, fd, &event) ? -errno : 0;
}

int loop_add(struct watch *watch, uint32_t events)
{
	return control(EPOLL_CTL_ADD, watch->fd, watch, events);
}

int loop_move(struct watch *from, struct watch *to, uint32_t events)
{
	int err = control(EPOLL_CTL_MOD, from->fd, to, events);

	if (err)
		return err;
	to->fd = from->fd;
	from->fd = -1;
	return 0;
}

void loop_end(struct watch *watch)
{
	if (watch->fd < 0)
		return;
	/* No EPOLL_CTL_DEL: nobody else holds the descriptor, so close() takes it out */
	close(watch->fd);
	watch->fd = -1;
}

void loop_free(struct grave *grave, void *memory)
{
	grave->memory = memory;
	grave->next = graves;
	graves = grave;
}

static int timeout_ms(uint64_t deadline)
{
	uint64_t now;

	if (deadline == NEVER)
		return -1;
	now = clock_now();
	if (deadline <= now)
		return 0;
	/* Rounded up, or the last millisecond would be spun through */
	deadline = (deadline - now + MS - 1) / MS;
	return deadline > INT_MAX ? INT_MAX : (int)deadline;
}

int loop_wait(uint64_t deadline)
{
	struct epoll_event events[BATCH];
	struct watch *watch;
	uint64_t now;
	int count;

	count = epoll_wait(epoll_fd, events, BATCH, timeout_ms(deadline));
	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	now = clock_now();
	for (int i = 0; i < count; i++) {
		watch = events[i].data.ptr;
		if (watch->fd >= 0)
			watch->ready(watch, events[i].events, now);
	}
	bury();
	return 0;
}
