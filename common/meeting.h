/* SPDX-License-Identifier: MIT */
/*
 * meeting.h - INTERFACE - two nodes that know each other's key and public address meet without a server
 *
 * Both compute, without a word between them, which ports they use in each bucket of time, and keys for the two
 * messages that they then exchange on the connection: the Invite and the Reply that a rendezvous would carry.
 */
#ifndef PUNCH_MEETING_H
#define PUNCH_MEETING_H

#include <stddef.h>
#include <stdint.h>

#include "common/key.h"
#include "common/limits.h"

#define MEETING_BUCKET	10u	/* s: a bucket is Unix time / this */
#define MEETING_MARGIN	2u	/* s: so long before and after its bucket a place is held: clocks 2 s apart meet */
#define MEETING_PLACES	64u	/* connections of one pair to one port in one bucket */

/* Ports are taken from here: below the kernel's ephemeral ones, above those that application gateways mangle */
#define MEETING_PORT_LOW	20000u
#define MEETING_PORT_COUNT	12768u

#define MEETING_SEAL	(12 + 16)	/* bytes that sealing adds: nonce, tag */

/** struct meeting - what two nodes share for good */
struct meeting {
	uint8_t key[32];
};

/**
 * meeting_make() - from the own private key and the peer's public one
 * X25519 of both Ed25519 keys in their Montgomery form (RFC 7748, 4.1), then HKDF with both public keys.
 * Return: 0, -EKEYREJECTED (the peer's key is no good point), -EIO
 */
int meeting_make(struct meeting *meeting, const struct key *own, const uint8_t peer[KEY_SIZE]);
void meeting_wipe(struct meeting *meeting);

/** struct meeting_when - which connection is meant */
struct meeting_when {
	uint8_t caller[KEY_SIZE], callee[KEY_SIZE];
	uint64_t bucket;
	uint16_t port;		/* of the service; 0: a ping */
	unsigned int place;	/* 0 .. MEETING_PLACES - 1 */
};

/** struct meeting_place - where it is made, and the keys of what each side says first */
struct meeting_place {
	uint16_t caller_port, callee_port;
	uint8_t caller_key[32], callee_key[32];
};

/** meeting_place() - Return: 0 or -EIO */
int meeting_place(const struct meeting *meeting, const struct meeting_when *when, struct meeting_place *place);

/** meeting_seal() - AES-256-GCM. @out: @size + MEETING_SEAL bytes. Return: 0 or -EIO */
int meeting_seal(const uint8_t key[32], const uint8_t *plain, size_t size, uint8_t *out);

/** meeting_open() - @out: @size - MEETING_SEAL bytes. Return: bytes, or -EBADMSG */
ssize_t meeting_open(const uint8_t key[32], const uint8_t *sealed, size_t size, uint8_t *out);

#endif
