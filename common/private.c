/* SPDX-License-Identifier: MIT */
/*
 * private.c - files with secrets in them: private keys, the relay secret
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/private.h"

ssize_t private_read(const char *path, char *text, size_t room, char *why, size_t size)
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
		snprintf(why, size, "%s: belongs to user %u, who knows what is in it; wanted is one's own file or root's", path,
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
		snprintf(why, size, "%s: larger than %zu bytes, which is too much for what it should hold", path, room - 1);
	}
out:
	if (fd >= 0)
		close(fd);
	return rc < 0 ? rc : (ssize_t)used;
}

/* Name and contents survive a power failure from here on */
static int sync_folder(const char *path)
{
	char folder[LIMIT_PATH];
	const char *slash = strrchr(path, '/');
	int fd, rc = 0;

	if (slash && (size_t)(slash - path) >= sizeof(folder) - 1)
		return -ENAMETOOLONG;
	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0 && errno != EINVAL)	/* EINVAL: a file system that has no such thing */
		rc = -errno;
	close(fd);
	return rc;
}

static int write_all(int fd, const char *data, size_t size)
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

/* Give a file its name unless something has it. Return: 0, -EEXIST, -errno */
static int name_file(const char *temporary, const char *path)
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

int private_write(const char *path, const char *data, size_t size)
{
	char temporary[LIMIT_PATH];
	int fd, rc = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);

	if (rc < 0 || (size_t)rc >= sizeof(temporary))
		return -ENAMETOOLONG;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = write_all(fd, data, size);
	if (rc == 0 && (fchmod(fd, 0600) < 0 || fsync(fd) < 0))
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;	/* NFS tells of a full disk only here */
	if (rc == 0)
		rc = name_file(temporary, path);
	if (rc < 0)
		unlink(temporary);
	else
		rc = sync_folder(path);
	return rc;
}
