/* SPDX-License-Identifier: MIT */
/*
 * ktls.h - TLS records made and opened by the kernel, on the program's own socket
 */
#ifndef PUNCH_KTLS_H
#define PUNCH_KTLS_H

#include <stdbool.h>

#include "resolver/seal.h"

/**
 * ktls_offer() - what this kernel can do; tried once on a pair of sockets
 * Return: enum seal_kernel bits, 0: nothing (no CONFIG_TLS, or its module is not loaded: only root's
 * setsockopt() loads it), or PUNCH_KTLS=no
 */
unsigned int ktls_offer(void);

/**
 * ktls_install() - from the next byte on, in both directions
 * @fd:		connected socket, its handshake over and nothing read behind it
 * @keys:	stays the caller's, to wipe
 * Return: 0 or -errno; then the socket is of no use any more unless it is -ENOPROTOOPT, where it was not touched
 */
int ktls_install(int fd, const struct seal_keys *keys);

/** ktls_is() - does the kernel make the records of @fd? False of anything else, a socket or not */
bool ktls_is(int fd);

#endif
