/* SPDX-License-Identifier: MIT */
/*
 * drain.c - close() and shutdown() of connections whose records the kernel makes
 *
 * Theory of operation
 *
 * Where a program does not wait, the kernel's TLS takes a record that hardly fits into the send buffer, says that all
 * of it was taken, and adds the rest when there is room.  Neither shutdown() nor close() waits for that: the far
 * end gets a part of a record and then the end, and close() after shutdown() is answered with SIGPIPE.  Of a
 * record that MSG_MORE left open nothing is sent at all.  TCP itself keeps all that was written, and programs
 * rely on it: a server writes its answer, closes, and looks no more.
 *
 * So before either call an open record is closed, and while the buffer is full the resolver gets a duplicate of the
 * socket, which keeps it open until nothing is left over (resolver/drain.c).  The program's call returns at
 * once; after shutdown(SHUT_WR) the end follows by the resolver's hand.  Where it cannot be asked the call waits, for
 * WAIT_MOST at most, and the next ones for PAUSE not at all.
 *
 * That close() is not the last of the socket's descriptors does no harm: then nothing ends.  A bit for each descriptor
 * tells which may be such a socket.  It stays after close(), which in a child of vfork() is not the
 * program's own; who finds another thing behind the number takes it back.  What exec(), dup() or another process
 * brought here has none, and dup2(), close_range() and exit() are not seen.
 */
#include <linux/sock_diag.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "shim/ask.h"
#include "shim/drain.h"
#include "shim/libc.h"
#include "shim/raw.h"

/* Missing in the headers of some libcs */
#ifndef SO_MEMINFO
#define SO_MEMINFO		55
#endif
#define NAME_SOL_TLS		282
#define NAME_SET_RECORD_TYPE	1	/* TLS_SET_RECORD_TYPE */
#define RECORD_DATA		23	/* RFC 8446, 5.1: application_data */

#define CLOSE		(-1)		/* no SHUT_ */
#define WAIT_ROOM	(200 * MS)	/* in a program that waits: most far ends take a part of a buffer by then */
#define WAIT_MOST	(2 * SECOND)	/* in the program's call */
#define PAUSE		(10 * SECOND)
#define SETTLE_NS	50000000	/* as DRAIN_SETTLE_MS of the resolver */

#define NUMBERS		4096	/* higher descriptors have no bit */
static _Atomic(uint64_t) numbers[NUMBERS / 64];
/* In .data, as in libc.c: close() looks at it in every program */
static _Atomic(bool) any __attribute__((section(".data")));
static _Atomic(uint64_t) paused_until;	/* clock_now() */

static bool may_be(int fd)
{
	return atomic_load_explicit(&any, memory_order_relaxed) && fd >= 0 && fd < NUMBERS &&
	       (atomic_load_explicit(&numbers[fd / 64], memory_order_relaxed) >> fd % 64 & 1);
}

void drain_note(int fd)
{
	if (fd < 0 || fd >= NUMBERS || !raw_is_tls(fd))
		return;
	atomic_fetch_or_explicit(&numbers[fd / 64], 1ull << fd % 64, memory_order_relaxed);
	atomic_store_explicit(&any, true, memory_order_relaxed);
}

/* Whatever sets the type of a record ends the one before it, also where no byte follows */
static void end_record(int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(1)];
	} control;
	struct msghdr message = { .msg_control = control.bytes, .msg_controllen = CMSG_LEN(1) };
	struct cmsghdr *cmsg = &control.align;

	memset(&control, 0, sizeof(control));
	cmsg->cmsg_level = NAME_SOL_TLS;
	cmsg->cmsg_type = NAME_SET_RECORD_TYPE;
	cmsg->cmsg_len = CMSG_LEN(1);
	*CMSG_DATA(cmsg) = RECORD_DATA;
	syscall(SYS_sendmsg, fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Return: is there, within @limit? A broken socket has room, too */
static bool has_room(int fd, uint64_t limit)
{
	const struct timespec patience = {
		.tv_sec = (time_t)(limit / SECOND), .tv_nsec = (long)(limit % SECOND) * 1000,
	};
	struct pollfd pollfd = { .fd = fd, .events = POLLOUT };
	struct timespec left = patience;	/* the kernel writes to it */

	return raw_result(syscall(SYS_ppoll, &pollfd, 1, &left, NULL, RAW_SIGSET_SIZE)) != 0;
}

/*
 * May a part of a record lie beside the send buffer? It got there when the buffer was full; poll() sees room again from
 * two thirds on, and the kernel's worker is on its way then.  Less than a third was not full a moment before
 */
static bool is_full(int fd)
{
	uint32_t memory[SK_MEMINFO_VARS] = { 0 };
	socklen_t size = sizeof(memory);

	if (!has_room(fd, 0))
		return true;
	return raw_getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size) == 0 &&
	       memory[SK_MEMINFO_WMEM_QUEUED] >= memory[SK_MEMINFO_SNDBUF] / 3;
}

/* Return: 0, or -errno: -ENOENT it would not take it, else as ask() */
static int hand_over(int fd, bool end)
{
	const struct config *config = config_get();
	struct local_request request;
	struct local_reply reply;
	int got, rc;

	if (!config)
		return -ENOENT;
	ask_request(&request, config, end ? LOCAL_DRAIN_END : LOCAL_DRAIN);
	rc = ask(&request, fd, ASK_RUNNING, &reply, &got);
	if (got >= 0)
		raw_close(got);
	return rc == 0 && reply.status != LOCAL_OK ? -ENOENT : rc;
}

static void wait_here(int fd)
{
	const struct timespec settle = { .tv_nsec = SETTLE_NS };
	uint64_t now = clock_now(), until = now + WAIT_MOST;

	do {
		has_room(fd, until - now);
		syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &settle, NULL);
		now = clock_now();
	} while (!has_room(fd, 0) && now < until);
	if (now < until)
		return;
	atomic_store(&paused_until, now + PAUSE);
	log_warn("a connection ends before all that was written to it is sent: the far end is slow, and punch-resolver "
		 "cannot be asked to wait for it");
}

/*
 * The program is about to end what it sends
 * @how:	as shutdown() has it; CLOSE
 * @stay:	it wants to wait for that itself (SO_LINGER)
 * Return: true when the resolver does it in its place
 */
static bool end_later(int fd, int how, bool stay)
{
	bool waits;
	int rc;

	if (!raw_is_tls(fd)) {
		atomic_fetch_and_explicit(&numbers[fd / 64], ~(1ull << fd % 64), memory_order_relaxed);
		return false;
	}
	/*
	 * A thread that waits inside a send() holds the kernel's lock, for which end_record() would wait, too. It is
	 * what SHUT_RDWR is to stop; else, as a rule, there is no such thread, and room before long
	 */
	waits = !(raw_fcntl(fd, F_GETFL, 0) & O_NONBLOCK);
	if (how == SHUT_RDWR && waits && !has_room(fd, 0))
		return false;
	if (!waits || has_room(fd, WAIT_ROOM))
		end_record(fd);
	if (!is_full(fd) || clock_now() < atomic_load(&paused_until))
		return false;
	rc = stay ? -ENOENT : hand_over(fd, how != CLOSE);
	if (rc == -ETIMEDOUT)
		atomic_store(&paused_until, clock_now() + PAUSE);	/* it has had its time */
	else if (rc < 0)
		wait_here(fd);
	return rc == 0;
}

int drain_close(int fd)
{
	struct linger linger = { 0 };
	socklen_t size = sizeof(linger);
	struct guard guard;

	if (may_be(fd)) {
		guard_enter(&guard);
		raw_getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size);
		if (!linger.l_onoff || linger.l_linger)		/* else nothing is to be sent any more */
			end_later(fd, CLOSE, linger.l_onoff);
		guard_leave(&guard);
	}
	return libc_close(fd);
}

int drain_shutdown(int fd, int how)
{
	struct guard guard;
	bool later = false;

	if ((how == SHUT_WR || how == SHUT_RDWR) && may_be(fd)) {
		guard_enter(&guard);
		later = end_later(fd, how, false);
		guard_leave(&guard);
	}
	if (!later)
		return libc_shutdown(fd, how);
	return how == SHUT_RDWR ? libc_shutdown(fd, SHUT_RD) : 0;
}
