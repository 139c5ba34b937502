/* SPDX-License-Identifier: MIT */
/*
 * allow.c - the list of keys that this rendezvous serves
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/key.h"
#include "common/printable.h"
#include "rendezvous/allow.h"
#include "rendezvous/limits.h"

#define LINE 1024	/* bytes; a key has 44, the rest is a remark */

struct allow {
	bool any;
	size_t count, room;
	uint8_t (*keys)[KEY_SIZE];	/* sorted */
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, KEY_SIZE);
}

/* Return: 1 a key, 0 nothing on this line, -EINVAL */
static int parse_line(char *line, uint8_t key[KEY_SIZE])
{
	char *word;

	line[strcspn(line, "#\r\n")] = '\0';
	word = line + strspn(line, " \t");
	if (!*word)
		return 0;
	word[strcspn(word, " \t")] = '\0';
	return key_parse(key, word) ? -EINVAL : 1;
}

static int add(struct allow *allow, const uint8_t key[KEY_SIZE])
{
	size_t room = allow->room ? allow->room * 2 : 64;
	void *keys;

	if (allow->count == RDV_ALLOWED)
		return -E2BIG;
	if (allow->count == allow->room) {
		keys = realloc(allow->keys, room * KEY_SIZE);
		if (!keys)
			return -ENOMEM;
		allow->keys = keys;
		allow->room = room;
	}
	memcpy(allow->keys[allow->count++], key, KEY_SIZE);
	return 0;
}

static int read_file(struct allow *allow, const char *path, char *why, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);	/* a FIFO must not hold us */
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	struct stat st;
	char line[LINE];
	uint8_t key[KEY_SIZE];
	int err = 0, got;

	if (!file) {
		err = -errno;
		snprintf(why, size, "allow = %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return err;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		snprintf(why, size, "allow = %s: not a regular file", path);
		fclose(file);
		return -EINVAL;
	}
	for (unsigned int number = 1; !err && fgets(line, sizeof(line), file); number++) {
		got = strlen(line) == sizeof(line) - 1 && line[sizeof(line) - 2] != '\n' ? -EINVAL :
		      parse_line(line, key);
		err = got > 0 ? add(allow, key) : got;
		if (err == -EINVAL)
			snprintf(why, size, "%s:%u: %.*s%s: want one public key a line, 44 characters "
				 "as printed by punchctl pubkey", path, number, (int)printable_harmless(line), line,
				 printable_rest(line));
		else if (err)
			snprintf(why, size, "%s:%u: %s", path, number,
				 err == -E2BIG ? "too many keys" : strerror(-err));
	}
	if (!err && ferror(file)) {
		err = -EIO;
		snprintf(why, size, "%s: cannot be read", path);
	}
	fclose(file);
	return err;
}

int allow_load(struct allow **out, const char *path, char *why, size_t size)
{
	struct allow *allow = calloc(1, sizeof(*allow));
	int err = 0;

	if (!allow) {
		snprintf(why, size, "out of memory");
		return -ENOMEM;
	}
	allow->any = !strcmp(path, "any");
	if (!allow->any)
		err = read_file(allow, path, why, size);
	if (err) {
		allow_free(allow);
		return err;
	}
	if (allow->count)
		qsort(allow->keys, allow->count, KEY_SIZE, compare);
	*out = allow;
	return 0;
}

void allow_free(struct allow *allow)
{
	if (allow)
		free(allow->keys);
	free(allow);
}

bool allow_has(const struct allow *allow, const uint8_t key[KEY_SIZE])
{
	return allow->any ||
	       (allow->count && bsearch(key, allow->keys, allow->count, KEY_SIZE, compare));
}
