/* SPDX-License-Identifier: MIT */
/*
 * lot.h - listeners that answer nobody: where programs' sockets wait in SYN_SENT
 *
 * The kernel's part of parked.c, without its state machine.
 */
#ifndef PUNCH_LOT_H
#define PUNCH_LOT_H

#include "common/endpoint.h"
#include "common/local.h"

#define LOT_ADDRESS	"127.113.0.1"	/* beside DOORBELL_NET: no accept hook takes it for a doorbell */
#define LOT_COUNT	2		/* IPv4, and [::1] for sockets that cannot reach IPv4 */

/**
 * struct lot
 * @listener:	backlog 0; -1 until first needed
 * @filler:	the connection that is never accepted
 */
struct lot {
	int family;
	int listener, filler;
	struct endpoint address;
};

/** lot_init() - none is open yet */
void lot_init(struct lot lots[LOT_COUNT]);

/** lot_close() - if it is open; what is parked there gets a reset when its SYN is sent again */
void lot_close(struct lot *lot);

/** lot_family() - AF_INET or AF_INET6 of a socket */
int lot_family(int fd);

/** lot_examine() - may this socket be parked? Return: 0, or -errno with @reply complete */
int lot_examine(int fd, struct local_reply *reply);

/**
 * lot_park() - put a program's socket into SYN_SENT
 * @fd:		as lot_examine() allows
 * @where:	the lot that was used
 * Return: 0 or -errno
 */
int lot_park(struct lot lots[LOT_COUNT], int fd, const struct lot **where);

/**
 * lot_cross() - a socket of ours that completes a parked one by simultaneous open
 * @program:	the parked socket's own address
 * Return: connecting, non-blocking descriptor, or -errno
 */
int lot_cross(const struct lot *lot, const struct endpoint *program);

#endif
