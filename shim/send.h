/* SPDX-License-Identifier: MIT */
/*
 * send.h - data and connect() in one call, and datagrams
 */
#ifndef PUNCH_SHIM_SEND_H
#define PUNCH_SHIM_SEND_H

#include <sys/socket.h>
#include <sys/types.h>

/** send_data() - as send() */
ssize_t send_data(int fd, const void *data, size_t count, int flags);

/** send_to() - as sendto() */
ssize_t send_to(int fd, const void *data, size_t count, int flags, const struct sockaddr *address, socklen_t size);

/** send_message() - as sendmsg() */
ssize_t send_message(int fd, const struct msghdr *message, int flags);

/** send_messages() - as sendmmsg() */
int send_messages(int fd, struct mmsghdr *messages, unsigned int count, int flags);

#endif
