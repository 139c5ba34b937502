/* SPDX-License-Identifier: MIT */
/*
 * fdinfo.h - where a socket is registered with epoll, as /proc tells
 */
#ifndef PUNCH_SHIM_FDINFO_H
#define PUNCH_SHIM_FDINFO_H

#include <stdint.h>
#include <sys/epoll.h>

#define REGISTRATIONS	32	/* most epoll registrations of one socket that follow it */

/**
 * struct registration
 * @epoll:	descriptor of the set
 * @fd:		number under which the socket was added
 * @event:	with EPOLLET and EPOLLONESHOT, and the program's data
 */
struct registration {
	int epoll;
	int fd;
	struct epoll_event event;
};

struct registrations {
	struct registration list[REGISTRATIONS];
	unsigned int count;
};

/** fdinfo_number() - digits of @base (8, 10, 16) after blanks. Return: what follows; @text itself when there is none */
const char *fdinfo_number(const char *text, unsigned int base, uint64_t *number);

/**
 * fdinfo_registrations() - append those of one set that concern the socket
 * @path:	fdinfo of the epoll descriptor
 * @epoll:	its number, kept in each registration
 * @inode:	of the socket
 * Return: 0 or -errno of open()
 */
int fdinfo_registrations(struct registrations *registrations, const char *path, int epoll, uint64_t inode);

#endif
