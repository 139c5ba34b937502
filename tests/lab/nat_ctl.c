/* SPDX-License-Identifier: MIT */
/* The box's control socket: one line in, one answer out. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "nat_ctl.h"

/* A caller that connects and says nothing must not hold up the packets for long. */
#define CTL_PATIENCE_US 200000

#define CALL_TRIES 1000 /* of 10 ms: 10 s */

static int ctl_address(const char *path, struct sockaddr_un *a)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(a->sun_path))
		return -ENAMETOOLONG;
	memcpy(a->sun_path, path, strlen(path) + 1);
	return 0;
}

int nat_ctl_listen(const char *path)
{
	struct sockaddr_un a;
	int fd, rc;

	rc = ctl_address(path, &a);
	if (rc)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) || listen(fd, 8)) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

/* Read until newline, end or a full buffer; always terminated. */
static void read_line(int fd, char *line, size_t size)
{
	size_t have = 0;
	ssize_t n;

	while (have < size - 1) {
		n = read(fd, line + have, size - 1 - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		have += (size_t)n;
		if (memchr(line, '\n', have))
			break;
	}
	line[have] = '\0';
	line[strcspn(line, "\n")] = '\0';
}

void nat_ctl_serve(int fd, void (*handle)(void *arg, char *line, char *answer, size_t size), void *arg)
{
	struct timeval patience = { .tv_usec = CTL_PATIENCE_US };
	char line[NAT_CTL_LINE], answer[NAT_CTL_LINE] = "error: empty command";
	int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (c < 0)
		return;
	setsockopt(c, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	read_line(c, line, sizeof(line));
	handle(arg, line, answer, sizeof(answer));
	send(c, answer, strlen(answer), MSG_NOSIGNAL); /* a caller that left does not want it */
	close(c);
}

int nat_ctl_call(const char *path, const char *line)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	char answer[NAT_CTL_LINE];
	struct sockaddr_un a;
	int fd, tries, rc;

	rc = ctl_address(path, &a);
	fd = rc ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		fprintf(stderr, "nat: control socket \"%s\": %s\n", path, strerror(rc ? -rc : errno));
		return 1;
	}
	for (tries = 0; connect(fd, (const struct sockaddr *)&a, sizeof(a)); tries++) {
		if ((errno != ENOENT && errno != ECONNREFUSED) || tries == CALL_TRIES) {
			fprintf(stderr, "nat: control socket \"%s\": %s\n", path, strerror(errno));
			close(fd);
			return 1;
		}
		nanosleep(&pause, NULL);
	}
	if (dprintf(fd, "%s\n", line) < 0)
		answer[0] = '\0';
	else
		read_line(fd, answer, sizeof(answer));
	close(fd);
	puts(answer);
	return strncmp(answer, "ok", 2) != 0;
}
