/* SPDX-License-Identifier: MIT */
/*
 * punch_any_loop.c - the supervisor's loop
 *
 * Theory of operation
 *
 * One thread takes the calls as they come.  Most are answered at once.  A connect() or accept() that blocks
 * stays open: the program's thread sleeps in the kernel, its others go on, and we wait for the
 * socket.  Meanwhile no copy of it is kept, which would keep its port busy after the program has closed it: a
 * registration with epoll lasts as long as the program's own descriptors, and each call has an epoll set of
 * its own, because what is closed could not be taken out of a common one.  Nothing tells us that a signal has ended
 * such a call (its handler ran; the call restarts, as a new one, or has failed with EINTR).  So each is looked
 * at every SWEEP, and at once when its process ends or its thread makes another call.
 *
 *	BEGUN --> answered
 *	  `-----> HELD (CALL_CONNECTING, CALL_ACCEPTING) --socket ready, time over--> answered
 *	            `---the call is no longer valid, the process ended--> dropped
 *
 * The listener says EPOLLHUP when no process with the filter is left: the end.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "shim/punch_any_accept.h"
#include "shim/punch_any_answer.h"
#include "shim/punch_any_call.h"
#include "shim/punch_any_loop.h"
#include "shim/raw.h"

#define SWEEP	(100 * MS)	/* how long a call that was interrupted, or whose socket was closed, is remembered */

/* Younger than the headers of Debian 12 (Linux 6.6): wake the other side on this processor */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS		SECCOMP_IOW(4, uint64_t)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP	1ul
#endif

/**
 * struct held - a call that blocks
 * @until:	deadline, NEVER
 * @set:	epoll set with its socket, -1
 * @cookie:	of the socket
 */
struct held {
	struct held *next;
	struct call call;
	enum call_wait wait;
	uint64_t until;
	int set;
	uint64_t cookie;
};

/**
 * struct loop
 * @size:	bytes of what the kernel writes for a call, which may be more than our struct seccomp_notif
 */
struct loop {
	int notify;
	int epoll;
	size_t size;
	struct seccomp_notif *notif;
	struct held *held;
};

static void unwatch(struct loop *loop, struct held *held)
{
	if (held->set >= 0)
		raw_close(held->set);
	held->set = -1;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, held->call.task.pidfd, NULL);
}

static void drop(struct loop *loop, struct held *held)
{
	struct held **link;

	for (link = &loop->held; *link; link = &(*link)->next) {
		if (*link == held) {
			*link = held->next;
			break;
		}
	}
	unwatch(loop, held);
	call_end(&held->call);
	free(held);
}

static int watch(struct loop *loop, struct held *held)
{
	struct epoll_event socket = { .events = held->wait == CALL_CONNECTING ? EPOLLOUT : EPOLLIN, .data.ptr = held };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = held };
	int rc = 0;

	held->cookie = raw_cookie(held->call.socket);
	held->set = epoll_create1(EPOLL_CLOEXEC);
	if (held->set < 0 || epoll_ctl(held->set, EPOLL_CTL_ADD, held->call.socket, &socket) < 0 ||
	    epoll_ctl(loop->epoll, EPOLL_CTL_ADD, held->set, &event) < 0 ||
	    epoll_ctl(loop->epoll, EPOLL_CTL_ADD, held->call.task.pidfd, &event) < 0)
		rc = -errno;
	answer_let_go(&held->call);
	return rc;
}

/* Take the socket again. Return: false when the number means another one by now, or none */
static bool retake(struct held *held)
{
	if (answer_take_socket(&held->call) == 0 && raw_cookie(held->call.socket) == held->cookie)
		return true;
	answer_let_go(&held->call);
	return false;
}

/* retake() said no */
static void end(struct loop *loop, struct held *held)
{
	call_replaced(&held->call, held->wait);
	drop(loop, held);
}

static int hold(struct loop *loop, struct call *call, enum call_wait wait)
{
	struct held *held = malloc(sizeof(*held));
	uint64_t limit;

	if (!held)
		return -ENOMEM;
	held->call = *call;
	held->wait = wait;
	limit = call_limit(&held->call, wait);
	held->until = limit ? clock_now() + limit : NEVER;
	held->next = loop->held;
	loop->held = held;
	call->socket = -1;		/* is in held now */
	if (watch(loop, held) < 0) {
		loop->held = held->next;
		unwatch(loop, held);
		free(held);
		return -ENOBUFS;
	}
	return 0;
}

/* A thread that makes a call has none open any more */
static void forget_thread(struct loop *loop, pid_t tid)
{
	struct held *held, *next;

	for (held = loop->held; held; held = next) {
		next = held->next;
		if (held->call.task.tid == tid)
			drop(loop, held);
	}
}

static void receive(struct loop *loop)
{
	struct call call = { .task = { .notify = loop->notify, .pidfd = -1 }, .socket = -1 };
	const struct seccomp_notif *notif = loop->notif;
	enum call_wait wait;

	memset(loop->notif, 0, loop->size);
	if (ioctl(loop->notify, SECCOMP_IOCTL_NOTIF_RECV, loop->notif) < 0)
		return;		/* ENOENT: interrupted before we came */
	call.task.id = notif->id;
	call.task.tid = (pid_t)notif->pid;
	call.task.nr = notif->data.nr;
	memcpy(call.task.args, notif->data.args, sizeof(call.task.args));
	forget_thread(loop, call.task.tid);
	wait = call_begin(&call);
	if (wait != CALL_ANSWERED && hold(loop, &call, wait) == 0)
		return;
	if (wait != CALL_ANSWERED)
		task_answer(&call.task, -ENOBUFS);
	call_end(&call);
}

static void ready(struct loop *loop, struct held *held)
{
	struct pollfd process = { .fd = held->call.task.pidfd, .events = POLLIN };

	if (poll(&process, 1, 0) <= 0) {
		unwatch(loop, held);
		if (!retake(held)) {
			end(loop, held);
			return;
		}
		held->wait = call_ready(&held->call, held->wait);
		if (held->wait != CALL_ANSWERED && watch(loop, held) == 0)
			return;
		if (held->wait != CALL_ANSWERED)
			task_answer(&held->call.task, -ENOBUFS);
	}
	drop(loop, held);
}

/* Return: when to look again */
static uint64_t sweep(struct loop *loop, uint64_t now)
{
	uint64_t next_time = accept_sweep(now);
	struct held *held, *next;

	for (held = loop->held; held; held = next) {
		next = held->next;
		if (held->until <= now) {
			unwatch(loop, held);
			call_expire(&held->call, held->wait);
		}
		if (held->until <= now || !task_valid(&held->call.task)) {
			drop(loop, held);
			continue;
		}
		if (retake(held)) {
			answer_let_go(&held->call);
			next_time = clock_before(next_time, clock_before(held->until, now + SWEEP));
		} else {
			end(loop, held);
		}
	}
	return next_time;
}

static int timeout_ms(uint64_t until, uint64_t now)
{
	if (until == NEVER)
		return -1;
	return until <= now ? 0 : (int)((until - now + MS - 1) / MS);
}

static int prepare(struct loop *loop)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct seccomp_notif_sizes sizes = { 0 };

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		return -errno;
	loop->size = sizes.seccomp_notif > sizeof(*loop->notif) ? sizes.seccomp_notif : sizeof(*loop->notif);
	loop->notif = calloc(1, loop->size);
	if (!loop->notif)
		return -ENOMEM;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0 || epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->notify, &event) < 0)
		return -errno;
	ioctl(loop->notify, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	return 0;
}

int loop_run(int notify)
{
	struct loop loop = { .notify = notify };
	uint64_t look = NEVER;
	int rc = prepare(&loop);

	while (rc == 0 && loop.notif) {
		/* one at a time: what the first does may end the second */
		struct epoll_event event;
		int n = epoll_wait(loop.epoll, &event, 1, timeout_ms(look, clock_now()));
		uint64_t now;

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && event.data.ptr)
			ready(&loop, event.data.ptr);
		else if (n > 0 && (event.events & EPOLLIN))
			receive(&loop);
		else if (n > 0)
			break;
		now = clock_now();
		/* what is held is looked at sooner than what is kept */
		if (look <= now || look > now + SWEEP)
			look = sweep(&loop, now);
	}
	return rc;
}
