/* SPDX-License-Identifier: MIT */
/*
 * punch_any_accept.c - listen() and accept() of the program
 *
 * serve.c does the work on a copy of the listener.  What it returns is a descriptor of ours, which the
 * program gets as the result of its call.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "common/clock.h"
#include "shim/punch_any_accept.h"
#include "shim/punch_any_answer.h"
#include "shim/punch_any_swap.h"
#include "shim/raw.h"
#include "shim/serve.h"

#define WAIF_LIMIT	(60 * SECOND)	/* a server that has not asked by then has gone, or would not be waited for */

/*
 * An accepted socket whose accept() was interrupted before it could have it, or whose last free number another thread
 * took in this moment: the next accept() of this listener gets it.
 */
struct waif {
	struct waif *next;
	uint64_t until;
	uint64_t listener;		/* SO_COOKIE */
	int fd;
	struct sockaddr_storage from;
	socklen_t size;
};

static struct waif *waifs;

static bool is_internet(int fd)
{
	int domain = raw_sockopt_int(fd, SOL_SOCKET, SO_DOMAIN);

	return domain == AF_INET || domain == AF_INET6;
}

enum call_wait accept_listen(struct call *call)
{
	int rc, kept;

	if (answer_take_socket(call) < 0 || !is_internet(call->socket))
		return answer_leave(call);
	answer_borrow_stderr(call);
	rc = serve_listen(call->socket, (int)call->task.args[1]) < 0 ? -errno : 0;
	/* a signal ended the call: when it is made again its port must be free */
	kept = rc == -EINTR ? swap_kept(call->socket) : -1;
	if (kept >= 0)
		raw_close(kept);
	return answer_finish(call, rc);
}

enum call_wait accept_setsockopt(struct call *call)
{
	/* TCP_DEFER_ACCEPT: a doorbell carries no byte, so it would not wake the program */
	if (answer_take_socket(call) == 0 && raw_sockopt_int(call->socket, SOL_SOCKET, SO_ACCEPTCONN) > 0 &&
	    serve_is_service(call->socket))
		return answer_finish(call, 0);
	return answer_leave(call);
}

static int accept_flags(const struct call *call)
{
	return call->task.nr == SYS_accept4 ? (int)call->task.args[3] : 0;
}

static struct waif *find_waif(uint64_t listener)
{
	struct waif **link, *waif;

	for (link = &waifs; (waif = *link); link = &waif->next) {
		if (waif->listener == listener) {
			*link = waif->next;
			return waif;
		}
	}
	return NULL;
}

/* Is there a client, or something to tell? */
static bool is_ready(int listener)
{
	struct pollfd pollfd = { .fd = listener, .events = POLLIN };
	const struct waif *waif;
	uint64_t cookie;

	if (poll(&pollfd, 1, 0) != 0)
		return true;
	if (!waifs)
		return false;
	cookie = raw_cookie(listener);
	for (waif = waifs; waif && waif->listener != cookie; waif = waif->next)
		;
	return waif;
}

/* Without waiting, whatever the listener's mode: that is a flag of the file, which the program
 * shares. Return: -errno */
static int accept_now(const struct call *call, struct sockaddr_storage *from, socklen_t *size)
{
	int flags = raw_fcntl(call->socket, F_GETFL, 0), fd;

	if (flags >= 0 && !(flags & O_NONBLOCK))
		raw_fcntl(call->socket, F_SETFL, flags | O_NONBLOCK);
	fd = serve_accept(call->socket, (struct sockaddr *)from, size,
			  (accept_flags(call) & SOCK_NONBLOCK) | SOCK_CLOEXEC, true);
	if (fd < 0)
		fd = -errno;
	if (flags >= 0 && !(flags & O_NONBLOCK))
		raw_fcntl(call->socket, F_SETFL, flags);
	return fd;
}

static int take_client(const struct call *call, struct waif *client)
{
	struct waif *waif = find_waif(raw_cookie(call->socket));

	if (waif) {
		*client = *waif;
		free(waif);
		return 0;
	}
	memset(client, 0, sizeof(*client));
	client->listener = raw_cookie(call->socket);
	client->size = sizeof(client->from);
	client->fd = accept_now(call, &client->from, &client->size);
	return client->fd < 0 ? client->fd : 0;
}

static void keep_waif(const struct waif *client)
{
	struct waif *waif = malloc(sizeof(*waif));

	if (!waif) {
		raw_close(client->fd);
		return;
	}
	*waif = *client;
	waif->until = clock_now() + WAIF_LIMIT;
	waif->next = waifs;
	waifs = waif;
}

uint64_t accept_sweep(uint64_t now)
{
	struct waif **link = &waifs, *waif;
	uint64_t next_time = NEVER;

	while ((waif = *link)) {
		if (waif->until > now) {
			next_time = clock_before(next_time, waif->until);
			link = &waif->next;
			continue;
		}
		*link = waif->next;
		raw_close(waif->fd);
		free(waif);
	}
	return next_time;
}

/* Return: CALL_ACCEPTING when there is no client */
enum call_wait accept_try(struct call *call)
{
	struct waif client;
	int rc;

	if (!task_valid(&call->task))
		return CALL_ANSWERED;
	if (!is_ready(call->socket))
		return CALL_ACCEPTING;
	/* before it leaves the kernel's queue: there it wakes a program that has closed something and waits again */
	if (!task_has_room(&call->task))
		return answer_finish(call, -EMFILE);
	rc = take_client(call, &client);
	if (rc == -EAGAIN)
		return CALL_ACCEPTING;
	if (rc < 0)
		return answer_finish(call, rc);
	rc = answer_write_address(call, &client.from, client.size, call->task.args[1], call->task.args[2]);
	answer_let_go(call);
	if (rc == 0)
		rc = task_give(&call->task, client.fd, accept_flags(call) & SOCK_CLOEXEC ? O_CLOEXEC : 0);
	if (rc == 0) {
		raw_close(client.fd);
		return CALL_ANSWERED;
	}
	keep_waif(&client);
	return rc == -ENOENT || rc == -ESRCH ? CALL_ANSWERED : answer_finish(call, rc);
}

enum call_wait accept_begin(struct call *call)
{
	int flags;

	if (answer_take_socket(call) < 0 || (accept_flags(call) & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) ||
	    raw_sockopt_int(call->socket, SOL_SOCKET, SO_ACCEPTCONN) <= 0 || !serve_is_service(call->socket))
		return answer_leave(call);
	answer_borrow_stderr(call);
	flags = raw_fcntl(call->socket, F_GETFL, 0);
	if (accept_try(call) == CALL_ANSWERED)
		return CALL_ANSWERED;
	return flags & O_NONBLOCK ? answer_finish(call, -EAGAIN) : CALL_ACCEPTING;
}
