/* SPDX-License-Identifier: MIT */
/*
 * swap.h - put another socket behind a program's descriptor
 */
#ifndef PUNCH_SHIM_SWAP_H
#define PUNCH_SHIM_SWAP_H

#include <stdbool.h>

/**
 * swap_possible() - would swap_socket() work, and keep the socket's registrations with epoll?
 * @registered:	there may be some.  Without /proc (after chroot(), in a sandbox) they cannot be read: not in a
 *		program that has a set
 * Not with fewer than three descriptors left either.  Call inside a guard
 */
bool swap_possible(bool registered);

/**
 * swap_socket() - put @fresh in the place of the socket behind @fd
 * Options, flags, epoll registrations stay as they were, and descriptors of
 * this process that are duplicates of @fd follow.  Call inside a guard.
 * @fresh:	taken over in any case
 * Return: 0 or -errno (-EMFILE: no room to look at /proc); then nothing was changed.  From outside of the
 * program (punch_any_swap.c) also -EINTR: @fresh is kept, for pending_take() when the program asks again
 */
int swap_socket(int fd, int fresh);

/**
 * swap_accepted() - the same for what accept() has just returned: no other
 * descriptor and no epoll can know it
 * Return: 0 or -errno; then @fd is what it was
 */
int swap_accepted(int fd, int fresh);

#endif
