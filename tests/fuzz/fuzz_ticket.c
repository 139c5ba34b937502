/* SPDX-License-Identifier: MIT */
/*
 * fuzz_ticket.c - what a stranger shows at a relay
 *
 * First byte even: a sealed ticket as it came, which must never open, for nobody can know the secret of
 * this run; odd: a Ticket that gets a good MAC, so that all behind it is reached.
 */
#include <errno.h>
#include <string.h>

#include "common/convert.h"
#include "common/secret.h"
#include "common/ticket.h"
#include "tests/fuzz/fuzz.h"

#define NOW 1000000

static const char context[] = "punch relay ticket v1";

static size_t seal(const uint8_t secret[RELAY_SECRET_SIZE], const uint8_t *ticket, size_t size, uint8_t *out)
{
	Punch__SealedTicket sealed = PUNCH__SEALED_TICKET__INIT;
	uint8_t covered[sizeof(context) + TICKET_MAX], mac[32];

	memcpy(covered, context, sizeof(context));	/* its NUL too */
	memcpy(covered + sizeof(context), ticket, size);
	MUST(secret_mac(secret, covered, sizeof(context) + size, mac) == 0);
	sealed.ticket = convert_bytes(ticket, size);
	sealed.mac = convert_bytes(mac, sizeof(mac));
	return punch__sealed_ticket__pack(&sealed, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t secret[RELAY_SECRET_SIZE], sealed[TICKET_MAX + 64], again[TICKET_MAX];
	struct ticket ticket, copy;
	int rc, written;
	size_t bytes;

	if (size == 0 || size > TICKET_MAX)
		return 0;
	secret_random(secret, sizeof(secret));
	if (*data % 2 == 0) {
		rc = ticket_open(&ticket, secret, data + 1, size - 1, NOW);
		MUST(rc == -EBADMSG);
		return 0;
	}
	bytes = seal(secret, data + 1, size - 1, sealed);
	rc = ticket_open(&ticket, secret, sealed, bytes, NOW);
	MUST(rc == 0 || rc == -EBADMSG || rc == -ETIME);
	if (rc == 0) {
		MUST(ticket.side == TICKET_CALLER || ticket.side == TICKET_CALLEE);
		MUST(ticket.expires_s >= NOW);
		written = ticket_seal(&ticket, secret, again);
		MUST(written > 0 && ticket_open(&copy, secret, again, (size_t)written, NOW) == 0);
		MUST(copy.side == ticket.side && copy.expires_s == ticket.expires_s &&
		     memcmp(copy.session, ticket.session, SESSION_SIZE) == 0 &&
		     memcmp(copy.nonce, ticket.nonce, sizeof(ticket.nonce)) == 0);
		sealed[bytes - 1] ^= 1;		/* the last byte of the MAC */
		MUST(ticket_open(&copy, secret, sealed, bytes, NOW) == -EBADMSG);
	}
	return 0;
}
