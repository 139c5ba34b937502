/* SPDX-License-Identifier: MIT */
/*
 * room.c - how much of the pairs' bytes the kernel may hold
 *
 * Theory of operation
 * -------------------
 *
 * A connection carries one buffer a round trip: with 256 KiB 40 Mbit/s at 50 ms.  The kernel grows the
 * buffers of one that is read as fast as it is sent to (net.ipv4.tcp_rmem, tcp_wmem: up to some 10 MiB
 * a direction), and that is right for few fast pairs.  But it knows nothing of all pairs together, and what has grown
 * is full when a reader stalls.  So the growing is left to the kernel, and watched: a flow that has passed
 * on RELAY_ROOM_LOOK bytes more is asked how large its buffers are by now. Their sum is kept below a budget.
 *
 *	FREE --RELAY_ROOM_MOST reached--> FULL --budget used up--> HELD
 *	FREE --budget used up--> HELD --less than half of it used--> FREE
 *
 * FULL keeps its buffers as they are.
 * HELD means both buffers at RELAY_BUFFER_KIB, as SO_RCVBUF and SO_SNDBUF set them; growing begins again when their locks
 * are taken off (SO_BUF_LOCK, Linux 5.14; before that, held flows stay so).  Before a flow that moves
 * is held, those are that have grown and moved nothing for RELAY_ROOM_IDLE.
 *
 * A flow overshoots by what it grows between two looks, while RELAY_ROOM_LOOK bytes pass.
 */
#include <sys/socket.h>

#include "relay/limits.h"
#include "relay/room.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK	72	/* asm-generic/socket.h; missing in older headers */
#endif
#define LOCK_SEND	1	/* SOCK_SNDBUF_LOCK, SOCK_RCVBUF_LOCK of the kernel */
#define LOCK_RECEIVE	2

static TAILQ_HEAD(, room) rooms = TAILQ_HEAD_INITIALIZER(rooms);	/* the one looked at longest ago is first */
static size_t room_budget = SIZE_MAX, grown_all;

void room_open(size_t budget)
{
	room_budget = budget;
}

size_t room_grown(void)
{
	return grown_all;
}

void room_enter(struct room *room, int source, int sink, uint64_t now)
{
	if (room_budget == SIZE_MAX)
		return;
	room->source = source;
	room->sink = sink;
	room->looked = now;
	room->entered = true;
	TAILQ_INSERT_TAIL(&rooms, room, all);
}

static size_t buffer_of(int fd, int option)
{
	int bytes = 0;
	socklen_t size = sizeof(bytes);

	return getsockopt(fd, SOL_SOCKET, option, &bytes, &size) || bytes < 0 ? 0 : (size_t)bytes;
}

static void set_grown(struct room *room, size_t grown)
{
	grown_all += grown - room->grown;
	room->grown = grown;
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

/* No further.  A receive buffer may have jumped: the kernel makes it twice what it carried in the last round trip */
static void fill(struct room *room)
{
	const int half = RELAY_ROOM_RECEIVE / 2;	/* the kernel doubles it */

	set_lock(room->source, LOCK_RECEIVE, true);
	set_lock(room->sink, LOCK_SEND, true);
	if (buffer_of(room->source, SO_RCVBUF) > RELAY_ROOM_RECEIVE)
		setsockopt(room->source, SOL_SOCKET, SO_RCVBUF, &half, sizeof(half));
}

static void hold(struct room *room)
{
	const int bytes = RELAY_BUFFER_KIB * 1024;

	setsockopt(room->source, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	setsockopt(room->sink, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	set_grown(room, 0);
	room->held = true;
}

/* Hold those that have grown for nothing */
static void reclaim(uint64_t now)
{
	struct room *room, *next;

	for (room = TAILQ_FIRST(&rooms); room && grown_all > room_budget; room = next) {
		next = TAILQ_NEXT(room, all);
		if (now - room->looked < RELAY_ROOM_IDLE)
			break;
		if (room->grown)
			hold(room);
		/* not met again before it moves */
		TAILQ_REMOVE(&rooms, room, all);
		room->looked = now;
		TAILQ_INSERT_TAIL(&rooms, room, all);
	}
}

void room_look(struct room *room, uint64_t bytes, uint64_t now)
{
	size_t size;

	if (!room->entered || bytes - room->seen < RELAY_ROOM_LOOK)
		return;
	room->seen = bytes;
	room->looked = now;
	TAILQ_REMOVE(&rooms, room, all);
	TAILQ_INSERT_TAIL(&rooms, room, all);
	if (room->held) {
		room->held = grown_all >= room_budget / 2 || set_lock(room->source, LOCK_RECEIVE, false) ||
			     set_lock(room->sink, LOCK_SEND, false);
		return;
	}
	size = buffer_of(room->source, SO_RCVBUF) + buffer_of(room->sink, SO_SNDBUF);
	set_grown(room, size > RELAY_ROOM_FREE ? size - RELAY_ROOM_FREE : 0);
	if (size > RELAY_ROOM_MOST)
		fill(room);
	if (grown_all > room_budget)
		reclaim(now);
	if (grown_all > room_budget && room->grown)
		hold(room);
}

void room_leave(struct room *room)
{
	if (!room->entered)
		return;
	set_grown(room, 0);
	TAILQ_REMOVE(&rooms, room, all);
	room->entered = false;
}
