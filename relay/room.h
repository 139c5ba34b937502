/* SPDX-License-Identifier: MIT */
/*
 * room.h - how much of the pairs' bytes the kernel may hold
 */
#ifndef RELAY_ROOM_H
#define RELAY_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* See room.c for when one becomes another */
enum room_state {
	ROOM_OUTSIDE,		/* not entered, or nobody's business (room_open()) */
	ROOM_HELD,		/* both buffers have a fixed size: the least, or a share */
	ROOM_GROWING,		/* the kernel makes them larger as it needs */
	ROOM_FULL,		/* as large as one flow may have, or as there was room for: kept so */
	ROOM_STATE_COUNT
};

/**
 * struct room - of one flow; all zero before room_enter()
 * @source, @sink: its descriptors
 * @grown:	bytes that it is counted with: above RELAY_ROOM_FREE, as last seen, and what it may grow by meanwhile
 * @seen:	bytes that the flow had passed on then
 * @looked:	when that was
 */
struct room {
	int source, sink;
	enum room_state state;
	size_t grown;
	uint64_t seen;
	uint64_t looked;
	TAILQ_ENTRY(room) all;
};

/** room_open() - @budget: bytes that buffers may have grown by, all together; SIZE_MAX: not our business */
void room_open(size_t budget);

/** room_visit() - a connection was accepted: what it sends before it is joined is kept in the least */
void room_visit(int fd);

/** room_enter() - a flow begins. @source, @sink: descriptors, which outlive the room */
void room_enter(struct room *room, int source, int sink, uint64_t now);

/**
 * room_look() - the flow has passed on @bytes since it began; costs nothing but once a RELAY_ROOM_LOOK
 * @stopped:	it takes no more for the moment, so its receive buffer will fill
 */
void room_look(struct room *room, uint64_t bytes, bool stopped, uint64_t now);

/** room_leave() - the flow has ended; may be called twice */
void room_leave(struct room *room);

/** room_grown() - bytes in use of the budget */
size_t room_grown(void);

#endif
