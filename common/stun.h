/* SPDX-License-Identifier: MIT */
/*
 * stun.h - INTERFACE - the few messages of RFC 8489 that punch needs, over TCP
 *
 * Pure (libc only).  Binding request; success response with XOR-MAPPED-ADDRESS.  Unknown
 * comprehension-required attributes in a request get error 420.  One optional attribute of our own asks a
 * server of ours to connect back; others ignore it.
 */
#ifndef PUNCH_STUN_H
#define PUNCH_STUN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/endpoint.h"

#define STUN_HEADER	20
#define STUN_MAX	256	/* bytes of a message we read or write */
#define STUN_ID		12

/* CONNECT-BACK, 4 bytes: in a request step, scope and 0; in the response outcome, scope and the port */
enum stun_step {
	STUN_STEP_RESERVE = 1,	/* tell from which port you would connect */
	STUN_STEP_GO = 2,	/* do it, to where this connection comes from, and answer when it is over */
	STUN_STEP_WAIT = 3,	/* another matter: answer (RESERVED) only after @port seconds of silence */
};
enum stun_scope {
	STUN_SCOPE_PORT = 1,	/* from another port of the address that was asked */
	STUN_SCOPE_ADDRESS = 2,	/* from another address */
};
enum stun_outcome {
	STUN_OUTCOME_NONE,	/* the server said nothing of it */
	STUN_OUTCOME_RESERVED,
	STUN_OUTCOME_ESTABLISHED,
	STUN_OUTCOME_REFUSED,	/* RST */
	STUN_OUTCOME_UNREACHABLE, /* ICMP */
	STUN_OUTCOME_SILENT,
	STUN_OUTCOME_UNAVAILABLE, /* no such address here, or too many */
	STUN_OUTCOME_COUNT
};

/**
 * struct stun_back - the attribute
 * @what:	enum stun_step or enum stun_outcome
 * @scope:	enum stun_scope
 * @port:	that the server connects from; 0 in requests, seconds in WAIT
 */
struct stun_back {
	uint8_t what;
	uint8_t scope;
	uint16_t port;
};

/**
 * stun_size() - Return: whole message's size once STUN_HEADER bytes are there, 0 before,
 * -EBADMSG if not STUN or above STUN_MAX
 */
ssize_t stun_size(const uint8_t *data, size_t size);

/** stun_request() - Binding request. Return: bytes written */
size_t stun_request(uint8_t out[STUN_MAX], const uint8_t id[STUN_ID]);

/** stun_request_back() - the same with CONNECT-BACK */
size_t stun_request_back(uint8_t out[STUN_MAX], const uint8_t id[STUN_ID], const struct stun_back *back);

/** stun_get_back() - CONNECT-BACK of a whole message. Return: false when there is none, or no valid one */
bool stun_get_back(const uint8_t *message, size_t size, struct stun_back *back);

/**
 * stun_answer() - answer to a whole request: success with @mapped, or an error response
 * @back:	CONNECT-BACK of a success; NULL: without
 * Return: bytes, or -EBADMSG (not a request)
 */
ssize_t stun_answer(const uint8_t *request, size_t size, const struct endpoint *mapped,
		    const struct stun_back *back, uint8_t out[STUN_MAX]);

/** stun_mapped() - XOR-MAPPED-ADDRESS (or MAPPED-ADDRESS) of a success response to @id. Return: 0 or -EBADMSG */
int stun_mapped(const uint8_t *response, size_t size, const uint8_t id[STUN_ID],
		struct endpoint *mapped);

#endif
