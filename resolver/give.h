/* SPDX-License-Identifier: MIT */
/*
 * give.h - write what a socket takes, for those who copy between two of them (splice.c, pump_flow.c)
 */
#ifndef PUNCH_GIVE_H
#define PUNCH_GIVE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

/** give() - as much as goes without waiting; no SIGPIPE. Return: bytes taken, or -errno of a broken socket */
static inline ssize_t give(int fd, const uint8_t *data, size_t size)
{
	size_t done = 0;
	ssize_t n;

	while (done < size) {
		n = send(fd, data + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/**
 * struct rest - bytes that a socket has not taken yet
 * @data:	malloc()ed; NULL: none
 */
struct rest {
	uint8_t *data;
	size_t offset, size;
};

/** give_rest() - what was left over, as much as goes. Return: 0 or -errno of a broken socket */
static inline int give_rest(int fd, struct rest *rest)
{
	ssize_t n;

	if (!rest->data)
		return 0;
	n = give(fd, rest->data + rest->offset, rest->size - rest->offset);
	if (n < 0)
		return (int)n;
	rest->offset += (size_t)n;
	if (rest->offset == rest->size) {
		free(rest->data);
		rest->data = NULL;
	}
	return 0;
}

/**
 * give_or_keep() - as much as goes, and keep what does not
 * @rest:	is none
 * Return: 0, -ENOMEM, or -errno of a broken socket
 */
static inline int give_or_keep(int fd, const uint8_t *data, size_t size, struct rest *rest)
{
	ssize_t n = give(fd, data, size);

	if (n < 0 || (size_t)n == size)
		return n < 0 ? (int)n : 0;
	*rest = (struct rest){ .data = malloc(size - (size_t)n), .size = size - (size_t)n };
	if (!rest->data)
		return -ENOMEM;
	memcpy(rest->data, data + n, rest->size);
	return 0;
}

#endif
