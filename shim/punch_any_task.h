/* SPDX-License-Identifier: MIT */
/*
 * punch_any_task.h - one system call of the program that waits for our answer
 */
#ifndef PUNCH_ANY_TASK_H
#define PUNCH_ANY_TASK_H

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct task - a thread of the program, stopped in a system call
 * @notify:	listener of its filter
 * @id:		of the notification; not valid any more once a signal has ended the call
 * @tid:	as we see it
 * @pidfd:	names the thread whatever becomes of its number; -1 until task_open()
 */
struct task {
	int notify;
	uint64_t id;
	pid_t tid;
	int pidfd;
	int nr;
	uint64_t args[6];
};

/** task_valid() - does the call still wait? Whatever was read of @tid before a yes was read of the right thread */
bool task_valid(const struct task *task);

/**
 * task_field() - a number out of a file that the kernel keeps of a thread
 * @file:	below /proc/TID
 * @label:	what stands before the number, as "flags:"
 * @base:	of its digits
 * Return: the number, 0 when it is not there
 */
uint64_t task_field(pid_t tid, const char *file, const char *label, unsigned int base);

/** task_open() - get hold of the thread. Return: 0 or -errno, -ESRCH when it is gone */
int task_open(struct task *task);

/** task_close() - let go of it */
void task_close(struct task *task);

/** task_descriptor() - a copy of its descriptor @fd. Return: copy, close-on-exec, the caller owns it; or -errno */
int task_descriptor(struct task *task, int fd);

/** task_has_room() - could it get one more descriptor?  When that cannot be found out: yes */
bool task_has_room(const struct task *task);

/** task_read() - @size bytes of its memory. Return: 0 or -errno */
int task_read(const struct task *task, uint64_t address, void *data, size_t size);

/** task_write() - the same in the other direction */
int task_write(const struct task *task, uint64_t address, const void *data, size_t size);

/** task_answer() - the call returns @result: 0 or more, or -errno. Return: 0, or -ENOENT: a signal has ended it */
int task_answer(const struct task *task, int result);

/** task_continue() - the kernel makes the call as the program has it */
void task_continue(const struct task *task);

/**
 * task_give() - a descriptor as the call's result
 * @flags:	O_CLOEXEC or 0
 * Return: 0 and the call has returned; or -errno: -ENOENT it was interrupted, -EMFILE
 */
int task_give(const struct task *task, int fd, int flags);

/** task_put() - @fd behind the program's number @number; the call goes on waiting. @notify: task->notify or a copy */
int task_put(const struct task *task, int notify, int fd, int number, int flags);

#endif
