/* SPDX-License-Identifier: MIT */
/* The box's control socket: one line in, one answer out. */
#ifndef LAB_NAT_CTL_H
#define LAB_NAT_CTL_H

#include <stddef.h>

#define NAT_CTL_LINE 1024u /* longest command and answer */

/**
 * nat_ctl_listen() - Open the control socket
 * @path:	where; an old socket there is replaced
 *
 * Return: descriptor or -errno.
 */
int nat_ctl_listen(const char *path);

/**
 * nat_ctl_serve() - Take one command and answer it
 * @fd:		the listening descriptor, readable
 * @handle:	carries out @line (which it may change); writes the answer
 * @arg:	for @handle
 */
void nat_ctl_serve(int fd, void (*handle)(void *arg, char *line, char *answer, size_t size), void *arg);

/**
 * nat_ctl_call() - Send a command to a box and print its answer
 * @path:	its control socket; waited for up to 10 s if it is not there yet
 * @line:	command
 *
 * Return: exit status: 0 if the answer begins with "ok".
 */
int nat_ctl_call(const char *path, const char *line);

#endif
