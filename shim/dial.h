/* SPDX-License-Identifier: MIT */
/*
 * dial.h - connect() to a peer
 */
#ifndef PUNCH_SHIM_DIAL_H
#define PUNCH_SHIM_DIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* What comes next in a connect() */
enum dial_step {
	DIAL_NATIVE,		/* not ours, or not for this socket: let the kernel say what is wrong with it */
	DIAL_DONE,		/* the result is there: 0 or -errno, EINPROGRESS too */
	DIAL_WAIT,		/* the socket is parked: wait for it, its first connect() */
	DIAL_WAIT_AGAIN,	/* the same for a socket that was parked before: after EINTR */
};

/** dial_connect() - as connect() */
int dial_connect(int fd, const struct sockaddr *address, socklen_t size);

/** dial_is_ours() - is this a peer's stand-in or literal alias? No system call once the configuration is read */
bool dial_is_ours(const struct sockaddr *address, socklen_t size);

/**
 * dial_begin() - connect() but for the waiting
 * @result:	out, of DIAL_DONE
 */
enum dial_step dial_begin(int fd, const struct sockaddr *address, socklen_t size, int *result);

/**
 * dial_begin_elsewhere() - the same to nobody of ours, on a socket that may be parked for a peer
 * @result:	out, of DIAL_DONE
 * No system call while no socket is parked.  Return: never DIAL_WAIT; DIAL_NATIVE: it is not parked, or not any more
 */
enum dial_step dial_begin_elsewhere(int fd, int *result);

/** dial_forget() - @fd is about to be disconnected by connect(AF_UNSPEC) */
void dial_forget(int fd);

#endif
