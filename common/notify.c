/* SPDX-License-Identifier: MIT */
/*
 * notify.c - one datagram, as sd_notify(3) describes it under "Notes": not worth a library
 */
#include "common/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int notify_ready(void)
{
	static const char ready[] = "READY=1";
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path = secure_getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;
	int fd, err = 0;

	if (!length)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || length >= sizeof(to.sun_path)) {
		err = -EAFNOSUPPORT;	/* vsock: for virtual machines */
		goto out;
	}
	memcpy(to.sun_path, path, length);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		err = -errno;
		goto out;
	}
	if (sendto(fd, ready, sizeof(ready) - 1, MSG_NOSIGNAL, (struct sockaddr *)&to,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		err = -errno;
	close(fd);
out:
	unsetenv("NOTIFY_SOCKET");
	return err;
}
