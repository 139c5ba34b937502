/* SPDX-License-Identifier: MIT */
/*
 * carrier.h - what holds the bytes between two sockets: a pipe, or a buffer when there is no pipe
 *
 * Borrowed only while bytes wait, so that idle pairs cost neither descriptors nor pages.
 */
#ifndef RELAY_CARRIER_H
#define RELAY_CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct carrier;

/** carrier_borrow() - an empty carrier. @copy: not a pipe. Return: carrier_return(), or NULL without memory */
struct carrier *carrier_borrow(bool copy);

/** carrier_return() - give back. @waiting: bytes still in it; then it is thrown away */
void carrier_return(struct carrier *carrier, size_t waiting);

/**
 * carrier_fill() - move bytes from a socket into an empty carrier
 * Return: bytes, 0 at end of file, -EAGAIN, or -errno of the socket
 */
ssize_t carrier_fill(struct carrier *carrier, int from);

/** carrier_drain() - move at most @waiting bytes to a socket. Return: bytes, -EAGAIN, or -errno of the socket */
ssize_t carrier_drain(struct carrier *carrier, int to, size_t waiting);

/** carrier_limit() - at most so many pipes; further carriers are buffers */
void carrier_limit(unsigned int pipes);

/** carrier_count() - pipes, and buffers, that exist now */
void carrier_count(unsigned int *pipes, unsigned int *buffers);

/** carrier_close() - free those that are kept ready */
void carrier_close(void);

#endif
