/* SPDX-License-Identifier: MIT */
/*
 * dial.h - connect() to a peer
 */
#ifndef PUNCH_SHIM_DIAL_H
#define PUNCH_SHIM_DIAL_H

#include <sys/socket.h>

/** dial_connect() - as connect() */
int dial_connect(int fd, const struct sockaddr *address, socklen_t size);

#endif
