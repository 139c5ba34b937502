/* SPDX-License-Identifier: MIT */
/*
 * stun.h - INTERFACE - the few messages of RFC 8489 that punch needs, over TCP
 *
 * Pure (libc only).  Binding request; success response with XOR-MAPPED-ADDRESS.  Unknown
 * comprehension-required attributes in a request get error 420.
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

/** stun_size() - Return: whole message's size once STUN_HEADER bytes are there, 0 before, -EBADMSG if not STUN or above STUN_MAX */
ssize_t stun_size(const uint8_t *data, size_t size);

/** stun_request() - Binding request. Return: bytes written */
size_t stun_request(uint8_t out[STUN_MAX], const uint8_t id[STUN_ID]);

/** stun_answer() - answer to a whole request: success with @mapped, or an error response. Return: bytes, or -EBADMSG (not a request) */
ssize_t stun_answer(const uint8_t *request, size_t size, const struct endpoint *mapped,
		    uint8_t out[STUN_MAX]);

/** stun_mapped() - XOR-MAPPED-ADDRESS (or MAPPED-ADDRESS) of a success response to @id. Return: 0 or -EBADMSG */
int stun_mapped(const uint8_t *response, size_t size, const uint8_t id[STUN_ID],
		struct endpoint *mapped);

#endif
