/* SPDX-License-Identifier: MIT */
/*
 * fdinfo.c - where a socket is registered with epoll, as /proc tells
 *
 * /proc/PID/fdinfo/N of an epoll descriptor has a line for each registration, so epoll_ctl()
 * need not be watched.
 */
#include <string.h>

#include "common/log.h"
#include "shim/fdinfo.h"
#include "shim/raw.h"

const char *fdinfo_number(const char *text, unsigned int base, uint64_t *number)
{
	*number = 0;
	while (*text == ' ' || *text == '\t')
		text++;
	for (;; text++) {
		unsigned int digit = *text >= '0' && *text <= '9' ? (unsigned int)(*text - '0') :
				     *text >= 'a' && *text <= 'f' ? (unsigned int)(*text - 'a') + 10 : 99;

		if (digit >= base)
			return text;
		*number = *number * base + digit;
	}
}

/* The number after @label, which is looked for from @text on. Return: what follows, NULL when absent */
static const char *field(const char *text, const char *label, unsigned int base, uint64_t *number)
{
	text = text ? strstr(text, label) : NULL;
	return text ? fdinfo_number(text + strlen(label), base, number) : NULL;
}

/* "tfd:        8 events:       19 data:                8  pos:0 ino:61 sdev:5" */
static void take_line(struct registrations *registrations, int epoll, uint64_t wanted, const char *line)
{
	struct registration *registration = &registrations->list[registrations->count];
	uint64_t fd, events, data, inode;

	line = field(line, "tfd:", 10, &fd);
	line = field(line, "events:", 16, &events);
	line = field(line, "data:", 16, &data);
	line = field(line, "ino:", 16, &inode);
	if (!line || inode != wanted)
		return;
	if (registrations->count == REGISTRATIONS) {
		log_warn("a socket is in more than %d epoll sets: the others will not see it any more", REGISTRATIONS);
		return;
	}
	registration->epoll = epoll;
	registration->fd = (int)fd;
	registration->event.events = (uint32_t)events;
	registration->event.data.u64 = data;
	registrations->count++;
}

/* Give whole lines of @text to take_line(). Return: bytes of the rest, moved to the front */
static size_t take_lines(struct registrations *registrations, int epoll, uint64_t inode, char *text, size_t size)
{
	size_t start = 0, i;

	for (i = 0; i < size; i++) {
		if (text[i] != '\n')
			continue;
		text[i] = '\0';
		take_line(registrations, epoll, inode, text + start);
		start = i + 1;
	}
	memmove(text, text + start, size - start);
	return size - start;
}

int fdinfo_registrations(struct registrations *registrations, const char *path, int epoll, uint64_t inode)
{
	char text[1024];
	size_t size = 0;
	int fd = raw_open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fd;
	for (;;) {
		long n = raw_read(fd, text + size, sizeof(text) - size);

		if (n <= 0)
			break;
		size = take_lines(registrations, epoll, inode, text, size + (size_t)n);
		if (size == sizeof(text))
			break;		/* no line of fdinfo is so long */
	}
	raw_close(fd);
	return 0;
}
