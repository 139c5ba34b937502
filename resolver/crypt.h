/* SPDX-License-Identifier: MIT */
/*
 * crypt.h - INTERFACE - have a nominated path encrypted
 */
#ifndef PUNCH_CRYPT_H
#define PUNCH_CRYPT_H

#include "resolver/encrypt.h"
#include "resolver/node.h"

struct crypt_job;

/**
 * struct crypt_result
 * @error:	0 or errno
 * @fd:		for the program, blocking; owned by the receiver; -1 on error
 * @text:	on error: why, for people; else the cipher
 */
struct crypt_result {
	int error;
	int fd;
	enum encrypt_cover cover;
	const char *text;
};

typedef void crypt_done(void *arg, const struct crypt_result *result);

/** crypts_new(), crypts_free() - the node's pumps; freed, they go on for the connections they have */
struct crypts *crypts_new(struct node *node);
void crypts_free(struct crypts *crypts);

/**
 * crypt_start() - give a path to a pump
 * @caller:	our role
 * @session:	SESSION_SIZE bytes
 * @key:	32 bytes: secret.traffic
 * @fd:		nominated, bare; taken over in any case
 * @patience:	us for the handshake, then it has failed with ETIMEDOUT
 * @done:	called once, never from inside; not after crypt_cancel()
 * Return: NULL when no pump can be started (errno says why)
 */
struct crypt_job *crypt_start(struct crypts *crypts, bool caller, const uint8_t *session, const uint8_t *key, int fd,
			      uint64_t patience, crypt_done *done, void *arg);

/** crypt_cancel() - nobody waits for it any more */
void crypt_cancel(struct crypt_job *job);

#endif
