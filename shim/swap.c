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
 * is swapped; and where there is any set of epoll beside, nothing should be (swap_possible()).
 */
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "common/log.h"
#include "shim/carry.h"
#include "shim/drain.h"
#include "shim/fdinfo.h"
#include "shim/raw.h"
#include "shim/swap.h"

#define NUMBERS		4096	/* most descriptors looked at one by one: a set is made early, and has a low number */
#define PLACES		16	/* most duplicates of one descriptor that follow */
#define FD_DIRECTORY	"/proc/thread-self/fd"
#define FDINFO		"/proc/thread-self/fdinfo/"
#define LINK_EPOLL	"anon_inode:[eventpoll]"

/**
 * struct swap
 * @inode:	of the old socket
 * @places:	descriptors that are the old socket
 */
struct swap {
	uint64_t inode;
	int places[PLACES];
	unsigned int place_count;
	struct registrations registrations;
};

/* The kernel's struct linux_dirent64 */
struct entry {
	uint64_t inode;
	int64_t offset;
	unsigned short size;
	unsigned char type;
	char name[];
};

static int read_epoll(struct swap *swap, int epoll, const char *name)
{
	char path[sizeof(FDINFO) + 16] = FDINFO;

	if (strlen(name) > 15)
		return 0;
	strcat(path, name);
	return fdinfo_registrations(&swap->registrations, path, epoll, swap->inode);
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

	if (fdinfo_number(name, 10, &number) == name)
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

	for (i = 0; i < swap->registrations.count; i++) {
		const struct registration *registration = &swap->registrations.list[i];
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

/*
 * Is there any set in this process?  To take out of it what was never in it is ENOENT; EINVAL of another kind
 * of descriptor.  Which sockets are in it, with which events, only /proc tells
 */
static bool has_epoll(void)
{
	int stranger = raw_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), n;
	struct epoll_event event = { 0 };	/* older kernels look for one */
	bool found = stranger < 0;	/* who cannot look has to fear one */

	/* RLIMIT_NOFILE says nothing: it may have been lowered below what is open */
	for (n = 0; !found && n < NUMBERS; n++)
		found = raw_result(syscall(SYS_epoll_ctl, n, EPOLL_CTL_DEL, stranger, &event)) == -ENOENT;
	if (stranger >= 0)
		raw_close(stranger);
	return found;
}

/* @one is there. For the question and its answer, and for the folder, the file in it and the answer */
static bool has_room(int one)
{
	int two = raw_fcntl(one, F_DUPFD_CLOEXEC, 0), three = raw_fcntl(one, F_DUPFD_CLOEXEC, 0);

	if (two >= 0)
		raw_close(two);
	if (three >= 0)
		raw_close(three);
	return two >= 0 && three >= 0;
}

bool swap_possible(bool registered)
{
	int directory = raw_open(FD_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC), one = directory;
	bool room;

	if (directory < 0 && directory != -EMFILE && directory != -ENFILE)
		one = raw_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (one < 0)
		return false;
	room = has_room(one);
	raw_close(one);
	return room && (directory >= 0 || !registered || !has_epoll());
}

int swap_socket(int fd, int fresh)
{
	struct swap swap;
	struct stat st;
	unsigned int i;
	bool async;
	int rc;

	swap.inode = 0;
	swap.registrations.count = 0;
	swap.places[0] = fd;
	swap.place_count = 1;
	rc = raw_fstat(fd, &st);
	if (rc == 0) {
		swap.inode = st.st_ino;
		rc = scan(&swap);
	}
	if (rc < 0)
		goto out;
	async = carry_over(fd, fresh);
	control(&swap, EPOLL_CTL_DEL);
	for (i = 0; i < swap.place_count; i++) {
		int one = is_still(&swap, swap.places[i]) ? raw_replace(swap.places[i], fresh) : -EBADF;

		rc = i == 0 && one < 0 ? one : rc;
		if (one >= 0)
			drain_note(one);
	}
	if (rc == 0 && async)
		carry_async(fd);
	control(&swap, EPOLL_CTL_ADD);
out:
	raw_close(fresh);
	return rc;
}
