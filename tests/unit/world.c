/* SPDX-License-Identifier: MIT */
/*
 * world.c - a network of their own, real programs and an event loop
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/world.h"

#define TICK	(5 * MS)	/* between two looks at a condition */

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return n < 0 ? -1 : 0;
}

static int loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = ioctl(fd, SIOCSIFFLAGS, &ifr);

	close(fd);
	return rc;
}

int world_isolate(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char map[64];

	if (unshare(CLONE_NEWNET | CLONE_NEWNS | (uid ? CLONE_NEWUSER : 0)))
		return -1;
	if (uid) {
		write_text("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		if (write_text("/proc/self/uid_map", map))
			return -1;
		snprintf(map, sizeof(map), "0 %u 1", gid);
		if (write_text("/proc/self/gid_map", map))
			return -1;
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -1;
	return loopback_up();
}

int world_etc(const char *etc)
{
	return mount(etc, "/etc", NULL, MS_BIND, NULL);
}

/* The tests live in build/tests/unit */
void world_program(char path[4096], const char *name)
{
	ssize_t size = readlink("/proc/self/exe", path, 4000);
	unsigned int up;

	path[size < 0 ? 0 : size] = '\0';
	for (up = 0; up < 3 && strrchr(path, '/'); up++)
		*strrchr(path, '/') = '\0';
	snprintf(path + strlen(path), 4096 - strlen(path), "/%s", name);
}

pid_t world_start(const char *log, const char *program, ...)
{
	pid_t parent = getpid(), pid = fork();
	char path[4096], *argv[32];
	unsigned int n = 1;
	const char *word;
	va_list ap;
	int fd;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(126);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close_range(3, ~0u, 0);
	if (strchr(program, '/'))
		snprintf(path, sizeof(path), "%s", program);
	else
		world_program(path, program);
	argv[0] = path;
	va_start(ap, program);
	while ((word = va_arg(ap, const char *)) && n < 31)
		argv[n++] = strdup(word);
	va_end(ap);
	argv[n] = NULL;
	execv(path, argv);
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	_exit(127);
}

int world_wait(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int world_stop(pid_t pid)
{
	kill(pid, SIGCONT);
	kill(pid, SIGTERM);
	return world_wait(pid);
}

bool world_listens(uint16_t port)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool listens = !connect(fd, (struct sockaddr *)&sin, sizeof(sin));

	close(fd);
	return listens;
}

bool world_file_has(const char *path, const char *text)
{
	static char content[1 << 20];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n, size = 0;

	while (fd >= 0 && (n = read(fd, content + size, sizeof(content) - 1 - (size_t)size)) > 0)
		size += n;
	content[size] = '\0';
	if (fd >= 0)
		close(fd);
	return strstr(content, text) != NULL;
}

static void turn(struct event_base *base)
{
	struct timeval tick = { .tv_usec = TICK };

	if (!base) {
		poll(NULL, 0, TICK / MS);
		return;
	}
	event_base_loopexit(base, &tick);
	event_base_dispatch(base);
}

bool world_until(struct event_base *base, bool (*condition)(void *arg), void *arg)
{
	uint64_t limit = clock_now() + WORLD_WAIT_S * SECOND;

	while (!condition(arg)) {
		if (clock_now() > limit)
			return false;
		turn(base);
	}
	return true;
}

void world_turn(struct event_base *base, unsigned int ms)
{
	uint64_t limit = clock_now() + ms * MS;

	while (clock_now() < limit)
		turn(base);
}
