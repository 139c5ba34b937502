/* SPDX-License-Identifier: MIT */
/*
 * drain.c - has the far end of a socket everything that was written to it?
 */
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "resolver/drain.h"

int drain_error(int fd)
{
	socklen_t size = sizeof(int);
	int error = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? -errno : -error;
}

int drain_look(struct drain *drain, int fd, bool tick)
{
	int rc = drain_error(fd), queued = 0;

	if (rc < 0)
		return rc;
	if (ioctl(fd, SIOCOUTQ, &queued) < 0)
		return -errno;
	if (!queued)
		return 1;
	if (queued != drain->queued)
		drain->still = 0;
	drain->queued = queued;
	drain->still += tick;
	return drain->still < DRAIN_PATIENCE ? 0 : -ETIMEDOUT;
}
