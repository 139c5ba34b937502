/* SPDX-License-Identifier: MIT */
/*
 * drain.h - close() and shutdown() of connections whose records the kernel makes
 */
#ifndef PUNCH_SHIM_DRAIN_H
#define PUNCH_SHIM_DRAIN_H

/** drain_note() - a swap has put a socket behind @fd. Call inside a guard; one system call */
void drain_note(int fd);

/**
 * drain_close(), drain_shutdown() - as libc's, but what was written to a socket of the kernel's TLS comes to its end
 * No system call more for any other descriptor; a number that was such a socket's before costs one, once
 */
int drain_close(int fd);
int drain_shutdown(int fd, int how);

#endif
