/* SPDX-License-Identifier: MIT */
/*
 * convert.c - checked steps between protobuf messages and our structs
 *
 * protobuf-c promises that a parsed message is well formed, no more: byte strings
 * have any length, submessages are NULL when absent, lists are as long as the frame
 * allows, enums hold any number.  Nothing of that gets past this file.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/convert.h"

#define HOPS_MAX	64	/* the initial TTL of Linux: no path is longer */

/* A byte string that must have exactly this size */
static bool take_bytes(uint8_t *out, size_t size, const ProtobufCBinaryData *in)
{
	if (in->len != size || !in->data)
		return false;
	memcpy(out, in->data, size);
	return true;
}

/* Enums start at 0 and have no gaps; protobuf-c holds them as int */
static bool take_enum(uint32_t *out, int value, int last)
{
	if (value < 0 || value > last)
		return false;
	*out = (uint32_t)value;
	return true;
}

/* What a later version tells of its NAT that this one has no name for is unknown (0) here, and
 * no reason to refuse it */
static uint32_t known_or_zero(int value, int last)
{
	return value < 0 || value > last ? 0 : (uint32_t)value;
}

void endpoint_to_message(const struct endpoint *ep, Punch__Endpoint *message)
{
	punch__endpoint__init(message);
	message->address = convert_bytes(ep->address, ep->family == AF_INET ? 4 : ep->family == AF_INET6 ? 16 : 0);
	message->port = ep->port;
}

int endpoint_from_message(struct endpoint *ep, const Punch__Endpoint *message)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };

	memset(ep, 0, sizeof(*ep));
	if (!message || message->port == 0 || message->port > UINT16_MAX || !message->address.data)
		return -EINVAL;
	if (message->address.len == 4) {
		ep->family = AF_INET;
		ep->port = (uint16_t)message->port;
		memcpy(ep->address, message->address.data, 4);
		return 0;
	}
	if (message->address.len != 16)
		return -EINVAL;
	/* by way of a sockaddr: a v4-mapped address must not pass as an IPv6 one */
	memcpy(&sin6.sin6_addr, message->address.data, 16);
	sin6.sin6_port = htons((uint16_t)message->port);
	return endpoint_from_sockaddr(ep, (const struct sockaddr *)&sin6, sizeof(sin6));
}

void body_free(struct body *body)
{
	free(body->data);
	memset(body, 0, sizeof(*body));
}

/* ------------------------------------------------------------ description */

/**
 * struct description_message - everything that a Punch__Description points to
 */
struct description_message {
	Punch__Description description;
	Punch__NatFacts nat;
	Punch__Candidate candidates[LIMIT_CANDIDATES];
	Punch__Endpoint endpoints[LIMIT_CANDIDATES];
	Punch__Candidate *list[LIMIT_CANDIDATES];
};

static int description_to_message(const struct description *in, struct description_message *out)
{
	unsigned int i;

	if (in->count > LIMIT_CANDIDATES)
		return -EINVAL;
	punch__description__init(&out->description);
	punch__nat_facts__init(&out->nat);
	out->nat.mapping = (Punch__Mapping)in->mapping;
	out->nat.filtering = (Punch__Filtering)in->filtering;
	out->nat.port_rule = (Punch__PortRule)in->port_rule;
	out->nat.hops = in->hops;
	out->nat.guess = in->guess;
	out->nat.port_low = in->port_low;
	out->nat.port_high = in->port_high;
	out->nat.port_step = in->port_step;
	out->nat.lifetime = in->lifetime;
	out->nat.filtering_measured = in->filtering_measured;
	out->description.first = (Punch__First)in->first;
	for (i = 0; i < in->count; i++) {
		const struct candidate *candidate = &in->candidates[i];

		endpoint_to_message(&candidate->endpoint, &out->endpoints[i]);
		punch__candidate__init(&out->candidates[i]);
		out->candidates[i].type = (Punch__CandidateType)candidate->type;
		out->candidates[i].priority = candidate->priority;
		out->candidates[i].endpoint = &out->endpoints[i];
		out->list[i] = &out->candidates[i];
	}
	out->description.n_candidates = in->count;
	out->description.candidates = out->list;
	out->description.nat = &out->nat;
	return 0;
}

/* Return: false when malformed */
static bool nat_from_message(struct description *out, const Punch__NatFacts *in)
{
	if (!in)
		return true;	/* nothing known: all zero */
	if (in->hops > HOPS_MAX || in->port_low > in->port_high || in->port_high > UINT16_MAX ||
	    in->port_step > UINT16_MAX || in->port_step < -UINT16_MAX)
		return false;
	out->hops = in->hops;
	out->guess = in->guess;
	out->port_low = (uint16_t)in->port_low;
	out->port_high = (uint16_t)in->port_high;
	out->port_step = in->port_step;
	out->lifetime = in->lifetime;
	out->filtering_measured = in->filtering_measured;
	out->mapping = known_or_zero((int)in->mapping, PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT);
	out->filtering = known_or_zero((int)in->filtering, PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY);
	out->port_rule = known_or_zero((int)in->port_rule, PUNCH__PORT_RULE__PORT_RULE_PARITY);
	return true;
}

static bool description_from_message(struct description *out, const Punch__Description *in)
{
	size_t i;

	memset(out, 0, sizeof(*out));
	if (!in)
		return true;
	if (in->n_candidates > LIMIT_CANDIDATES || !nat_from_message(out, in->nat) ||
	    !take_enum(&out->first, (int)in->first, PUNCH__FIRST__FIRST_RELAY))
		return false;
	for (i = 0; i < in->n_candidates; i++) {
		const Punch__Candidate *message = in->candidates[i];
		struct candidate candidate = { .priority = message->priority };

		if (!take_enum(&candidate.type, (int)message->type, PUNCH__CANDIDATE_TYPE__CANDIDATE_PREDICTED) ||
		    candidate.type == PUNCH__CANDIDATE_TYPE__CANDIDATE_UNSPECIFIED ||
		    endpoint_from_message(&candidate.endpoint, message->endpoint) < 0)
			return false;
		/* a broadcast or multicast address may be a slip of the far end: no reason to refuse the rest */
		if (endpoint_is_unicast(&candidate.endpoint))
			out->candidates[out->count++] = candidate;
	}
	return true;
}

/* ------------------------------------------------------------ signed bodies */

static int sign(const ProtobufCMessage *message, const char *context, const struct key *key, struct body *body)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	int rc;

	memset(body, 0, sizeof(*body));
	if (size == 0 || size > LIMIT_FRAME)
		return -EMSGSIZE;
	body->data = malloc(size);
	if (!body->data)
		return -ENOMEM;
	body->size = protobuf_c_message_pack(message, body->data);
	rc = key_sign(key, context, body->data, body->size, body->signature);
	if (rc < 0)
		body_free(body);
	return rc;
}

/* Copy what was received. Return: 0, -EBADMSG or -ENOMEM */
static int body_take(struct body *body, const Punch__Signed *signed_)
{
	memset(body, 0, sizeof(*body));
	if (!signed_ || !signed_->body.data || signed_->body.len == 0 || signed_->body.len > LIMIT_FRAME ||
	    !take_bytes(body->signature, SIGNATURE_SIZE, &signed_->signature))
		return -EBADMSG;
	body->data = malloc(signed_->body.len);
	if (!body->data)
		return -ENOMEM;
	memcpy(body->data, signed_->body.data, signed_->body.len);
	body->size = signed_->body.len;
	return 0;
}

int invitation_sign(const struct invitation *in, const struct key *key, struct body *body)
{
	Punch__Invitation message = PUNCH__INVITATION__INIT;
	struct description_message description;
	int rc;

	memset(body, 0, sizeof(*body));
	rc = description_to_message(&in->description, &description);
	if (rc < 0 || in->sealed_size > sizeof(in->sealed_name))
		return -EINVAL;
	message.version = PROTOCOL_VERSION;
	message.session = convert_bytes(in->session, SESSION_SIZE);
	message.caller_key = convert_bytes(in->caller_key, KEY_SIZE);
	message.callee_key = convert_bytes(in->callee_key, KEY_SIZE);
	message.ephemeral = convert_bytes(in->ephemeral, KEY_SIZE);
	message.port = in->port;
	message.description = &description.description;
	message.encrypt = (Punch__Encrypt)in->encrypt;
	message.route = (Punch__Route)in->route;
	message.sealed_name = convert_bytes(in->sealed_name, in->sealed_size);
	return sign(&message.base, KEY_CONTEXT_INVITATION, key, body);
}

/* Everything but version and signature. Return: false when malformed */
static bool invitation_from_message(struct invitation *out, const Punch__Invitation *in)
{
	if (!take_bytes(out->session, SESSION_SIZE, &in->session) ||
	    !take_bytes(out->caller_key, KEY_SIZE, &in->caller_key) ||
	    !take_bytes(out->callee_key, KEY_SIZE, &in->callee_key) ||
	    !take_bytes(out->ephemeral, KEY_SIZE, &in->ephemeral))
		return false;
	/* port 0 is a ping: no service is wanted */
	if (in->port > UINT16_MAX || in->sealed_name.len > sizeof(out->sealed_name))
		return false;
	out->port = (uint16_t)in->port;
	out->sealed_size = in->sealed_name.len;
	if (out->sealed_size)
		memcpy(out->sealed_name, in->sealed_name.data, out->sealed_size);
	return take_enum(&out->encrypt, (int)in->encrypt, PUNCH__ENCRYPT__ENCRYPT_NO) &&
	       take_enum(&out->route, (int)in->route, PUNCH__ROUTE__ROUTE_RELAY) &&
	       description_from_message(&out->description, in->description);
}

int invitation_open(const Punch__Signed *signed_, struct invitation *out, struct body *body)
{
	Punch__Invitation *message = NULL;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = body_take(body, signed_);
	if (rc < 0)
		return rc;
	message = punch__invitation__unpack(NULL, body->size, body->data);
	if (!message)
		rc = -EBADMSG;
	else if (message->version != PROTOCOL_VERSION)
		rc = -EPROTONOSUPPORT;
	else if (!invitation_from_message(out, message))
		rc = -EBADMSG;
	else if (!key_verify(out->caller_key, KEY_CONTEXT_INVITATION, body->data, body->size, body->signature))
		rc = -EKEYREJECTED;
	if (message)
		punch__invitation__free_unpacked(message, NULL);
	if (rc < 0) {
		/* nothing unproven is left where a caller might use it by mistake */
		memset(out, 0, sizeof(*out));
		body_free(body);
	}
	return rc;
}

int answer_sign(const struct answer *in, const struct key *key, struct body *body)
{
	struct description_message description;
	Punch__Answer message = PUNCH__ANSWER__INIT;
	int rc;

	memset(body, 0, sizeof(*body));
	rc = description_to_message(&in->description, &description);
	if (rc < 0)
		return rc;
	message.version = PROTOCOL_VERSION;
	message.session = convert_bytes(in->session, SESSION_SIZE);
	message.caller_key = convert_bytes(in->caller_key, KEY_SIZE);
	message.callee_key = convert_bytes(in->callee_key, KEY_SIZE);
	message.ephemeral = convert_bytes(in->ephemeral, KEY_SIZE);
	message.status = (Punch__AnswerStatus)in->status;
	message.description = &description.description;
	message.encrypt = (Punch__Encrypt)in->encrypt;
	message.route = (Punch__Route)in->route;
	message.invitation_hash = convert_bytes(in->invitation_hash, HASH_SIZE);
	return sign(&message.base, KEY_CONTEXT_ANSWER, key, body);
}

static bool answer_from_message(struct answer *out, const Punch__Answer *in)
{
	if (!take_bytes(out->session, SESSION_SIZE, &in->session) ||
	    !take_bytes(out->caller_key, KEY_SIZE, &in->caller_key) ||
	    !take_bytes(out->callee_key, KEY_SIZE, &in->callee_key) ||
	    !take_bytes(out->ephemeral, KEY_SIZE, &in->ephemeral) ||
	    !take_bytes(out->invitation_hash, HASH_SIZE, &in->invitation_hash))
		return false;
	return take_enum(&out->status, (int)in->status, PUNCH__ANSWER_STATUS__ANSWER_BUSY) &&
	       out->status != PUNCH__ANSWER_STATUS__ANSWER_UNSPECIFIED &&
	       take_enum(&out->encrypt, (int)in->encrypt, PUNCH__ENCRYPT__ENCRYPT_NO) &&
	       take_enum(&out->route, (int)in->route, PUNCH__ROUTE__ROUTE_RELAY) &&
	       description_from_message(&out->description, in->description);
}

int answer_open(const Punch__Signed *signed_, struct answer *out, struct body *body)
{
	Punch__Answer *message = NULL;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = body_take(body, signed_);
	if (rc < 0)
		return rc;
	message = punch__answer__unpack(NULL, body->size, body->data);
	if (!message)
		rc = -EBADMSG;
	else if (message->version != PROTOCOL_VERSION)
		rc = -EPROTONOSUPPORT;
	else if (!answer_from_message(out, message))
		rc = -EBADMSG;
	else if (!key_verify(out->callee_key, KEY_CONTEXT_ANSWER, body->data, body->size, body->signature))
		rc = -EKEYREJECTED;
	if (message)
		punch__answer__free_unpacked(message, NULL);
	if (rc < 0) {
		memset(out, 0, sizeof(*out));
		body_free(body);
	}
	return rc;
}
