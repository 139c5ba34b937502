/* SPDX-License-Identifier: MIT */
/*
 * holder.h - a socket that another process has
 */
#ifndef PUNCH_HOLDER_H
#define PUNCH_HOLDER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * holder_shutdown() - shutdown(SHUT_RDWR) of a socket, by way of a process that has it
 *
 * Looks through /proc/PID/fd, takes a copy of the descriptor (pidfd_getfd(2)), and lets go of it again.
 * The program reads an end of file, the far end gets a FIN, and a RST when it goes on sending.
 *
 * @inode:	of the socket, as sockdiag_find() gives it
 * @cookie:	its SO_COOKIE: an inode number alone could have gone to another socket meanwhile
 * Return: 0, -EPERM (a process that we may not look into has it, or none has), or -errno
 */
int holder_shutdown(uint32_t inode, uint64_t cookie);

/**
 * holder_find() - who has it?
 * @inode:	as above
 * @name:	receives the process's name (/proc/PID/comm), at most @size bytes
 * Return: the first such process, or 0: none, or one that we may not look into
 */
pid_t holder_find(uint32_t inode, char *name, size_t size);

#endif
