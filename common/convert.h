/* SPDX-License-Identifier: MIT */
/*
 * convert.h - INTERFACE - checked steps between protobuf messages and our structs
 */
#ifndef PUNCH_CONVERT_H
#define PUNCH_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/endpoint.h"
#include "common/key.h"
#include "common/limits.h"
#include "common/punch.pb-c.h"

/**
 * struct candidate - a place where a side may be reached
 * @type:	Punch__CandidateType
 * @endpoint:	address and port
 * @priority:	RFC 6544 4.2
 */
struct candidate {
	uint32_t type;
	uint32_t priority;
	struct endpoint endpoint;
};

/**
 * struct description - what one side knows of itself
 */
struct description {
	struct candidate candidates[LIMIT_CANDIDATES];
	unsigned int count;
	uint32_t mapping;	/* Punch__Mapping */
	uint32_t filtering;	/* Punch__Filtering */
	bool filtering_measured;	/* here and lately, not remembered */
	uint32_t port_rule;	/* Punch__PortRule */
	uint32_t hops;		/* to the outermost NAT, 0 unknown, at most 64 */
	bool guess;		/* willing to hold or guess ports */
	uint16_t port_low, port_high;	/* band in which the NAT's next ports lie, as estimated; both 0 unknown */
	int32_t port_step;	/* sequential: between two mappings without other traffic; 0 unknown */
	uint32_t lifetime;	/* s that an idle mapping was seen to live, 0 unknown */
	uint32_t first;		/* Punch__First: callee: what is to be tried first; caller: its wish */
	/* For punchctl doctor. The peer is not told, for it could do nothing with it */
	uint32_t stray_syn;	/* Punch__StraySyn */
	uint32_t hairpin;	/* Punch__Hairpin */
	uint32_t port_pace;	/* sequential: ports that other traffic takes per 1,000 s */
	uint32_t nats;		/* one above the other, 0 unknown, at most 64 */
};

/**
 * struct invitation, struct answer - decoded, size-checked, signature-checked bodies
 */
struct invitation {
	uint8_t session[SESSION_SIZE];
	uint8_t caller_key[KEY_SIZE];
	uint8_t callee_key[KEY_SIZE];
	uint8_t ephemeral[KEY_SIZE];
	uint16_t port;
	struct description description;
	uint32_t encrypt;	/* Punch__Encrypt */
	uint32_t route;		/* Punch__Route */
	uint8_t sealed_name[128];
	size_t sealed_size;
};

struct answer {
	uint8_t session[SESSION_SIZE];
	uint8_t caller_key[KEY_SIZE];
	uint8_t callee_key[KEY_SIZE];
	uint8_t ephemeral[KEY_SIZE];
	uint32_t status;	/* Punch__AnswerStatus */
	struct description description;
	uint32_t encrypt;
	uint32_t route;
	uint8_t invitation_hash[HASH_SIZE];
};

/** struct body - serialised, signed bytes; kept by both ends for the transcript */
struct body {
	uint8_t *data;		/* malloc()ed, body_free() */
	size_t size;
	uint8_t signature[SIGNATURE_SIZE];
};

void body_free(struct body *body);

/** invitation_sign() - serialise and sign. Return: 0 or -errno; fills @body */
int invitation_sign(const struct invitation *in, const struct key *key, struct body *body);

/**
 * invitation_open() - parse, check every size and range, verify the signature by the body's caller_key
 * Candidates with addresses that endpoint_is_unicast() refuses are dropped silently.
 * @signed_:	as received; copied into @body
 * Return: 0, -EBADMSG (malformed), -EKEYREJECTED (signature), -EPROTONOSUPPORT (version)
 */
int invitation_open(const Punch__Signed *signed_, struct invitation *out, struct body *body);

int answer_sign(const struct answer *in, const struct key *key, struct body *body);
/** answer_open() - as invitation_open(), verified by the body's callee_key */
int answer_open(const Punch__Signed *signed_, struct answer *out, struct body *body);

/** convert_bytes() - bytes to point a message at; protobuf-c only reads them when it packs */
static inline ProtobufCBinaryData convert_bytes(const uint8_t *data, size_t size)
{
	union {
		const uint8_t *in;
		uint8_t *out;
	} pointer = { .in = data };	/* -Wcast-qual knows no exceptions */

	return (ProtobufCBinaryData){ .len = size, .data = pointer.out };
}

/** endpoint_to_message()/endpoint_from_message() - @message's bytes point into @ep */
void endpoint_to_message(const struct endpoint *ep, Punch__Endpoint *message);
/** Return: 0 or -EINVAL (sizes, port) */
int endpoint_from_message(struct endpoint *ep, const Punch__Endpoint *message);

#endif
