/* SPDX-License-Identifier: MIT */
/*
 * holder.c - see holder.h
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "resolver/holder.h"
#include "resolver/sockdiag.h"

#define HOLDER_PATH	64	/* bytes of /proc/PID/fd/FD */

/* The decimal name of a folder's entry. Return: -1 for any other name */
static int number_of(const char *name)
{
	char *end;
	long number = strtol(name, &end, 10);

	return *name >= '0' && *name <= '9' && !*end && number <= INT32_MAX ? (int)number : -1;
}

static int shut_copy(pid_t pid, int number, uint64_t cookie)
{
	int pidfd = pidfd_open(pid, 0), fd, rc = -EPERM;
	uint64_t found = 0;

	if (pidfd < 0)
		return -errno;
	fd = pidfd_getfd(pidfd, number, 0);
	if (fd < 0)
		rc = -errno;
	else if (sockdiag_cookie(fd, &found) == 0 && found == cookie)
		rc = shutdown(fd, SHUT_RDWR) < 0 && errno != ENOTCONN ? -errno : 0;
	if (fd >= 0)
		close(fd);
	close(pidfd);
	return rc;
}

/* Does the process have it? Return: 0 and it is shut, -ENOENT, or -errno: it has it, but we may not */
static int search(pid_t pid, const char *wanted, uint64_t cookie)
{
	char path[HOLDER_PATH], link[HOLDER_PATH];
	struct dirent *entry;
	int number, rc = -ENOENT;
	ssize_t size;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && rc && (entry = readdir(dir))) {
		number = number_of(entry->d_name);
		if (number < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, number);
		size = readlink(path, link, sizeof(link) - 1);
		if (size < 0)
			continue;
		link[size] = '\0';
		if (strcmp(link, wanted) == 0)
			rc = shut_copy(pid, number, cookie);
	}
	if (dir)
		closedir(dir);
	return rc;
}

int holder_shutdown(uint32_t inode, uint64_t cookie)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char wanted[HOLDER_PATH];
	int pid, found, rc = -EPERM;

	if (!proc)
		return -errno;
	snprintf(wanted, sizeof(wanted), "socket:[%u]", inode);
	while (rc && (entry = readdir(proc))) {
		pid = number_of(entry->d_name);
		found = pid > 0 ? search(pid, wanted, cookie) : -ENOENT;
		if (found != -ENOENT)
			rc = found;
	}
	closedir(proc);
	return rc;
}
