/* SPDX-License-Identifier: MIT */
/*
 * proof.h - what a descriptor proves that came with a claim, without the descriptor
 *
 * Who has the kernel's socket whose other end is ours may claim what it stands for.  Of the socket itself the
 * resolver needs no more than this, and so need not hold what strangers pass (porter.h).
 */
#ifndef PUNCH_PROOF_H
#define PUNCH_PROOF_H

#include <stdint.h>

#include "common/endpoint.h"

/**
 * struct proof
 * @shown:	0, or a descriptor came along. No bool, for a porter that was taken over may send any byte
 * @good:	0, or it is a socket of our network namespace, and the rest is filled in
 * @cookie:	SO_COOKIE
 * @local, @remote: its ends; family 0 where it has none
 */
struct proof {
	uint8_t shown, good;
	uint64_t cookie;
	struct endpoint local, remote;
};

/**
 * proof_take() - look at a descriptor; may block as long as whoever passed it likes
 * @fd:		stays the caller's; -1: none came
 * @ours:	any socket of our network namespace
 */
void proof_take(int fd, int ours, struct proof *proof);

#endif
