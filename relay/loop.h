/* SPDX-License-Identifier: MIT */
/*
 * loop.h - the relay's event loop: epoll, edge-triggered
 *
 * Everything that waits embeds a struct watch.  A watch may be ended inside any
 * handler, also another one's: its memory is freed only after the whole batch of events was handled.
 */
#ifndef RELAY_LOOP_H
#define RELAY_LOOP_H

#include <stdint.h>
#include <sys/epoll.h>

/**
 * struct watch - one descriptor in the loop
 * @fd:		-1: ended, no more events
 * @ready:	handler
 */
struct watch {
	int fd;
	void (*ready)(struct watch *watch, uint32_t events, uint64_t now);
};

/** loop_open() - Return: 0 or -errno */
int loop_open(void);
void loop_close(void);

/** loop_add() - start watching. @events: EPOLL* without EPOLLET, which is added. Return: 0 or -errno */
int loop_add(struct watch *watch, uint32_t events);

/**
 * loop_move() - hand a descriptor from one watch to another; both sides' readiness is reported anew
 * Return: 0 or -errno
 */
int loop_move(struct watch *from, struct watch *to, uint32_t events);

/** loop_end() - stop watching and close the descriptor. Safe on an ended watch */
void loop_end(struct watch *watch);

/** struct grave - embedded in what holds a watch, so that it can be freed late */
struct grave {
	struct grave *next;
	void *memory;
};

/** loop_free() - free() @memory, which holds @grave and ended watches, after the current batch */
void loop_free(struct grave *grave, void *memory);

/**
 * loop_wait() - wait for events until @deadline (NEVER: without limit) and handle them
 * Return: 0 or -errno of epoll_wait (EINTR is none)
 */
int loop_wait(uint64_t deadline);

#endif
