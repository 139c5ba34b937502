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

/**
 * struct room - of one flow; all zero before room_enter()
 * @source, @sink: its descriptors
 * @grown:	bytes of their buffers above RELAY_ROOM_FREE, as last seen
 * @seen:	bytes that the flow had passed on then
 * @looked:	when that was
 * @held:	it may not grow
 * @entered:	it is in the list of all
 */
struct room {
	int source, sink;
	size_t grown;
	uint64_t seen;
	uint64_t looked;
	bool held, entered;
	TAILQ_ENTRY(room) all;
};

/** room_open() - @budget: bytes that buffers may have grown by, all together; SIZE_MAX: not our business */
void room_open(size_t budget);

/** room_enter() - a flow begins. @source, @sink: descriptors, which outlive the room */
void room_enter(struct room *room, int source, int sink, uint64_t now);

/** room_look() - the flow has passed @bytes on since it began; costs nothing but once a RELAY_ROOM_LOOK */
void room_look(struct room *room, uint64_t bytes, uint64_t now);

/** room_leave() - the flow has ended; may be called twice */
void room_leave(struct room *room);

/** room_grown() - bytes in use of the budget */
size_t room_grown(void);

#endif
