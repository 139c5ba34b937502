/* SPDX-License-Identifier: MIT */
/*
 * door.h - the relay's listening sockets
 */
#ifndef RELAY_DOOR_H
#define RELAY_DOOR_H

#include <stddef.h>
#include <stdint.h>

#include "common/endpoint.h"

/**
 * door_open() - listen on one more endpoint
 * @ep:		where; gets the port that was bound
 * @buffer:	bytes for SO_RCVBUF and SO_SNDBUF of accepted sockets, 0: the kernel's own choice
 * @visit:	given each accepted descriptor, which it owns then
 * @why:	one line for people on failure
 * Return: 0 or -errno
 */
int door_open(struct endpoint *ep, int buffer,
	      void (*visit)(int fd, const struct endpoint *from, uint64_t now), char *why,
	      size_t size);

/** doors_run() - accept where a turn was used up or a pause is over. Return: next deadline */
uint64_t doors_run(uint64_t now);

void doors_close(void);

#endif
