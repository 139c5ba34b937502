/* SPDX-License-Identifier: MIT */
/*
 * owner.h - INTERFACE - whose socket listens at an abstract name, without connecting to it
 */
#ifndef PUNCH_OWNER_H
#define PUNCH_OWNER_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

/**
 * owner_of() - for a name whose queue is full: anybody can fill one
 * @size:	of @sun, as for connect()
 * Return: 0 and the user who made the socket; -ENOENT, or another -errno when the kernel does not tell
 * (no unix_diag, Linux before 5.3)
 */
int owner_of(const struct sockaddr_un *sun, size_t size, uid_t *uid);

#endif
