/* SPDX-License-Identifier: MIT */
/*
 * file.c - small files of ours: keys, secrets, and what a resolver remembers
 *
 * Written beside, under a name that nobody else takes, synced, and only then named: who reads, or comes back after
 * a crash, finds the old file or the new one, never a part.  What is begun and never named is removed, unless
 * the process is killed in between: then a file NAME.XXXXXX stays, which nothing reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/file.h"

ssize_t file_read_private(const char *path, char *text, size_t room, char *why, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc = 0;
	size_t used = 0;
	struct stat st;
	ssize_t n = 0;

	if (fd < 0 || fstat(fd, &st) < 0) {
		rc = -errno;
		snprintf(why, size, "%s: %s", path, strerror(-rc));
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		rc = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
		snprintf(why, size, "%s: not a regular file", path);
		goto out;
	}
	if (st.st_mode & (S_IRWXG | S_IRWXO)) {
		rc = -EPERM;
		snprintf(why, size, "%s: others may access this private file (mode %04o); run: chmod 600 %s", path,
			 (unsigned int)(st.st_mode & 07777), path);
		goto out;
	}
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		rc = -EPERM;
		snprintf(why, size,
			 "%s: belongs to user %u, who knows what is in it; wanted is one's own file or root's", path,
			 (unsigned int)st.st_uid);
		goto out;
	}
	while (used < room) {
		n = read(fd, text + used, room - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	if (n < 0) {
		rc = -errno;
		snprintf(why, size, "%s: %s", path, strerror(errno));
	} else if (used == room) {
		rc = -EFBIG;
		snprintf(why, size, "%s: larger than %zu bytes, which is too much for what it should hold", path,
			 room - 1);
	}
out:
	if (fd >= 0)
		close(fd);
	return rc < 0 ? rc : (ssize_t)used;
}

void file_make_folders(const char *path)
{
	char folder[LIMIT_PATH];
	const char *slash;

	for (slash = strchr(path + 1, '/'); slash && slash - path < LIMIT_PATH; slash = strchr(slash + 1, '/')) {
		memcpy(folder, path, (size_t)(slash - path));
		folder[slash - path] = '\0';
		mkdir(folder, 0700);
	}
}

int file_open_folder(const char *path)
{
	char folder[LIMIT_PATH];
	const char *slash = strrchr(path, '/');
	int fd;

	if (slash && (size_t)(slash - path) >= sizeof(folder) - 1)
		return -ENAMETOOLONG;
	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The name survives a power failure from here on */
static int sync_folder(const char *path)
{
	int fd = file_open_folder(path), rc = 0;

	if (fd < 0)
		return fd;
	if (fsync(fd) < 0 && errno != EINVAL)	/* EINVAL: a file system that has no such thing */
		rc = -errno;
	close(fd);
	return rc;
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Contents on disk, mode 0600, in @temporary beside @path. Return: 0, or -errno and there is no such file */
static int write_beside(char temporary[LIMIT_PATH], const char *path, const void *data, size_t size)
{
	int fd, rc = snprintf(temporary, LIMIT_PATH, "%s.XXXXXX", path);

	if (rc < 0 || rc >= LIMIT_PATH)
		return -ENAMETOOLONG;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = write_all(fd, data, size);
	if (rc == 0 && (fchmod(fd, 0600) < 0 || fsync(fd) < 0))
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;	/* NFS tells of a full disk only here */
	if (rc < 0)
		unlink(temporary);
	return rc;
}

/* Give a file its name unless something has it. Return: 0, -EEXIST, -errno */
static int name_new(const char *temporary, const char *path)
{
	if (link(temporary, path) == 0) {
		unlink(temporary);
		return 0;
	}
	/* a file system without hard links, such as FAT */
	if (errno != EPERM && errno != ENOTSUP)
		return -errno;
	return renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) < 0 ? -errno : 0;
}

int file_create(const char *path, const void *data, size_t size)
{
	char temporary[LIMIT_PATH];
	int rc = write_beside(temporary, path, data, size);

	if (rc < 0)
		return rc;
	rc = name_new(temporary, path);
	if (rc < 0)
		unlink(temporary);
	else
		rc = sync_folder(path);
	return rc;
}

int file_replace(const char *path, const void *data, size_t size)
{
	char temporary[LIMIT_PATH];
	int rc = write_beside(temporary, path, data, size);

	if (rc == 0 && rename(temporary, path) < 0) {
		rc = -errno;
		unlink(temporary);
	}
	return rc;
}
