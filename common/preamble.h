/* SPDX-License-Identifier: MIT */
/*
 * preamble.h - INTERFACE - the first bytes on every path
 *
 * Fixed size, so that a reader takes exactly these bytes and never one of the
 * program's.  Sent by both ends as soon as a path is established:
 *
 *	offset  size
 *	0       4     "pnc1"
 *	4       1     kind: 1 caller's hello, 2 callee's hello, 3 nomination
 *	5       3     zero
 *	8       16    session
 *	24      32    HMAC-SHA256(key of the kind, bytes 0..23)
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
};

/** preamble_make() - Return: 0 or -EIO */
int preamble_make(uint8_t out[PREAMBLE_SIZE], enum preamble_kind kind,
		  const uint8_t session[SESSION_SIZE], const struct secret *secret);

/** preamble_check() - constant-time; true when @in is the valid preamble of that kind and session */
bool preamble_check(const uint8_t in[PREAMBLE_SIZE], enum preamble_kind kind,
		    const uint8_t session[SESSION_SIZE], const struct secret *secret);

#endif
