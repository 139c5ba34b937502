/* SPDX-License-Identifier: MIT */
/*
 * seal.h - TLS 1.3 between the two ends of one connection, keyed from their session's secret
 */
#ifndef PUNCH_SEAL_H
#define PUNCH_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/limits.h"

#define SEAL_RECORD	16384		/* bytes of payload in one record at most (RFC 8446, 5.1) */
#define SEAL_RECORDS	8		/* taken for each call: a system call costs more than its ciphers */
#define SEAL_CHUNK	(SEAL_RECORDS * SEAL_RECORD)
#define SEAL_ROOM	(SEAL_CHUNK + (SEAL_RECORDS + 4) * 256)	/* the same encrypted, and a KeyUpdate and an alert */

/* Records that are opened in one call: those of one byte cost as much as long ones, and other
 * connections want their turn */
#define SEAL_TURN	64

/*
 * Records without data, new keys above all, that the far end may send: so many, and one more for each
 * SEAL_BARE_EACH records of data.  One that is like us sends one for each SEAL_REKEY.  Each
 * costs as much as 8 KiB of data
 */
#define SEAL_BARE	1024
#define SEAL_BARE_EACH	1024

/* RFC 8446, 5.5: AES-GCM wants a new key after 2^24.5 records */
#define SEAL_REKEY	(1ull << 24)

/* What one side's kernel can do (ktls.h) */
enum seal_kernel {
	SEAL_KERNEL_CHACHA = 1,
	SEAL_KERNEL_AES = 2,
};

struct seal;

/**
 * seal_prepare() - load what OpenSSL would load when it needs it first, for a process that will not open files any more
 */
void seal_prepare(void);

/**
 * struct seal_setup
 * @caller:	the TLS client
 * @session:	SESSION_SIZE bytes, kept by copy; the name of the key
 * @key:	32 bytes: secret.traffic; not kept
 * @fd:		connected, non-blocking; stays the caller's
 * @kernel:	enum seal_kernel bits: this end is to go on in the kernel after the handshake. 0: in this process
 */
struct seal_setup {
	bool caller;
	const uint8_t *session;
	const uint8_t *key;
	int fd;
	unsigned int kernel;
};

/** seal_new() - Return: NULL when out of memory */
struct seal *seal_new(const struct seal_setup *setup);

/** seal_free() - says nothing to the far end; keys are wiped */
void seal_free(struct seal *seal);

/**
 * seal_shake() - go on with the handshake; reads not a byte behind it
 * @wants_write: set on -EAGAIN: wait for the socket to be writable, else readable
 * Return: 0 done; -EAGAIN; -EKEYREJECTED the far end has another key or is no TLS; -ECONNRESET it went away
 */
int seal_shake(struct seal *seal, bool *wants_write);

/** seal_cipher() - after the handshake, for logs */
const char *seal_cipher(const struct seal *seal);

/**
 * seal_user() - do both ends stay in user space?  Then keys are renewed and the end of the data is
 * authenticated; the kernel can do neither (Linux before 6.14 ends a connection at a KeyUpdate, and
 * read() fails at an alert)
 */
bool seal_user(const struct seal *seal);

/**
 * struct seal_keys - traffic keys for the kernel
 * @chacha:	ChaCha20-Poly1305 (32 bytes of @key), else AES-128-GCM (16)
 */
struct seal_keys {
	bool chacha;
	struct {
		uint8_t key[32];
		uint8_t iv[12];
	} out, in;
};

/** seal_take_keys() - of both directions, record numbers 0; only right after the handshake. Return: 0 or -EIO */
int seal_take_keys(struct seal *seal, struct seal_keys *keys);

/** seal_flow() - after the handshake, to use the three calls below: read ahead from the socket. Return: 0 or -ENOMEM */
int seal_flow(struct seal *seal);

/**
 * seal_encrypt() - encrypt
 * @in, @size:	at most SEAL_CHUNK bytes; 0: the end of the data
 * @out:	SEAL_ROOM bytes
 * Return: bytes in @out, which may be 0, or -EIO
 */
ssize_t seal_encrypt(struct seal *seal, const uint8_t *in, size_t size, uint8_t *out);

/**
 * seal_decrypt() - read from the socket and decrypt; at most SEAL_TURN records, so there may be more, whether or not
 * the socket is readable: call it until it says -EAGAIN
 * @size:	more than SEAL_CHUNK by SEAL_RECORD, and all that was read at once is usually done at once
 * @end:	set when the far end has ended its data in order
 * Return: bytes in @out (0: with @end, or a turn of records without data), -EAGAIN, -ECONNRESET (also: cut
 * off before its end), -EBADMSG (altered on the way), -EPROTO (too many records without data), -ENOMEM
 */
ssize_t seal_decrypt(struct seal *seal, uint8_t *out, size_t size, bool *end);

/** seal_set_rekey() - for tests: a new key after @records instead of SEAL_REKEY */
void seal_set_rekey(uint64_t records);

/** seal_rekeys() - for tests: keys renewed so far for what we send */
unsigned int seal_rekeys(const struct seal *seal);

#endif
