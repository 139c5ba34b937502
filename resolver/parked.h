/* SPDX-License-Identifier: MIT */
/*
 * parked.h - a program's own socket in SYN_SENT while its path is being made
 */
#ifndef PUNCH_PARKED_H
#define PUNCH_PARKED_H

#include "resolver/peers.h"
#include "resolver/proof.h"

#define PARKED_MAX	1024	/* waiting or unclaimed at one time; two descriptors each */
#define PARKED_FAILURES	256	/* reasons kept for programs that have not yet asked */

/** parked_new(), parked_free() - Return: NULL when out of memory */
struct parked *parked_new(struct node *node);
void parked_free(struct parked *parked);

/** parked_count() - under way or not yet claimed */
unsigned int parked_count(const struct parked *parked);

/** parked_owes() - is there a program that was woken by a failure, and has not asked for its reason? */
bool parked_owes(const struct parked *parked);

/** parked_files() - descriptors that they hold, those of their sessions not counted */
unsigned int parked_files(const struct parked *parked);

/**
 * parked_start() - LOCAL_PARK: put a program's socket into SYN_SENT and start to dial
 * @fd:		unconnected, non-blocking TCP socket; stays the caller's
 * @in:		port, timeout and route are taken from it
 * @reply:	filled in: LOCAL_OK, or LOCAL_FAILED with errno and text
 */
void parked_start(struct node *node, int fd, const struct peer *peer, const struct local_request *in,
		  struct local_reply *reply);

/**
 * parked_claim() - LOCAL_CLAIM_PARKED
 * @proof:	of the program's socket, recognised by its cookie
 * @fd:		the socket itself, stays the caller's; -1: of another user's program the porter has it
 * @copy:	the program cannot take the real socket: the two are spliced
 * @reply:	filled in: LOCAL_OK with peer, slot, remote, path, setup_us; LOCAL_FAILED with the true errno and
 *		text, EINPROGRESS while it is under way; LOCAL_NOT_OURS, also when they were spliced
 * Return: the real socket, owned by the caller, or -1
 */
int parked_claim(struct node *node, const struct proof *proof, int fd, bool copy, struct local_reply *reply);

#endif
