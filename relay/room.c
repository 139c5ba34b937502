/* SPDX-License-Identifier: MIT */
/*
 * room.c - how much of the pairs' bytes the kernel may hold
 *
 * Theory of operation
 * -------------------
 *
 * A connection carries one buffer a round trip: with 256 KiB 40 Mbit/s at 50 ms.  The kernel grows the
 * buffers of one that is read as fast as it is sent to (net.ipv4.tcp_rmem, tcp_wmem: up to some
 * 10 MiB a direction), and that is right for few fast pairs.  But it knows nothing of all pairs
 * together, and what has grown is full when a reader stalls.  So a flow begins with the least that
 * works (RELAY_ROOM_FREE), and what its buffers are above that is counted: the sum of all
 * flows is kept below a budget.  Whoever opens pairs and lets them stall fills the least of each.
 *
 *	HELD --RELAY_ROOM_PROOF passed on, and there is room--> GROWING
 *	GROWING --RELAY_ROOM_MOST reached, or no more room--> FULL --there is room again--> GROWING
 *	GROWING, FULL --pressure, and it has more than its share; or idle while others want room--> HELD
 *
 * HELD means that SO_RCVBUF and SO_SNDBUF have set both buffers: to the least, or to a share.
 * GROWING leaves them to the kernel, whose locks are taken off (SO_BUF_LOCK, Linux 5.14; before that
 * a flow grows from the start if there is room, and who is held stays so).
 * FULL keeps both as they are, by the same locks.
 *
 * What is counted is the larger one of a buffer's limit and its content (SO_MEMINFO), for what is in
 * it already stays there when the limit shrinks.  A flow that grows is counted with what it may grow
 * by until it is looked at again: after RELAY_ROOM_LOOK bytes, one carrier, also within a turn.  Its
 * send buffer is twice its congestion window, which doubles in a round trip at most: so does it, or
 * grows by RELAY_ROOM_STEP if that is more.  Its receive buffer may jump to the kernel's limit at
 * once, but fills only while the flow is stopped: then it is looked at, too.
 *
 * Pressure is three quarters of the budget in use.  From there on nobody begins to grow, and flows
 * that have more than an equal share of the budget are held at that when they are next looked at.
 * The last quarter is for flows that come meanwhile and have passed their proof: they get
 * RELAY_ROOM_HELD, or a share where that is less.
 *
 * Who fills its window can wait for ever to grow: the kernel enlarges a receive buffer when more bytes
 * than ever before came in one round trip, and no more can come (measured: 7 Mbit/s at 50 ms, for as
 * long as it lasts).  So growing begins with a step that is set by hand.
 */
#include <assert.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "relay/limits.h"
#include "relay/room.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK	72	/* asm-generic/socket.h; missing in older headers */
#endif
#define LOCK_SEND	1	/* SOCK_SNDBUF_LOCK, SOCK_RCVBUF_LOCK of the kernel */
#define LOCK_RECEIVE	2

static const char *const room_state_names[] = { "outside", "held", "growing", "full" };
static_assert(sizeof(room_state_names) / sizeof(room_state_names[0]) == ROOM_STATE_COUNT,
	      "one name a state");

static TAILQ_HEAD(, room) rooms = TAILQ_HEAD_INITIALIZER(rooms);	/* looked at longest ago: first */
static size_t room_budget = SIZE_MAX, grown_all;
static unsigned int sharers;		/* rooms that have grown */
static bool has_locks;			/* SO_BUF_LOCK */

void room_open(size_t budget)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), locks;
	socklen_t size = sizeof(locks);

	room_budget = budget;
	has_locks = fd < 0 || !getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locks, &size);
	if (fd >= 0)
		close(fd);
}

size_t room_grown(void)
{
	return grown_all;
}

static void room_set_state(struct room *room, enum room_state state)
{
	static const bool edges[ROOM_STATE_COUNT][ROOM_STATE_COUNT] = {
		[ROOM_OUTSIDE] = { [ROOM_HELD] = true, [ROOM_GROWING] = true },
		[ROOM_HELD] = { [ROOM_OUTSIDE] = true, [ROOM_HELD] = true, [ROOM_GROWING] = true },
		[ROOM_GROWING] = { [ROOM_OUTSIDE] = true, [ROOM_HELD] = true, [ROOM_FULL] = true },
		[ROOM_FULL] = { [ROOM_OUTSIDE] = true, [ROOM_HELD] = true, [ROOM_GROWING] = true },
	};

	assert(edges[room->state][state]);
	log_debug("buffers of %d to %d: %s -> %s, %zu bytes", room->source, room->sink,
		  room_state_names[room->state], room_state_names[state], room->grown);
	room->state = state;
}

/* Limit or content of a buffer, whatever is more. @limit, @content: SK_MEMINFO_* */
static size_t buffer_of(int fd, int limit, int content)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t size = sizeof(info);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &size))
		return 0;
	return info[limit] > info[content] ? info[limit] : info[content];
}

static size_t size_of(const struct room *room)
{
	size_t receive = buffer_of(room->source, SK_MEMINFO_RCVBUF, SK_MEMINFO_RMEM_ALLOC);
	size_t send = buffer_of(room->sink, SK_MEMINFO_SNDBUF, SK_MEMINFO_WMEM_QUEUED);

	return receive + send + RELAY_ROOM_PACKET;
}

static size_t above_free(size_t size)
{
	return size > RELAY_ROOM_FREE ? size - RELAY_ROOM_FREE : 0;
}

/* What a flow with so large buffers is counted with while it grows */
static size_t to_grow(size_t size)
{
	return above_free(size) + (size > RELAY_ROOM_STEP ? size : RELAY_ROOM_STEP);
}

static void set_grown(struct room *room, size_t grown)
{
	sharers += (grown > 0) - (room->grown > 0);
	grown_all += grown - room->grown;
	room->grown = grown;
}

static bool fits(const struct room *room, size_t grown, size_t limit)
{
	return grown_all - room->grown + grown <= limit;
}

/* Of the budget, for each flow that has grown */
static size_t share(void)
{
	return room_budget / (sharers ? sharers : 1);
}

/* Put a lock on or take it off, and leave the other one, which is of the other direction. Return: 0 or -1 */
static int set_lock(int fd, int lock, bool on)
{
	int locks = 0;
	socklen_t size = sizeof(locks);

	if (getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locks, &size))
		return -1;
	locks = on ? locks | lock : locks & ~lock;
	return setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locks, sizeof(locks));
}

static void set_buffers(const struct room *room, size_t receive, size_t send)
{
	const int halves[] = { (int)(receive / 2), (int)(send / 2) };	/* the kernel doubles them */
	const int window = RELAY_ROOM_RECEIVE;

	setsockopt(room->source, SOL_SOCKET, SO_RCVBUF, &halves[0], sizeof(halves[0]));
	/* Above what fits it limits nothing; but the kernel has made it fit the buffer as that was before */
	setsockopt(room->source, IPPROTO_TCP, TCP_WINDOW_CLAMP, &window, sizeof(window));
	setsockopt(room->sink, SOL_SOCKET, SO_SNDBUF, &halves[1], sizeof(halves[1]));
}

/* Both buffers at the least, and so much more together */
static void hold(struct room *room, size_t more)
{
	set_buffers(room, RELAY_LEAST_RECEIVE + more / 2, RELAY_LEAST_SEND + more / 2);
	set_grown(room, above_free(size_of(room)));
	room_set_state(room, ROOM_HELD);
}

/* No further.  A receive buffer may have jumped: twice what it carried in the last round trip */
static void fill(struct room *room)
{
	const int half = RELAY_ROOM_RECEIVE / 2;	/* the kernel doubles it */

	set_lock(room->source, LOCK_RECEIVE, true);
	set_lock(room->sink, LOCK_SEND, true);
	if (buffer_of(room->source, SK_MEMINFO_RCVBUF, SK_MEMINFO_RCVBUF) > RELAY_ROOM_RECEIVE)
		setsockopt(room->source, SOL_SOCKET, SO_RCVBUF, &half, sizeof(half));
	set_grown(room, above_free(size_of(room)));
	room_set_state(room, ROOM_FULL);
}

/* @size: of its buffers now */
static void grow(struct room *room, size_t size)
{
	if (size < RELAY_ROOM_HELD) {
		set_buffers(room, RELAY_ROOM_HELD / 2, RELAY_ROOM_HELD / 2);
		size = size_of(room);
	}
	if (set_lock(room->source, LOCK_RECEIVE, false) || set_lock(room->sink, LOCK_SEND, false))
		return;
	set_grown(room, to_grow(size));
	room_set_state(room, ROOM_GROWING);
}

static void look_at(struct room *room, uint64_t now)
{
	room->looked = now;
	TAILQ_REMOVE(&rooms, room, all);
	TAILQ_INSERT_TAIL(&rooms, room, all);
}

/* Hold those that have grown for nothing, until there is room for so much more */
static void reclaim(size_t more, uint64_t now)
{
	struct room *room;

	while (grown_all + more > RELAY_ROOM_PRESSURE(room_budget) && (room = TAILQ_FIRST(&rooms)) &&
	       now - room->looked >= RELAY_ROOM_IDLE) {
		if (room->grown)
			hold(room, 0);
		look_at(room, now);	/* not met again before it moves */
	}
}

/* One that has the least, or a share, and passes bytes on, or one that kept what it had */
static void ask(struct room *room, size_t size, uint64_t now)
{
	const size_t want = share() < RELAY_ROOM_HELD ? share() : RELAY_ROOM_HELD;
	const size_t growing = to_grow(size > RELAY_ROOM_HELD ? size : RELAY_ROOM_HELD);

	reclaim(growing, now);
	if (size <= RELAY_ROOM_MOST && fits(room, growing, RELAY_ROOM_PRESSURE(room_budget)))
		grow(room, size);
	else if (room->state == ROOM_HELD && room->grown < want / 2 && fits(room, want, room_budget))
		hold(room, want);
}

void room_visit(int fd)
{
	const int least = RELAY_LEAST_RECEIVE / 2;

	if (room_budget != SIZE_MAX && has_locks)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
}

void room_enter(struct room *room, int source, int sink, uint64_t now)
{
	if (room_budget == SIZE_MAX)
		return;
	room->source = source;
	room->sink = sink;
	room->looked = now;
	TAILQ_INSERT_TAIL(&rooms, room, all);
	if (has_locks || !fits(room, to_grow(0), RELAY_ROOM_PRESSURE(room_budget))) {
		hold(room, 0);
	} else {
		set_grown(room, to_grow(0));
		room_set_state(room, ROOM_GROWING);
	}
}

void room_look(struct room *room, uint64_t bytes, bool stopped, uint64_t now)
{
	const uint64_t due = room->state == ROOM_HELD ? RELAY_ROOM_PROOF : RELAY_ROOM_LOOK;
	bool moved = bytes - room->seen >= due;
	size_t size;

	if (room->state == ROOM_OUTSIDE || (!moved && !(stopped && room->state == ROOM_GROWING)))
		return;
	if (moved) {
		room->seen = bytes;
		look_at(room, now);
	}
	size = size_of(room);
	set_grown(room, room->state == ROOM_GROWING ? to_grow(size) : above_free(size));
	if (room->state == ROOM_GROWING && size > RELAY_ROOM_MOST)
		fill(room);
	if (grown_all > RELAY_ROOM_PRESSURE(room_budget))
		reclaim(0, now);
	if (grown_all > RELAY_ROOM_PRESSURE(room_budget) && above_free(size) > share())
		hold(room, share());
	else if (grown_all > RELAY_ROOM_PRESSURE(room_budget) && room->state == ROOM_GROWING)
		fill(room);
	else if (moved && room->state != ROOM_GROWING)
		ask(room, size, now);
}

void room_leave(struct room *room)
{
	if (room->state == ROOM_OUTSIDE)
		return;
	set_grown(room, 0);
	TAILQ_REMOVE(&rooms, room, all);
	room_set_state(room, ROOM_OUTSIDE);
}
