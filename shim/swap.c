/* SPDX-License-Identifier: MIT */
/*
 * swap.c - put another socket behind a program's descriptor
 *
 * Theory of operation
 *
 * dup3() puts the new socket under the old number, atomically for other
 * threads.  Three things hang on the old one and would be lost:
 *
 *   - options and flags: read from the old socket, set on the new one (carry.c);
 *   - epoll registrations, which belong to the pair (file, number).  The order is
 *     EPOLL_CTL_DEL, dup3, EPOLL_CTL_ADD; that is right even while another
 *     thread sits in epoll_wait().  They are read back from fdinfo of
 *     each epoll descriptor (events with EPOLLET and EPOLLONESHOT, and the program's
 *     data), so that epoll_ctl() need not be hooked;
 *   - duplicates of the descriptor: they have the same inode in /proc.
 *
 * One pass over /proc/thread-self/fd finds both.  (Not /proc/self: that is empty
 * once a program's first thread has ended.)  Where /proc is not mounted only the number itself
 * is swapped.
 */
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "common/log.h"
#include "shim/carry.h"
#include "shim/raw.h"
#include "shim/swap.h"

#define PLACES		16	/* most duplicates of one descriptor that follow */
#define REGISTRATIONS	32	/* most epoll registrations of one socket that follow */
#define FD_DIRECTORY	"/proc/thread-self/fd"
#define FDINFO		"/proc/thread-self/fdinfo/"
#define LINK_EPOLL	"anon_inode:[eventpoll]"

struct registration {
	int epoll;
	int fd;
	struct epoll_event event;
};

/**
 * struct swap
 * @inode:	of the old socket
 * @places:	descriptors that are the old socket
 */
struct swap {
	uint64_t inode;
	int places[PLACES];
	unsigned int place_count;
	struct registration registrations[REGISTRATIONS];
	unsigned int registration_count;
};

/* The kernel's struct linux_dirent64 */
struct entry {
	uint64_t inode;
	int64_t offset;
	unsigned short size;
	unsigned char type;
	char name[];
};

/* Digits of @base at @text, after blanks. Return: what follows them */
static const char *parse_number(const char *text, unsigned int base, uint64_t *number)
{
	*number = 0;
	while (*text == ' ')
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
	return text ? parse_number(text + strlen(label), base, number) : NULL;
}

/* "tfd:        8 events:       19 data:                8  pos:0 ino:61 sdev:5" */
static void take_line(struct swap *swap, int epoll, const char *line)
{
	struct registration *registration = &swap->registrations[swap->registration_count];
	uint64_t fd, events, data, inode;

	line = field(line, "tfd:", 10, &fd);
	line = field(line, "events:", 16, &events);
	line = field(line, "data:", 16, &data);
	line = field(line, "ino:", 16, &inode);
	if (!line || inode != swap->inode)
		return;
	if (swap->registration_count == REGISTRATIONS) {
		log_warn("a socket is in more than %d epoll sets: the others will not see it any more", REGISTRATIONS);
		return;
	}
	registration->epoll = epoll;
	registration->fd = (int)fd;
	registration->event.events = (uint32_t)events;
	registration->event.data.u64 = data;
	swap->registration_count++;
}

/* Give whole lines of @text to take_line(). Return: bytes of the rest, moved to the front */
static size_t take_lines(struct swap *swap, int epoll, char *text, size_t size)
{
	size_t start = 0, i;

	for (i = 0; i < size; i++) {
		if (text[i] != '\n')
			continue;
		text[i] = '\0';
		take_line(swap, epoll, text + start);
		start = i + 1;
	}
	memmove(text, text + start, size - start);
	return size - start;
}

static int read_epoll(struct swap *swap, int epoll, const char *name)
{
	char text[1024], path[sizeof(FDINFO) + 16] = FDINFO;
	size_t size = 0;
	int fd;

	if (strlen(name) > 15)
		return 0;
	strcat(path, name);
	fd = raw_open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fd;
	for (;;) {
		long n = raw_read(fd, text + size, sizeof(text) - size);

		if (n <= 0)
			break;
		size = take_lines(swap, epoll, text, size + (size_t)n);
		if (size == sizeof(text))
			break;		/* no line of fdinfo is so long */
	}
	raw_close(fd);
	return 0;
}

static bool is_epoll(int directory, const char *name)
{
	char link[sizeof(LINK_EPOLL) + 1];
	long n = raw_result(syscall(SYS_readlinkat, directory, name, link, sizeof(link)));

	return n == sizeof(LINK_EPOLL) - 1 && memcmp(link, LINK_EPOLL, (size_t)n) == 0;
}

static int take_descriptor(struct swap *swap, int directory, const char *name)
{
	struct stat st = { 0 };
	uint64_t number;

	if (parse_number(name, 10, &number) == name)
		return 0;		/* "." and ".." */
	if (raw_fstat((int)number, &st) < 0)
		return 0;		/* closed meanwhile */
	/* fstat() costs a tenth of readlink(): only what has no type, as epoll and its like, is looked at so */
	if ((st.st_mode & S_IFMT) == 0)
		return is_epoll(directory, name) ? read_epoll(swap, (int)number, name) : 0;
	if (S_ISSOCK(st.st_mode) && st.st_ino == swap->inode && (int)number != swap->places[0] &&
	    swap->place_count < PLACES)
		swap->places[swap->place_count++] = (int)number;
	return 0;
}

/* Find duplicates and registrations. Return: 0, or -EMFILE, -ENFILE */
static int scan(struct swap *swap)
{
	union {
		struct entry align;
		char bytes[2048];
	} block;
	int directory, rc = 0;
	long n, at;

	directory = raw_open(FD_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return directory == -EMFILE || directory == -ENFILE ? directory : 0;
	while (rc == 0) {
		n = raw_result(syscall(SYS_getdents64, directory, block.bytes, sizeof(block.bytes)));
		if (n <= 0)
			break;
		for (at = 0; rc == 0 && at < n;) {
			unsigned short size;

			memcpy(&size, block.bytes + at + offsetof(struct entry, size), sizeof(size));
			rc = take_descriptor(swap, directory, block.bytes + at + offsetof(struct entry, name));
			at += size;
		}
	}
	raw_close(directory);
	return rc == -EMFILE || rc == -ENFILE ? rc : 0;
}

static bool is_place(const struct swap *swap, int fd)
{
	unsigned int i;

	for (i = 0; i < swap->place_count; i++) {
		if (swap->places[i] == fd)
			return true;
	}
	return false;
}

static void control(const struct swap *swap, int operation)
{
	unsigned int i;

	for (i = 0; i < swap->registration_count; i++) {
		const struct registration *registration = &swap->registrations[i];
		struct epoll_event event = registration->event;
		long rc;

		if (!is_place(swap, registration->fd))
			continue;	/* left behind by a number that was closed: out of anyone's reach */
		rc = raw_result(syscall(SYS_epoll_ctl, registration->epoll, operation, registration->fd, &event));
		if (rc < 0 && operation == EPOLL_CTL_ADD)
			log_warn("cannot register a socket again with epoll: %s", strerror((int)-rc));
	}
}

/* Another thread may have closed the number and got it for something else */
static bool is_still(const struct swap *swap, int fd)
{
	struct stat st = { 0 };

	return raw_fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == swap->inode;
}

static int replace(int fd, int fresh)
{
	int flags = raw_fcntl(fd, F_GETFD, 0);

	if (flags < 0)
		return flags;
	return raw_dup3(fresh, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0);
}

int swap_socket(int fd, int fresh)
{
	struct swap swap;
	struct stat st;
	unsigned int i;
	int rc;

	swap.inode = 0;
	swap.registration_count = 0;
	swap.places[0] = fd;
	swap.place_count = 1;
	rc = raw_fstat(fd, &st);
	if (rc == 0) {
		swap.inode = st.st_ino;
		rc = scan(&swap);
	}
	if (rc < 0)
		goto out;
	carry_over(fd, fresh);
	control(&swap, EPOLL_CTL_DEL);
	for (i = 0; i < swap.place_count; i++) {
		int one = is_still(&swap, swap.places[i]) ? replace(swap.places[i], fresh) : -EBADF;

		rc = i == 0 && one < 0 ? one : rc;
	}
	control(&swap, EPOLL_CTL_ADD);
out:
	raw_close(fresh);
	return rc;
}

int swap_accepted(int fd, int fresh)
{
	int rc;

	carry_over(fd, fresh);
	rc = replace(fd, fresh);
	raw_close(fresh);
	return rc < 0 ? rc : 0;
}
