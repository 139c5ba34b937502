/* SPDX-License-Identifier: MIT */
/*
 * serve.h - listen() and accept() for peers
 */
#ifndef PUNCH_SHIM_SERVE_H
#define PUNCH_SHIM_SERVE_H

#include <stdbool.h>
#include <sys/socket.h>

/** serve_init() - publish listening sockets that systemd passed; constructor only */
void serve_init(void);

/** serve_for_others() - what listens here are copies of other processes' sockets, so their numbers say nothing */
void serve_for_others(void);

/** serve_is_service() - is @fd a TCP socket bound to a port that is published? */
bool serve_is_service(int fd);

/** serve_listen() - as listen(); then the port is published if it is a [service] */
int serve_listen(int fd, int backlog);

/** serve_accept() - as accept4(), or accept() when @four is false */
int serve_accept(int fd, struct sockaddr *address, socklen_t *size, int flags, bool four);

/** serve_setsockopt() - as setsockopt(TCP_DEFER_ACCEPT) */
int serve_setsockopt(int fd, const void *value, socklen_t size);

#endif
