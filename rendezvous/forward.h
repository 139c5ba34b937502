/* SPDX-License-Identifier: MIT */
/*
 * forward.h - what servers of one store say to each other, as bytes
 */
#ifndef RENDEZVOUS_FORWARD_H
#define RENDEZVOUS_FORWARD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/punch.pb-c.h"
#include "rendezvous/broker.h"
#include "rendezvous/tickets.h"

/**
 * forward_invite(), forward_reply(), forward_failed(), forward_replaced() - pack one Forward into a new buffer
 * @out:	malloc()ed, the caller frees
 * Return: bytes, or -ENOMEM/-EMSGSIZE
 */
ssize_t forward_invite(const struct broker_call *call, const struct broker_payload *payload,
		       struct offers *relays, const struct broker_origin *origin,
		       uint32_t store_rtt_us, uint8_t **out);
ssize_t forward_reply(const struct broker_call *call, const struct broker_payload *payload,
		      uint32_t callee_rtt_us, uint32_t start_in_us, uint8_t **out);
ssize_t forward_failed(const struct broker_call *call, const struct broker_failure *failure,
		       uint8_t **out);
ssize_t forward_replaced(const uint8_t key[KEY_SIZE], const char *origin, uint8_t **out);

/**
 * forward_open() - parse and check sizes
 * Return: message (punch__forward__free_unpacked()), or NULL
 */
Punch__Forward *forward_open(const uint8_t *data, size_t size);

/** forward_is_server() - is this text a server's name? */
bool forward_is_server(const char *text);

/** text_to() - a constant text to point a message at; protobuf-c only reads it when it packs */
static inline char *text_to(const char *text)
{
	union {
		const char *in;
		char *out;
	} pointer = { .in = text };

	return pointer.out;
}

/** payload_from(), payload_to() - between our struct and protobuf's; bytes are not copied */
struct broker_payload payload_from(const Punch__Signed *message);
Punch__Signed payload_to(const struct broker_payload *payload);

/** payload_is_sound() - sizes that two nodes can want: a body, and a signature of the right size */
bool payload_is_sound(const Punch__Signed *message);

/* bytes of a body; with 16 candidates, all facts and a sealed name it has below 1,100 */
#define PAYLOAD_MAX 4096

#endif
