/* SPDX-License-Identifier: MIT */
/*
 * punch_any_task.c - one system call of the program that waits for our answer
 *
 * seccomp_unotify(2), pidfd_getfd(2), process_vm_readv(2).  The last two need what a debugger needs: see
 * punch_any.c on how that is had.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim/fdinfo.h"
#include "shim/punch_any_task.h"
#include "shim/raw.h"

/* Younger than the headers of Debian 12 */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD			O_EXCL		/* Linux 6.9 */
#endif
#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND		(1ul << 1)	/* Linux 5.14 */
#endif

bool task_valid(const struct task *task)
{
	uint64_t id = task->id;

	return ioctl(task->notify, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

uint64_t task_field(pid_t tid, const char *file, const char *label, unsigned int base)
{
	char path[64], text[1024];
	uint64_t number = 0;
	const char *line;
	long n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)tid, file);
	fd = raw_open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = raw_read(fd, text, sizeof(text) - 1);
	raw_close(fd);
	text[n > 0 ? n : 0] = '\0';
	line = strstr(text, label);
	if (line)
		fdinfo_number(line + strlen(label), base, &number);
	return number;
}

/* The process of a thread: a pidfd of Linux before 6.9 is one of a process. Return: 0 when the thread is gone */
static pid_t process_of(pid_t tid)
{
	return (pid_t)task_field(tid, "status", "\nTgid:", 10);
}

int task_open(struct task *task)
{
	static bool without_threads;
	pid_t pid;

	if (task->pidfd >= 0)
		return 0;
	if (!without_threads) {
		task->pidfd = (int)raw_result(syscall(SYS_pidfd_open, task->tid, PIDFD_THREAD));
		without_threads = task->pidfd == -EINVAL;
	}
	if (without_threads) {
		pid = process_of(task->tid);
		task->pidfd = pid ? (int)raw_result(syscall(SYS_pidfd_open, pid, 0)) : -ESRCH;
	}
	if (task->pidfd >= 0 && task_valid(task))
		return 0;
	if (task->pidfd >= 0)
		raw_close(task->pidfd);
	task->pidfd = -1;
	return -ESRCH;
}

void task_close(struct task *task)
{
	if (task->pidfd >= 0)
		raw_close(task->pidfd);
	task->pidfd = -1;
}

int task_descriptor(struct task *task, int fd)
{
	int rc = task_open(task);

	return rc < 0 ? rc : (int)raw_result(syscall(SYS_pidfd_getfd, task->pidfd, fd, 0));
}

/* How many of its numbers below @limit are taken */
static rlim_t count_below(const char *path, rlim_t limit)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	uint64_t number;
	rlim_t count = 0;

	while (directory && (entry = readdir(directory)))
		count += fdinfo_number(entry->d_name, 10, &number) != entry->d_name && number < limit;
	if (directory)
		closedir(directory);
	return count;
}

bool task_has_room(const struct task *task)
{
	struct rlimit limit;
	struct stat st;
	char path[32];

	if (prlimit(task->tid, RLIMIT_NOFILE, NULL, &limit) < 0)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)task->tid);
	/* how many there are, since Linux 6.2; the size of their table has a meaning before, too */
	if (stat(path, &st) == 0 && st.st_size > 0 && (rlim_t)st.st_size < limit.rlim_cur)
		return true;
	if (task_field(task->tid, "status", "\nFDSize:", 10) < limit.rlim_cur)
		return true;
	return count_below(path, limit.rlim_cur) < limit.rlim_cur;
}

/* The kernel's pointers of another process are numbers here */
static struct iovec there(uint64_t address, size_t size)
{
	union {
		uintptr_t number;
		void *pointer;
	} p = { .number = (uintptr_t)address };
	struct iovec iov = { .iov_base = p.pointer, .iov_len = size };

	return iov;
}

int task_read(const struct task *task, uint64_t address, void *data, size_t size)
{
	struct iovec local = { .iov_base = data, .iov_len = size }, remote = there(address, size);
	ssize_t n = process_vm_readv(task->tid, &local, 1, &remote, 1, 0);

	if (n < 0)
		return -errno;
	if ((size_t)n != size)
		return -EFAULT;
	return task_valid(task) ? 0 : -ESRCH;
}

int task_write(const struct task *task, uint64_t address, const void *data, size_t size)
{
	union {
		const void *in;
		void *out;
	} p = { .in = data };		/* one struct iovec serves readers and writers */
	struct iovec local = { .iov_base = p.out, .iov_len = size }, remote = there(address, size);
	ssize_t n;

	if (!task_valid(task))		/* the number may be another thread's by now */
		return -ESRCH;
	n = process_vm_writev(task->tid, &local, 1, &remote, 1, 0);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EFAULT;
}

static int reply(const struct task *task, int result, uint32_t flags)
{
	struct seccomp_notif_resp resp = {
		.id = task->id,
		.val = result > 0 ? result : 0,
		.error = result < 0 ? result : 0,
		.flags = flags,
	};

	return ioctl(task->notify, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0 ? -errno : 0;
}

int task_answer(const struct task *task, int result)
{
	return reply(task, result, 0);
}

void task_continue(const struct task *task)
{
	reply(task, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

int task_put(const struct task *task, int notify, int fd, int number, int flags)
{
	struct seccomp_notif_addfd addfd = {
		.id = task->id,
		.flags = SECCOMP_ADDFD_FLAG_SETFD,
		.srcfd = (uint32_t)fd,
		.newfd = (uint32_t)number,
		.newfd_flags = (uint32_t)flags,
	};

	return (int)raw_result(ioctl(notify, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd));
}

int task_give(const struct task *task, int fd, int flags)
{
	struct seccomp_notif_addfd addfd = {
		.id = task->id,
		.flags = SECCOMP_ADDFD_FLAG_SEND,
		.srcfd = (uint32_t)fd,
		.newfd_flags = (uint32_t)flags,
	};
	int rc = (int)raw_result(ioctl(task->notify, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd));

	if (rc != -EINVAL)
		return rc < 0 ? rc : 0;
	addfd.flags = 0;		/* an older kernel: in two steps */
	rc = (int)raw_result(ioctl(task->notify, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd));
	return rc < 0 ? rc : reply(task, rc, 0);
}
