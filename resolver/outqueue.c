/* SPDX-License-Identifier: MIT */
/*
 * outqueue.c - has the far end of a socket everything that was written to it?
 */
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "resolver/outqueue.h"

int outqueue_error(int fd)
{
	socklen_t size = sizeof(int);
	int error = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? -errno : -error;
}

void outqueue_discard(int fd)
{
	static char nothing[16384];
	unsigned int i;

	for (i = 0; i < 64 && recv(fd, nothing, sizeof(nothing), MSG_DONTWAIT) > 0; i++)
		;
}

int outqueue_look(struct outqueue *queue, int fd, bool tick)
{
	int rc = outqueue_error(fd), queued = 0;

	if (rc < 0)
		return rc;
	if (ioctl(fd, SIOCOUTQ, &queued) < 0)
		return -errno;
	if (!queued)
		return 1;
	if (queued != queue->queued)
		queue->still = 0;
	queue->queued = queued;
	queue->still += tick;
	return queue->still < OUTQUEUE_PATIENCE ? 0 : -ETIMEDOUT;
}
