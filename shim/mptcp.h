/* SPDX-License-Identifier: MIT */
/*
 * mptcp.h - a plain TCP socket in the place of one of MPTCP (RFC 8684)
 */
#ifndef PUNCH_SHIM_MPTCP_H
#define PUNCH_SHIM_MPTCP_H

#include <stdbool.h>
#include <sys/socket.h>

/** mptcp_is() - is @fd an MPTCP socket? One system call */
bool mptcp_is(int fd);

/**
 * mptcp_leave() - put a fresh TCP socket behind @fd, which is not connected
 * Call inside a guard. Return: as swap_socket()
 */
int mptcp_leave(int fd);

/**
 * mptcp_leave_listening() - put a TCP socket that listens where @fd is bound behind @fd, which does not listen yet
 * @backlog:	as of listen()
 *
 * Call inside a guard. Return: as swap_socket(), or -errno of bind() and listen(): nothing was changed then
 */
int mptcp_leave_listening(int fd, int backlog);

#endif
