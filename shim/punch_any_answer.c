/* SPDX-License-Identifier: MIT */
/*
 * punch_any_answer.c - what all answers to the program have in common
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

#include "common/clock.h"
#include "common/log.h"
#include "shim/punch_any_answer.h"
#include "shim/raw.h"

#define STDERR	2

#define LOST		64		/* most results that wait for a call to be made again */
#define LOST_LIMIT	(60 * SECOND)	/* the program's signal handler runs meanwhile, or it is stopped (SIGTSTP) */

/* Results of connect() that nobody got, of the newest such calls. Who is gone never asks, and is overwritten */
static struct lost {
	pid_t tid;
	uint64_t cookie;	/* of the socket; 0: free */
	int result;
	uint64_t until;
} losses[LOST];

static bool stderr_borrowed;

/* Our messages go where the program's do: none of its descriptors is kept, or a pipe would never end */
void answer_borrow_stderr(struct call *call)
{
	int fd = task_descriptor(&call->task, STDERR);

	if (fd < 0)
		return;
	raw_dup3(fd, STDERR, 0);
	raw_close(fd);
	stderr_borrowed = true;
}

void answer_return_stderr(void)
{
	int null;

	if (!stderr_borrowed)
		return;
	stderr_borrowed = false;
	null = raw_open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		raw_dup3(null, STDERR, 0);
		raw_close(null);
	} else {
		raw_close(STDERR);
	}
}

void answer_tell_once(const char *text)
{
	static const char *told[4];
	unsigned int i;

	for (i = 0; i < sizeof(told) / sizeof(told[0]) && told[i]; i++) {
		if (told[i] == text)
			return;
	}
	if (i < sizeof(told) / sizeof(told[0]))
		told[i] = text;
	log_error("%s", text);
}

/* The socket that the call is about, its first argument. Return: 0 or -errno */
int answer_take_socket(struct call *call)
{
	call->socket = task_descriptor(&call->task, (int)call->task.args[0]);
	if (call->socket < 0)
		return call->socket;
	call->cookie = raw_cookie(call->socket);
	return 0;
}

/*
 * Before the program goes on, or it would find the port in use of a listener that it has just closed,
 * or the peer would wait for the end of a connection.
 */
void answer_let_go(struct call *call)
{
	if (call->socket >= 0)
		raw_close(call->socket);
	call->socket = -1;
}

enum call_wait answer_leave(struct call *call)
{
	answer_let_go(call);
	task_continue(&call->task);
	return CALL_ANSWERED;
}

bool answer_lost(const struct call *call, int *result)
{
	uint64_t now = clock_now();
	bool found = false;
	struct lost *lost;

	for (lost = losses; lost < losses + LOST; lost++) {
		if (!lost->cookie || lost->cookie != call->cookie)
			continue;
		lost->cookie = 0;
		if (lost->tid == call->task.tid && call->task.nr == SYS_connect && now < lost->until) {
			*result = lost->result;
			found = true;
		}
	}
	return found;
}

static void lose(const struct call *call, int result)
{
	static unsigned int next;

	losses[next++ % LOST] = (struct lost){
		.tid = call->task.tid, .cookie = call->cookie, .result = result, .until = clock_now() + LOST_LIMIT,
	};
}

enum call_wait answer_finish(struct call *call, int result)
{
	/* the peer's socket may be in its place by now, and is the one of a call that is made again */
	if (call->socket >= 0)
		call->cookie = raw_cookie(call->socket);
	answer_let_go(call);
	if (task_answer(&call->task, result) == -ENOENT && call->task.nr == SYS_connect && call->cookie)
		lose(call, result);
	return CALL_ANSWERED;
}

/* An address into the program's buffer, cut off as the kernel does. Return: 0 or -errno */
int answer_write_address(const struct call *call, const struct sockaddr_storage *ss, socklen_t full, uint64_t address,
			 uint64_t length)
{
	int room = 0, rc;

	if (!address)
		return 0;
	rc = task_read(&call->task, length, &room, sizeof(room));
	if (rc == 0 && room < 0)
		rc = -EINVAL;
	if (rc == 0 && room)
		rc = task_write(&call->task, address, ss, (size_t)room < full ? (size_t)room : full);
	if (rc == 0)
		rc = task_write(&call->task, length, &full, sizeof(full));
	return rc;
}
