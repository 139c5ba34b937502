/* SPDX-License-Identifier: MIT */
/*
 * preamble.h - INTERFACE - the first bytes on every path
 *
 * Fixed size, so that a reader takes exactly these bytes and never one of the
 * program's.  Sent by both ends as soon as a path is established:
 *
 *	offset  size
 *	0       4     "pnc1"
 *	4       1     kind: 1 caller's hello, 2 callee's hello, 3 nomination;
 *		      through a relay 4 caller's hello, 5 callee's
 *	5       3     zero
 *	8       16    session
 *	24      32    HMAC-SHA256(key of the kind, bytes 0..23)
 *
 * A relay sees the hellos that go through it, and could say them at the nodes' own ports: there they are of the
 * wrong kind.
 *
 * The caller nominates by sending kind 3 on the path it has chosen; the byte
 * after it is the program's.
 */
#ifndef PUNCH_PREAMBLE_H
#define PUNCH_PREAMBLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"
#include "common/secret.h"

#define PREAMBLE_SIZE 56

enum preamble_kind {
	PREAMBLE_CALLER = 1,
	PREAMBLE_CALLEE = 2,
	PREAMBLE_NOMINATE = 3,
	PREAMBLE_CALLER_RELAYED = 4,
	PREAMBLE_CALLEE_RELAYED = 5,
};

#define PREAMBLE_KIND_LAST PREAMBLE_CALLEE_RELAYED

/**
 * preamble_hello() - the kind that the caller, or the callee, says first on a path through a relay, or on another one
 */
static inline enum preamble_kind preamble_hello(bool caller, bool relayed)
{
	if (relayed)
		return caller ? PREAMBLE_CALLER_RELAYED : PREAMBLE_CALLEE_RELAYED;
	return caller ? PREAMBLE_CALLER : PREAMBLE_CALLEE;
}

/** preamble_make() - Return: 0 or -EIO */
int preamble_make(uint8_t out[PREAMBLE_SIZE], enum preamble_kind kind,
		  const uint8_t session[SESSION_SIZE], const struct secret *secret);

/** preamble_check() - constant-time; true when @in is the valid preamble of that kind and session */
bool preamble_check(const uint8_t in[PREAMBLE_SIZE], enum preamble_kind kind,
		    const uint8_t session[SESSION_SIZE], const struct secret *secret);

#endif
