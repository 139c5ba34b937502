/* SPDX-License-Identifier: MIT */
/*
 * accept.h - listening sockets of the servers, and accepting without running out of descriptors
 *
 * The idiom is OpenBSD's accept_reserve(): some descriptors are kept back for what the
 * program itself must open (a log file, the store, pipes), and a listener that
 * meets the end of the table pauses instead of spinning.
 */
#ifndef PUNCH_ACCEPT_H
#define PUNCH_ACCEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/endpoint.h"

#define ACCEPT_RESERVE	32		/* descriptors kept back: log, store (3), pipes, headroom */
/* a paused listener tries again: short against the 1 s of a SYN retransmission */
#define ACCEPT_PAUSE	(250 * MS)
#define ACCEPT_BATCH	64		/* connections taken for one wake-up, so that others get their turn */

/**
 * accept_open() - listen on an endpoint
 * Non-blocking, close-on-exec, SO_REUSEADDR; IPv6 sockets take IPv6 only.
 * @ep:		where; its port is replaced by the one bound when it was 0
 * @why:	one line for people on failure
 * Return: descriptor or -errno
 */
int accept_open(struct endpoint *ep, char *why, size_t size);

/** accept_is_reserved() - is this descriptor one of the ACCEPT_RESERVE, which strangers are not to get? */
bool accept_is_reserved(int fd);

/**
 * accept_reserve() - accept one connection, non-blocking and close-on-exec
 * @from:	where it came from
 * @full:	set when only ACCEPT_RESERVE descriptors are left after it: pause
 * Return: descriptor; -EAGAIN when there is none; -EMFILE (also for ENFILE, ENOBUFS,
 * ENOMEM) when it must wait, in the kernel's queue: pause.  Connections that died in the queue are skipped.
 */
int accept_reserve(int listener, struct endpoint *from, bool *full);

/**
 * accept_limit() - raise the soft limit of descriptors to the hard one
 * Return: the limit now in force
 */
unsigned int accept_limit(void);

#endif
