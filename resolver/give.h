/* SPDX-License-Identifier: MIT */
/*
 * give.h - write what a socket takes, for those who copy between two of them (splice.c, pump_flow.c)
 */
#ifndef PUNCH_GIVE_H
#define PUNCH_GIVE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
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

#endif
