/* SPDX-License-Identifier: MIT */
/*
 * lookup.h - names to addresses and back, for peers
 */
#ifndef PUNCH_SHIM_LOOKUP_H
#define PUNCH_SHIM_LOOKUP_H

#include <netdb.h>
#include <stdbool.h>

#include "shim/config.h"

/** lookup_owner() - the configuration, when @name is a peer's. Return: NULL when it is libc's business */
const struct config *lookup_owner(const char *name);

/** lookup_getaddrinfo() - as getaddrinfo() */
int lookup_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result);

/** lookup_getaddrinfo_a() - as getaddrinfo_a(), which finds its way in libc past getaddrinfo() */
int lookup_getaddrinfo_a(int mode, struct gaicb *list[], int count, struct sigevent *event);

/** lookup_getnameinfo() - as getnameinfo() */
int lookup_getnameinfo(const struct sockaddr *address, socklen_t size, char *host, socklen_t host_size,
		       char *service, socklen_t service_size, int flags);

#endif
