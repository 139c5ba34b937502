/* SPDX-License-Identifier: MIT */
/*
 * preamble.c - the first bytes on every path
 */
#include <errno.h>
#include <string.h>

#include "common/preamble.h"

#define MAC_AT	24	/* offset of the MAC, and bytes that it covers */

static const uint8_t *key_of(enum preamble_kind kind, const struct secret *secret)
{
	switch (kind) {
	case PREAMBLE_CALLER:
	case PREAMBLE_CALLER_RELAYED:
		return secret->caller;
	case PREAMBLE_CALLEE:
	case PREAMBLE_CALLEE_RELAYED:
		return secret->callee;
	case PREAMBLE_NOMINATE:
		return secret->nominate;
	}
	return NULL;
}

int preamble_make(uint8_t out[PREAMBLE_SIZE], enum preamble_kind kind,
		  const uint8_t session[SESSION_SIZE], const struct secret *secret)
{
	const uint8_t *key = key_of(kind, secret);

	memset(out, 0, PREAMBLE_SIZE);
	if (!key)
		return -EIO;
	memcpy(out, "pnc1", 4);
	out[4] = (uint8_t)kind;
	memcpy(out + 8, session, SESSION_SIZE);
	return secret_mac(key, out, MAC_AT, out + MAC_AT);
}

bool preamble_check(const uint8_t in[PREAMBLE_SIZE], enum preamble_kind kind,
		    const uint8_t session[SESSION_SIZE], const struct secret *secret)
{
	uint8_t wanted[PREAMBLE_SIZE];

	/* compared whole: magic, kind, zeroes and session are right or the MAC is not either */
	return preamble_make(wanted, kind, session, secret) == 0 && secret_equal(in, wanted, PREAMBLE_SIZE);
}
