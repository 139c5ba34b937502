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

/* Each descriptor of the process that is the socket. Return: what @look says of the last one, -ENOENT: none */
static int search(pid_t pid, const char *wanted, int (*look)(pid_t pid, int number, uint64_t cookie), uint64_t cookie)
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
			rc = look(pid, number, cookie);
	}
	if (dir)
		closedir(dir);
	return rc;
}

/* All processes, until @look is content. @pid: the last one that has it. Return: as search(), -EPERM: none has it */
static int search_all(uint32_t inode, int (*look)(pid_t pid, int number, uint64_t cookie), uint64_t cookie, pid_t *pid)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char wanted[HOLDER_PATH];
	int number, found, rc = -EPERM;

	if (!proc)
		return -errno;
	snprintf(wanted, sizeof(wanted), "socket:[%u]", inode);
	while (rc && (entry = readdir(proc))) {
		number = number_of(entry->d_name);
		found = number > 0 ? search(number, wanted, look, cookie) : -ENOENT;
		if (found == -ENOENT)
			continue;
		rc = found;
		*pid = number;
	}
	closedir(proc);
	return rc;
}

int holder_shutdown(uint32_t inode, uint64_t cookie)
{
	pid_t pid;

	return search_all(inode, shut_copy, cookie, &pid);
}

static int content(pid_t pid, int number, uint64_t cookie)
{
	(void)pid;
	(void)number;
	(void)cookie;
	return 0;
}

pid_t holder_find(uint32_t inode, char *name, size_t size)
{
	char path[HOLDER_PATH];
	pid_t pid = 0;
	FILE *file;

	if (search_all(inode, content, 0, &pid))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(name, (int)size, file))
		*name = '\0';
	fclose(file);
	name[strcspn(name, "\n")] = '\0';
	return pid;
}
