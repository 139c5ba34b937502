/* SPDX-License-Identifier: MIT */
/*
 * known.c - the file of servers whose keys were trusted on first use
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/key.h"
#include "resolver/known.h"

#define LINE_MAX_BYTES	(LIMIT_HOST + 8 + KEY_TEXT_SIZE + 2)

/* Whole file. Return: bytes (@text is malloc()ed, NUL-terminated) or -errno */
static ssize_t file_read(const char *path, char **text)
{
	ssize_t n = 0, size = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);	/* a FIFO must not hold us */
	struct stat st;

	*text = NULL;
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		size = -EINVAL;		/* what has no lines is not a file without ours */
	else if (!(*text = malloc(KNOWN_BYTES + 1)))
		size = -ENOMEM;
	while (size >= 0 && size < KNOWN_BYTES) {
		n = read(fd, *text + size, (size_t)(KNOWN_BYTES - size));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		size += n;
	}
	if (n < 0)
		size = -errno;
	else if (size == KNOWN_BYTES)
		size = -EFBIG;
	close(fd);
	if (size < 0) {
		free(*text);
		*text = NULL;
		return size;
	}
	(*text)[size] = '\0';
	return size;
}

/* Is this line about that server?  Return: 1 no, 0 yes, -EBADMSG yes but its key is malformed */
static int line_match(const char *line, const char *host, uint16_t port, uint8_t key[KEY_SIZE])
{
	char name[LIMIT_HOST], number[8], text[64];
	int fields;

	if (*line == '#')
		return 1;
	fields = sscanf(line, "%255s %7s %63s", name, number, text);
	if (fields < 2 || strcasecmp(name, host) || strtoul(number, NULL, 10) != port)
		return 1;
	return fields == 3 && !key_parse(key, text) ? 0 : -EBADMSG;
}

/* Changes @text: ends its lines by NUL */
static int text_find(char *text, const char *host, uint16_t port, uint8_t key[KEY_SIZE],
		     unsigned int *line)
{
	char *at;
	int match;

	*line = 0;
	while ((at = strsep(&text, "\n"))) {
		++*line;
		match = line_match(at, host, port, key);
		if (match <= 0)
			return match;
	}
	return -ENOENT;
}

int known_find(const char *path, const char *host, uint16_t port, uint8_t key[KEY_SIZE],
	       unsigned int *line)
{
	char *text;
	ssize_t size = file_read(path, &text);
	int found;

	*line = 0;
	if (size < 0)
		return (int)size;
	found = text_find(text, host, port, key, line);
	free(text);
	return found;
}

/* mkdir -p of @path's folder, mode 0700. Return: descriptor of the folder or -errno */
static int folder_open(const char *path)
{
	char folder[LIMIT_PATH];
	char *slash;
	int fd;

	if (snprintf(folder, sizeof(folder), "%s", path) >= (int)sizeof(folder))
		return -ENAMETOOLONG;
	slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return -EINVAL;
	*slash = '\0';
	for (slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(folder, 0700);	/* what is wrong shows in open() below */
		*slash = '/';
	}
	mkdir(folder, 0700);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size) {
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

/* Old content and one more line into a new file, which takes the old one's place */
static int file_replace(const char *path, const char *old, size_t size, const char *line)
{
	char fresh[LIMIT_PATH + 8];
	int fd, error;

	snprintf(fresh, sizeof(fresh), "%s.XXXXXX", path);
	fd = mkostemp(fresh, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = write_all(fd, old, size);
	if (!error && size && old[size - 1] != '\n')
		error = write_all(fd, "\n", 1);
	if (!error)
		error = write_all(fd, line, strlen(line));
	if (!error && fsync(fd))
		error = -errno;
	close(fd);
	if (!error && rename(fresh, path))
		error = -errno;
	if (error)
		unlink(fresh);
	return error;
}

int known_add(const char *path, const char *host, uint16_t port, const uint8_t key[KEY_SIZE])
{
	char line[LINE_MAX_BYTES], text_of_key[KEY_TEXT_SIZE];
	char *text = NULL, *copy = NULL;
	uint8_t there[KEY_SIZE];
	unsigned int number;
	ssize_t size;
	int folder = folder_open(path), error;

	if (folder < 0)
		return folder;
	while (flock(folder, LOCK_EX) && errno == EINTR)
		;
	size = file_read(path, &text);
	error = size < 0 && size != -ENOENT ? (int)size : 0;
	if (error)
		goto out;
	if (text) {
		copy = strdup(text);
		error = copy ? text_find(copy, host, port, there, &number) : -ENOMEM;
		if (!error)
			error = memcmp(there, key, KEY_SIZE) ? -EEXIST : 0;
		if (error != -ENOENT)
			goto out;
	}
	snprintf(line, sizeof(line), "%s %u %s\n", host, port, key_text(key, text_of_key));
	error = file_replace(path, text ? text : "", text ? (size_t)size : 0, line);
out:
	free(copy);
	free(text);
	close(folder);		/* and the lock with it */
	return error;
}
