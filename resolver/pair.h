/* SPDX-License-Identifier: MIT */
/*
 * pair.h - two ends of one TCP connection within this host
 */
#ifndef PUNCH_PAIR_H
#define PUNCH_PAIR_H

#define PAIR_ADDRESS	"127.114.0.1"	/* of both ends: tells in ss(8) what it is */

/**
 * pair_make() - as socketpair(), but of TCP, so that a program finds every option and behaviour of a TCP socket
 * @family:	AF_INET or AF_INET6 (then v4-mapped, for hosts without IPv6 on their loopback)
 * @ends:	both blocking, close-on-exec
 * Return: 0, -ECONNABORTED (a stranger was faster), or -errno; -ENETUNREACH: the loopback interface is down
 */
int pair_make(int family, int ends[2]);

#endif
