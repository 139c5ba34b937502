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

#include "common/file.h"
#include "common/key.h"
#include "resolver/known.h"

#define LINE_MAX_BYTES	(LIMIT_HOST + 8 + KEY_TEXT_SIZE + 2)

/* Whole file. Return: bytes (@text is malloc()ed, NUL-terminated) or -errno */
static ssize_t lines_read(const char *path, char **text)
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
	ssize_t size = lines_read(path, &text);
	int found;

	*line = 0;
	if (size < 0)
		return (int)size;
	found = text_find(text, host, port, key, line);
	free(text);
	return found;
}

/* The folder is made where it is missing. Return: its descriptor, which holds the lock, or -errno */
static int folder_lock(const char *path)
{
	int fd;

	file_make_folders(path);
	fd = file_open_folder(path);
	while (fd >= 0 && flock(fd, LOCK_EX) && errno == EINTR)
		;
	return fd;
}

/* @old, which may hold anything, and a line more. Return: 0 or -errno */
static int line_append(const char *path, const char *old, size_t size, const char *line)
{
	char *text = malloc(size + 1 + strlen(line));
	int error;

	if (!text)
		return -ENOMEM;
	memcpy(text, old, size);
	if (size && old[size - 1] != '\n')
		text[size++] = '\n';
	memcpy(text + size, line, strlen(line));
	error = file_replace(path, text, size + strlen(line));
	free(text);
	return error;
}

int known_add(const char *path, const char *host, uint16_t port, const uint8_t key[KEY_SIZE])
{
	char line[LINE_MAX_BYTES], text_of_key[KEY_TEXT_SIZE];
	char *text = NULL, *copy = NULL;
	uint8_t there[KEY_SIZE];
	unsigned int number;
	ssize_t size;
	int folder = folder_lock(path), error;

	if (folder < 0)
		return folder;
	size = lines_read(path, &text);
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
	error = line_append(path, text ? text : "", text ? (size_t)size : 0, line);
out:
	free(copy);
	free(text);
	close(folder);		/* and the lock with it */
	return error;
}
