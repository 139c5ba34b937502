/* SPDX-License-Identifier: MIT */
/*
 * punch_any_call.c - what the program's calls come to
 *
 * The work is that of the preload library (dial.c, pending.c, serve.c, remote.c), done on copies of the
 * program's sockets: a copy is the same socket, with the same SO_COOKIE.  What differs is
 * how a socket gets into its place (punch_any_swap.c) and who waits (punch_any_loop.c).
 *
 * What is nobody of ours is left to the kernel by SECCOMP_USER_NOTIF_FLAG_CONTINUE.  The kernel then
 * reads the program's memory again, which another thread may have changed since: a
 * program that does so deceives only itself.  What is ours is never continued: it is done
 * with the copy that was looked at.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/endpoint.h"
#include "shim/dial.h"
#include "shim/pending.h"
#include "shim/punch_any_accept.h"
#include "shim/punch_any_answer.h"
#include "shim/punch_any_call.h"
#include "shim/punch_any_swap.h"
#include "shim/raw.h"
#include "shim/remote.h"
#include "shim/tag.h"

static struct call *current;

struct call *call_current(void)
{
	return current;
}

void call_end(struct call *call)
{
	answer_let_go(call);
	task_close(&call->task);
}

/* What an interrupted call has left over for this socket. Return: false when this one is interrupted, too */
static bool deliver_kept(struct call *call)
{
	int fresh = swap_kept(call->socket), error = 0;

	return fresh < 0 || pending_take(call->socket, fresh, &error) != PENDING_CONNECTING;
}

/* ------------------------------------------------------------ connect() */

/* Return: 0, or -errno; @size: of what was read */
static int read_address(const struct call *call, uint64_t address, uint64_t given, struct sockaddr_storage *ss,
			socklen_t *size)
{
	int length = (int)given;

	memset(ss, 0, sizeof(*ss));
	if (!address || length < (int)sizeof(sa_family_t) || length > (int)sizeof(*ss))
		return -EINVAL;
	*size = (socklen_t)length;
	return task_read(&call->task, address, ss, (size_t)length);
}

/* We may not look into it, so it may be a peer's address */
static enum call_wait refuse_unseen(struct call *call)
{
	answer_tell_once("this program's memory is closed to punch (see \"--any\" in punch(1)): its connections are "
			 "refused");
	return answer_finish(call, -EACCES);
}

/* sizes that an address of IP may have, and one of a Unix socket hardly: sockaddr_in, sockaddr_in6, sockaddr_storage */
static bool may_be_ip(socklen_t size)
{
	return size == sizeof(struct sockaddr_in) || size == sizeof(struct sockaddr_in6) ||
	       size > sizeof(struct sockaddr_un);
}

static enum call_wait take_step(struct call *call, enum dial_step step, int result)
{
	switch (step) {
	case DIAL_WAIT:
		call->first = true;
		return CALL_CONNECTING;
	case DIAL_WAIT_AGAIN:
		return CALL_CONNECTING;
	case DIAL_DONE:
		return answer_finish(call, result);
	case DIAL_NATIVE:
		break;
	}
	return answer_leave(call);
}

/* To nobody of ours, but the socket may have been one of ours */
static enum call_wait on_connect_elsewhere(struct call *call, const struct sockaddr *address)
{
	bool undoes = address->sa_family == AF_UNSPEC;
	enum dial_step step;
	int result = 0;

	if (!(pending_any() || (undoes && remote_any())) || answer_take_socket(call) < 0)
		return answer_leave(call);
	if (undoes) {
		answer_lost(call, &result);
		dial_forget(call->socket);
		return answer_leave(call);
	}
	answer_borrow_stderr(call);
	if (answer_lost(call, &result))
		return answer_finish(call, result);
	if (!deliver_kept(call))
		return CALL_ANSWERED;
	step = dial_begin_elsewhere(call->socket, &result);
	return take_step(call, step, result);
}

static enum call_wait on_connect(struct call *call)
{
	struct sockaddr_storage ss;
	const struct sockaddr *address = (const struct sockaddr *)&ss;
	socklen_t size = 0;
	enum dial_step step;
	int rc, result = 0;

	rc = read_address(call, call->task.args[1], call->task.args[2], &ss, &size);
	if (rc == -EPERM && may_be_ip(size))
		return refuse_unseen(call);
	if (rc < 0)
		return answer_leave(call);
	if (!dial_is_ours(address, size))
		return on_connect_elsewhere(call, address);
	rc = answer_take_socket(call);
	if (rc < 0)
		return answer_finish(call, rc == -EPERM ? -EACCES : rc);
	answer_borrow_stderr(call);
	if (answer_lost(call, &result))
		return answer_finish(call, result);
	if (!deliver_kept(call))
		return CALL_ANSWERED;
	step = dial_begin(call->socket, address, size, &result);
	return take_step(call, step, result);
}

/* Another thread has settled it, or undone it with shutdown() */
static enum call_wait settled_by_another(struct call *call)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);
	int error;

	if (raw_getsockopt(call->socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state == TCP_CLOSE) {
		error = raw_sockopt_int(call->socket, SOL_SOCKET, SO_ERROR);
		return answer_finish(call, error > 0 ? -error : -ECONNRESET);
	}
	remote_acknowledge(call->socket);
	return answer_finish(call, 0);
}

static enum call_wait connected(struct call *call)
{
	int error = 0;

	answer_borrow_stderr(call);
	if (!deliver_kept(call))
		return CALL_ANSWERED;
	switch (pending_settle(call->socket, "connect() that blocks", &error)) {
	case PENDING_DONE:
		remote_acknowledge(call->socket);
		return answer_finish(call, 0);
	case PENDING_NOT:		/* or it was kept */
		return settled_by_another(call);
	case PENDING_FAILED:
		pending_forget(call->socket);
		if (error != ECONNABORTED || call->again)
			return answer_finish(call, -error);
		/* the resolver died: the program has not seen anything yet, so the next one gets its chance */
		answer_let_go(call);
		call->again = true;
		return on_connect(call);
	case PENDING_CONNECTING:
		break;
	}
	return answer_finish(call, -EINPROGRESS);
}

/* ------------------------------------------------------------ what a program asks of a connected socket */

/* Put the peer's socket in place if it is there. Return: false when there was nothing to do with it */
static bool settle(struct call *call, const char *name, enum pending_answer *answer, int *error)
{
	*answer = PENDING_NOT;
	if (answer_take_socket(call) < 0)
		return false;
	answer_lost(call, error);
	if (pending_any()) {
		answer_borrow_stderr(call);
		if (deliver_kept(call))
			*answer = pending_settle(call->socket, name, error);
	}
	return true;
}

static enum call_wait on_getsockopt(struct call *call)
{
	uint64_t value = call->task.args[3], length = call->task.args[4];
	enum pending_answer answer;
	int error = 0, size = 0;

	if (!pending_any() || !settle(call, "getsockopt(SO_ERROR)", &answer, &error) || answer != PENDING_FAILED)
		return answer_leave(call);	/* of the socket that is in place by now */
	if (task_read(&call->task, length, &size, sizeof(size)) < 0 || size < 0)
		return answer_leave(call);
	if (size > (int)sizeof(error))
		size = sizeof(error);
	if (task_write(&call->task, value, &error, (size_t)size) < 0 ||
	    task_write(&call->task, length, &size, sizeof(size)) < 0)
		return answer_finish(call, -EFAULT);
	answer_let_go(call);
	/* not before it was told: a signal may end the call in this moment */
	if (task_answer(&call->task, 0) == 0)
		pending_forget_cookie(call->cookie);
	return CALL_ANSWERED;
}

/* The peer behind the socket, by our memory or by the socket's own tag. Return: false when it is none of ours */
static bool find_remote(int fd, const struct sockaddr *address, socklen_t size, struct remote *remote)
{
	struct endpoint ep;

	if (remote_get(fd, remote))
		return true;
	if (endpoint_from_sockaddr(&ep, address, size) < 0)
		return false;
	remote->slot = tag_get(fd);
	remote->port = ep.port;
	remote->form = remote_form_of(address, size);
	return remote->slot != 0;
}

static enum call_wait on_getpeername(struct call *call)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr *address = (struct sockaddr *)&ss;
	socklen_t size = sizeof(ss);
	enum pending_answer answer;
	struct remote remote;
	int error;

	if (!settle(call, "getpeername()", &answer, &error))
		return answer_leave(call);
	if (answer == PENDING_FAILED)	/* its placeholder may still be connected, to the resolver */
		return answer_finish(call, -ENOTCONN);
	if (syscall(SYS_getpeername, call->socket, address, &size) < 0 ||
	    !find_remote(call->socket, address, size, &remote))
		return answer_leave(call);
	size = sizeof(ss);
	remote_write(&remote, address, &size);
	if (!call->task.args[1])
		return answer_finish(call, -EFAULT);
	return answer_finish(call, answer_write_address(call, &ss, size, call->task.args[1], call->task.args[2]));
}

/* ------------------------------------------------------------ the rest */

/* Data with connect(): programs know that it may be missing (net.ipv4.tcp_fastopen), and connect first then */
/* Of sendmmsg() the first message connects: the others are for a socket that is connected already */
static enum call_wait on_fast_open(struct call *call)
{
	uint64_t address = call->task.args[4], length = call->task.args[5];
	struct msghdr message;
	struct sockaddr_storage ss;
	socklen_t size = 0;
	int rc;

	if (call->task.nr != SYS_sendto) {
		rc = task_read(&call->task, call->task.args[1], &message, sizeof(message));
		if (rc < 0)
			return rc == -EPERM ? refuse_unseen(call) : answer_leave(call);
		address = (uint64_t)(uintptr_t)message.msg_name;
		length = message.msg_namelen;
	}
	rc = read_address(call, address, length, &ss, &size);
	if (rc == -EPERM && may_be_ip(size))
		return refuse_unseen(call);
	if (rc < 0 || !dial_is_ours((struct sockaddr *)&ss, size))
		return answer_leave(call);
	return answer_finish(call, -EOPNOTSUPP);
}

static enum call_wait on_io_uring(struct call *call)
{
	answer_borrow_stderr(call);
	answer_tell_once("io_uring is refused under \"punch --any\", which cannot see what goes through it; programs "
			 "do without");
	return answer_finish(call, -ENOSYS);
}

static enum call_wait dispatch(struct call *call)
{
	switch (call->task.nr) {
	case SYS_connect:
		return on_connect(call);
	case SYS_getsockopt:
		return on_getsockopt(call);
	case SYS_getpeername:
		return on_getpeername(call);
	case SYS_listen:
		return accept_listen(call);
#ifdef SYS_accept
	case SYS_accept:
#endif
	case SYS_accept4:
		return accept_begin(call);
	case SYS_setsockopt:
		return accept_setsockopt(call);
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
		return on_fast_open(call);
	case SYS_io_uring_setup:
		return on_io_uring(call);
	default:
		return answer_leave(call);
	}
}

enum call_wait call_begin(struct call *call)
{
	enum call_wait wait;

	current = call;
	wait = dispatch(call);
	current = NULL;
	answer_return_stderr();
	return wait;
}

enum call_wait call_ready(struct call *call, enum call_wait wait)
{
	if (!task_valid(&call->task))
		return CALL_ANSWERED;
	current = call;
	if (wait == CALL_CONNECTING) {
		wait = connected(call);
	} else {
		answer_borrow_stderr(call);
		wait = accept_try(call);
	}
	current = NULL;
	answer_return_stderr();
	return wait;
}

void call_expire(struct call *call, enum call_wait wait)
{
	answer_let_go(call);
	if (wait == CALL_CONNECTING)
		task_answer(&call->task, call->first ? -EINPROGRESS : -EALREADY);
	else
		task_answer(&call->task, -EAGAIN);
}

/* The peer's socket that another thread's call has put in the place of the one that this one waits for, too? */
void call_replaced(struct call *call, enum call_wait wait)
{
	struct remote remote;
	int result = -EBADF;

	if (wait == CALL_CONNECTING && answer_take_socket(call) == 0 && remote_get(call->socket, &remote)) {
		remote_acknowledge(call->socket);
		result = 0;
	}
	answer_finish(call, result);
}

uint64_t call_limit(const struct call *call, enum call_wait wait)
{
	struct timeval limit = { 0 };
	socklen_t size = sizeof(limit);

	if (raw_getsockopt(call->socket, SOL_SOCKET, wait == CALL_CONNECTING ? SO_SNDTIMEO : SO_RCVTIMEO, &limit,
			   &size) < 0)
		return 0;
	return (uint64_t)limit.tv_sec * SECOND + (uint64_t)limit.tv_usec;
}
