/* SPDX-License-Identifier: MIT */
/*
 * scratch.h - what unit tests share: cmocka, and a folder of their own that goes away
 */
#ifndef PUNCH_TESTS_SCRATCH_H
#define PUNCH_TESTS_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRATCH_PATH	512	/* bytes of a path below the folder */

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static char scratch[SCRATCH_PATH / 2];

static inline int scratch_setup(void **state)
{
	const char *base = getenv("TMPDIR");

	(void)state;
	snprintf(scratch, sizeof(scratch), "%s/punch-unit-XXXXXX", base && *base ? base : "/tmp");
	return mkdtemp(scratch) ? 0 : -1;
}

static inline int scratch_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int scratch_teardown(void **state)
{
	(void)state;
	return nftw(scratch, scratch_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* Full path of a file in the folder, in one of four buffers that take turns */
static inline const char *scratch_path(const char *name)
{
	static char paths[4][SCRATCH_PATH];
	static unsigned int turn;
	char *path = paths[turn++ % 4];

	snprintf(path, SCRATCH_PATH, "%s/%s", scratch, name);
	return path;
}

/* Write a file anew. Return: its path */
static inline const char *scratch_write(const char *name, const void *data, size_t size, mode_t mode)
{
	const char *path = scratch_path(name);
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(write(fd, data, size), (ssize_t)size);
	close(fd);
	return path;
}

/* Hexadecimal digits, blanks between them ignored. Return: bytes */
static inline size_t from_hex(uint8_t *out, size_t room, const char *hex)
{
	size_t n = 0;
	unsigned int byte;

	while (*(hex += strspn(hex, " "))) {
		assert_true(n < room);
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		out[n++] = (uint8_t)byte;
		hex += 2;
	}
	return n;
}

/* Whole file, NUL-terminated. Return: bytes */
static inline size_t scratch_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, text, size - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
	return (size_t)n;
}

#endif
