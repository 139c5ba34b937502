/* SPDX-License-Identifier: MIT */
/*
 * pump.h - the processes that encrypt, as the resolver sees them
 *
 * They are children of the resolver, executed anew so that they hold nothing of
 * it, and talk to it over a SOCK_SEQPACKET pair: a struct pump_job with a path's socket
 * in, a struct pump_note out.  A pump makes no socket itself (sandbox.h): where it goes on in user space it says so
 * by a PUMP_READY without a socket, and gets a PUMP_LOCAL with its end of a connection whose other end the program
 * has.  A pump goes on until its last connection has ended, whether
 * the resolver lives or not.
 */
#ifndef PUNCH_PUMP_H
#define PUNCH_PUMP_H

#include <stdint.h>

#include "common/limits.h"
#include "resolver/process.h"

#define PUMP_LINK_FD	PROCESS_FD	/* where the link lies over exec, hidden option --pump */
#define PUMP_MAGIC	0x70756d31u	/* "pum1": both ends are one build */
#define PUMP_MOST	1024		/* connections of one pump: two descriptors each */
#define PUMP_TEXT	160
#define PUMP_JOIN	(10 * SECOND)	/* for the local end, which a resolver that lives makes at once */

enum pump_order {
	PUMP_PATH = 1,		/* a path to encrypt */
	PUMP_LOCAL,		/* the local end for a path that is READY */
};

/**
 * struct pump_job - a socket; comes with it
 * @order:	enum pump_order
 * @caller:	PATH
 * @id:		chosen by the resolver, comes back in notes
 * @session:	PATH
 * @key:	PATH: secret.traffic
 * @patience:	PATH: us for the handshake
 */
struct pump_job {
	uint32_t magic;
	uint32_t order;
	uint32_t caller;
	uint64_t id;
	uint64_t patience;
	uint8_t session[SESSION_SIZE];
	uint8_t key[32];
};

enum pump_what {
	PUMP_READY = 1,		/* cover KERNEL: comes with the socket for the program; PUMP: one is wanted */
	PUMP_FAILED,
	PUMP_ENDED,		/* a connection that was READY by way of the pump is over */
};

/**
 * struct pump_note
 * @error:	FAILED: errno
 * @cover:	READY: enum encrypt_cover
 * @family:	READY, PUMP: of the path's socket, AF_INET or AF_INET6
 * @connections: how many the pump has now
 * @text:	FAILED: why; READY: the cipher
 */
struct pump_note {
	uint32_t magic;
	uint32_t what;
	uint64_t id;
	int32_t error;
	uint32_t cover;
	uint32_t family;
	uint32_t connections;
	char text[PUMP_TEXT];
};

/**
 * pump_run() - be a pump
 * @link:	to the resolver; owned from here on
 * Return: exit status, when the resolver is gone and the last connection, too
 */
int pump_run(int link);

#endif
