/* SPDX-License-Identifier: MIT */
/*
 * punch_any_swap.c - put another socket behind a descriptor of another process
 *
 * Theory of operation
 *
 * As swap.c, from outside.  SECCOMP_IOCTL_NOTIF_ADDFD puts the new socket under the old number,
 * atomically for all of the program's threads.  Registrations with epoll belong to the pair (file,
 * number), and the number is that in the table of whoever asks.  So a helper with a table of its own (a clone()
 * without CLONE_FILES) gets copies of the program's epoll sets, puts the old socket under the very number
 * that it has in the program, and takes the registration back; then the new socket, and registers it.
 *
 *	EPOLL_CTL_DEL, ADDFD, EPOLL_CTL_ADD, O_ASYNC
 *
 * in this order: an event of the new socket must not be seen by a thread that then reads from the old one.  O_ASYNC is
 * here for the same reason as epoll: its signals tell the number under which it was set (si_fd).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "shim/carry.h"
#include "shim/fdinfo.h"
#include "shim/punch_any_call.h"
#include "shim/punch_any_swap.h"
#include "shim/raw.h"
#include "shim/swap.h"

#define PLACES		16	/* most duplicates of one descriptor that follow */
#define STACK_SIZE	65536	/* bytes; the helper's frames need about a hundredth */
#define KEPT		64	/* most sockets that wait for a program to ask again */
#define LINK_EPOLL	"anon_inode:[eventpoll]"

/**
 * struct swap
 * @task:		whose descriptors
 * @old, @fresh:	the two sockets
 * @link:		what /proc shows of the old one
 * @places:		the program's numbers for it; @flags: O_CLOEXEC or 0 of each
 * @epolls:		our copy of the set of each registration
 * @async:		the program wants signals (O_ASYNC)
 * @rc:			of the first place
 */
struct swap {
	const struct task *task;
	int old, fresh;
	uint64_t inode;
	char link[40];
	int places[PLACES];
	int flags[PLACES];
	unsigned int place_count;
	struct registrations registrations;
	int epolls[REGISTRATIONS];
	bool async;
	int rc;
};

/*
 * The peer's socket of a call that a signal ended in the very moment: it cannot be claimed twice.  A program that
 * never asks again leaves it here until newer ones take its place.
 */
static struct kept {
	uint64_t cookie;	/* of the socket in the program; 0: free */
	int fd;
} shelf[KEPT];

static int keep(int old, int fresh)
{
	static unsigned int next;
	struct kept *place = &shelf[next++ % KEPT];

	if (place->cookie)
		raw_close(place->fd);
	place->cookie = raw_cookie(old);
	place->fd = fresh;
	return -EINTR;
}

int swap_kept(int fd)
{
	uint64_t cookie = raw_cookie(fd);
	unsigned int i;

	for (i = 0; i < KEPT; i++) {
		if (shelf[i].cookie && shelf[i].cookie == cookie) {
			shelf[i].cookie = 0;
			return shelf[i].fd;
		}
	}
	return -1;
}

/* O_CLOEXEC, or 0 when it is not known */
static int flags_of(pid_t tid, int number)
{
	char file[32];

	snprintf(file, sizeof(file), "fdinfo/%d", number);
	return (int)(task_field(tid, file, "flags:", 8) & O_CLOEXEC);
}

static void add_place(struct swap *swap, int number)
{
	if (swap->place_count == PLACES)
		return;
	swap->flags[swap->place_count] = flags_of(swap->task->tid, number);
	swap->places[swap->place_count++] = number;
}

static void look_at(struct swap *swap, int directory, const char *name)
{
	char link[40] = { 0 }, path[64];
	uint64_t number;

	if (fdinfo_number(name, 10, &number) == name || readlinkat(directory, name, link, sizeof(link) - 1) < 0)
		return;
	if (strcmp(link, swap->link) == 0 && (int)number != swap->places[0]) {
		add_place(swap, (int)number);
	} else if (strcmp(link, LINK_EPOLL) == 0) {
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%u", (int)swap->task->tid, (unsigned int)number);
		fdinfo_registrations(&swap->registrations, path, (int)number, swap->inode);
	}
}

/* Find duplicates and registrations */
static void scan(struct swap *swap)
{
	const struct dirent *entry;
	char path[32];
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)swap->task->tid);
	directory = opendir(path);
	if (!directory)
		return;
	while ((entry = readdir(directory)))
		look_at(swap, dirfd(directory), entry->d_name);
	closedir(directory);
}

static bool is_place(const struct swap *swap, int number)
{
	unsigned int i;

	for (i = 0; i < swap->place_count; i++) {
		if (swap->places[i] == number)
			return true;
	}
	return false;
}

/* Keep only registrations of the program's present numbers, with a copy of each set */
static void take_epolls(struct swap *swap, struct task *task)
{
	struct registrations *all = &swap->registrations;
	unsigned int i, kept = 0;

	for (i = 0; i < all->count; i++) {
		int epoll = is_place(swap, all->list[i].fd) ? task_descriptor(task, all->list[i].epoll) : -1;

		if (epoll < 0)
			continue;
		all->list[kept] = all->list[i];
		swap->epolls[kept++] = epoll;
	}
	all->count = kept;
}

static void put_all(struct swap *swap, int notify, int fresh)
{
	unsigned int i;

	for (i = 0; i < swap->place_count; i++) {
		int rc = task_put(swap->task, notify, fresh, swap->places[i], swap->flags[i]);

		if (i == 0)
			swap->rc = rc < 0 ? rc : 0;
		if (swap->rc < 0)
			return;
	}
}

/* In the helper. @lifted: our copies of the sets, above all numbers of the program */
static void control(const struct swap *swap, const int *lifted, int socket, int operation)
{
	unsigned int i;

	for (i = 0; i < swap->registrations.count; i++) {
		const struct registration *registration = &swap->registrations.list[i];
		struct epoll_event event = registration->event;

		if (raw_dup3(socket, registration->fd, O_CLOEXEC) >= 0)
			epoll_ctl(lifted[i], operation, registration->fd, &event);
	}
}

/* In the helper, at last: what has that number here is closed by it */
static void begin_async(const struct swap *swap, int fresh)
{
	int there = raw_dup3(fresh, swap->places[0], O_CLOEXEC);

	/* It is that number already, or one above our limit: a signal that tells another is better than none */
	carry_async(there < 0 ? fresh : there);
}

static int help(void *argument)
{
	struct swap *swap = argument;
	int lifted[REGISTRATIONS] = { 0 }, above = 0, old, fresh, notify;
	unsigned int i;

	for (i = 0; i < swap->registrations.count; i++) {
		if (swap->registrations.list[i].fd >= above)
			above = swap->registrations.list[i].fd + 1;
	}
	old = raw_fcntl(swap->old, F_DUPFD_CLOEXEC, above);
	fresh = raw_fcntl(swap->fresh, F_DUPFD_CLOEXEC, above);
	notify = raw_fcntl(swap->task->notify, F_DUPFD_CLOEXEC, above);
	for (i = 0; i < swap->registrations.count; i++)
		lifted[i] = raw_fcntl(swap->epolls[i], F_DUPFD_CLOEXEC, above);
	if (old < 0 || fresh < 0 || notify < 0) {
		swap->rc = -EMFILE;
	} else {
		control(swap, lifted, old, EPOLL_CTL_DEL);
		put_all(swap, notify, fresh);
		control(swap, lifted, swap->rc < 0 ? old : fresh, EPOLL_CTL_ADD);
		if (swap->rc >= 0 && swap->async)
			begin_async(swap, fresh);
	}
	syscall(SYS_exit_group, 0);
	return 0;
}

/* The helper shares our memory and stops us until it is done; exit signal 0: nobody else's child */
static void with_helper(struct swap *swap)
{
	static char stack[STACK_SIZE] __attribute__((aligned(16)));
	int pid = clone(help, stack + sizeof(stack), CLONE_VM | CLONE_VFORK, swap);

	if (pid < 0) {
		swap->rc = -errno;
		return;
	}
	syscall(SYS_wait4, pid, NULL, __WCLONE, NULL);
}

bool swap_possible(bool registered)
{
	(void)registered;
	return true;	/* our own /proc tells */
}

int swap_socket(int fd, int fresh)
{
	struct call *call = call_current();
	struct swap swap = { .task = &call->task, .old = fd, .fresh = fresh };
	struct stat st;
	unsigned int i;

	if (fstat(fd, &st) < 0) {
		swap.rc = -errno;
		goto out;
	}
	swap.inode = st.st_ino;
	snprintf(swap.link, sizeof(swap.link), "socket:[%llu]", (unsigned long long)st.st_ino);
	add_place(&swap, (int)call->task.args[0]);
	scan(&swap);
	take_epolls(&swap, &call->task);
	swap.async = carry_over(fd, fresh);
	if (swap.registrations.count || swap.async)
		with_helper(&swap);
	else
		put_all(&swap, call->task.notify, fresh);
	for (i = 0; i < swap.registrations.count; i++)
		raw_close(swap.epolls[i]);
	if (swap.rc == -ENOENT || swap.rc == -ESRCH)
		return keep(fd, fresh);
	/* from here on our copy is the new one, too */
	if (swap.rc == 0)
		swap.rc = raw_replace(fd, fresh);
out:
	raw_close(fresh);
	return swap.rc < 0 ? swap.rc : 0;
}
