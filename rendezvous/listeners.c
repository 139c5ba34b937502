/* SPDX-License-Identifier: MIT */
/*
 * listeners.c - listening sockets in libevent's loop, which pause when descriptors run out
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/accept.h"
#include "common/log.h"
#include "rendezvous/listeners.h"

struct listener {
	struct listeners *group;
	struct event *event;
	int fd;
};

struct listeners {
	struct event_base *base;
	struct event *resume;
	void (*accepted)(void *ctx, unsigned int index, int fd, const struct endpoint *from);
	void *ctx;
	unsigned int count;
	struct listener listeners[CONF_LIST];
};

static void listeners_resume(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval pause = { .tv_usec = ACCEPT_PAUSE };
	struct listeners *group = arg;
	bool deaf = false;

	(void)fd;
	(void)what;
	for (unsigned int i = 0; i < group->count; i++)
		deaf |= event_add(group->listeners[i].event, NULL) < 0;
	if (deaf)	/* fs.epoll.max_user_watches: another process of this user has ours now */
		event_add(group->resume, &pause);
}

static void listeners_pause(struct listeners *group)
{
	const struct timeval pause = { .tv_usec = ACCEPT_PAUSE };
	static struct log_limit limit;

	for (unsigned int i = 0; i < group->count; i++)
		event_del(group->listeners[i].event);
	event_add(group->resume, &pause);
	if (log_limited(&limit))
		log_warn("out of descriptors: new connections wait; raise the limit (ulimit -n, LimitNOFILE=)");
}

static void listener_ready(evutil_socket_t fd, short what, void *arg)
{
	struct listener *listener = arg;
	struct listeners *group = listener->group;
	struct endpoint from;
	bool full = false;
	int got;

	(void)what;
	for (int i = 0; i < ACCEPT_BATCH && !full; i++) {
		got = accept_reserve(fd, &from, &full);
		if (got == -EAGAIN)
			return;
		if (got < 0)
			full = true;
		else
			group->accepted(group->ctx, (unsigned int)(listener - group->listeners), got,
					&from);
	}
	if (full)
		listeners_pause(group);
}

struct listeners *listeners_new(struct event_base *base,
				void (*accepted)(void *ctx, unsigned int index, int fd,
						 const struct endpoint *from),
				void *ctx)
{
	struct listeners *group = calloc(1, sizeof(*group));

	if (!group)
		return NULL;
	group->base = base;
	group->accepted = accepted;
	group->ctx = ctx;
	group->resume = evtimer_new(base, listeners_resume, group);
	if (group->resume)
		return group;
	free(group);
	return NULL;
}

int listeners_add(struct listeners *group, struct endpoint *ep, char *why, size_t size)
{
	struct listener *listener = &group->listeners[group->count];

	if (group->count == CONF_LIST)
		return -E2BIG;
	listener->fd = accept_open(ep, why, size);
	if (listener->fd < 0)
		return listener->fd;
	listener->group = group;
	listener->event = event_new(group->base, listener->fd, EV_READ | EV_PERSIST, listener_ready,
				    listener);
	if (!listener->event || event_add(listener->event, NULL)) {
		if (listener->event)
			event_free(listener->event);
		close(listener->fd);
		return -ENOMEM;
	}
	group->count++;
	return 0;
}

void listeners_free(struct listeners *group)
{
	if (!group)
		return;
	for (unsigned int i = 0; i < group->count; i++) {
		event_free(group->listeners[i].event);
		close(group->listeners[i].fd);
	}
	event_free(group->resume);
	free(group);
}
