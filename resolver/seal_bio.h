/* SPDX-License-Identifier: MIT */
/*
 * seal_bio.h - many TLS records for each system call, below OpenSSL
 *
 * OpenSSL reads and writes record by record.  Its own read-ahead moves all that it has read to the front of
 * its buffer for each record that it takes out: with 128 KiB read at once, each byte is moved 3.5 times.  So it reads
 * out of a buffer of ours instead, which all connections share, and what it writes is gathered in memory.
 */
#ifndef PUNCH_SEAL_BIO_H
#define PUNCH_SEAL_BIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/bio.h>

/**
 * struct seal_bio - below one connection's SSL
 * @fd:		read from; the caller's
 * @out, @room:	where records are gathered; NULL: writing fails
 * @used:	bytes in @out
 * @served:	the last that OpenSSL asked for was there
 * @next, @left: read from the socket and not taken yet
 * @rest:	@next is in here, of malloc(), rather than in what all share; NULL when nothing
 *		is left between two calls
 * @ended:	end of file
 */
struct seal_bio {
	int fd;
	uint8_t *out;
	size_t used, room;
	bool served;
	const uint8_t *next;
	size_t left;
	uint8_t *rest;
	bool ended;
};

/** seal_bio_new() - to read from and write to; @io outlives it. Return: NULL when out of memory */
BIO *seal_bio_new(struct seal_bio *io);

/** seal_bio_keep() - before another connection reads: move what is left to memory of its own. Return: 0 or -ENOMEM */
int seal_bio_keep(struct seal_bio *io);

/** seal_bio_end() - free what is left */
void seal_bio_end(struct seal_bio *io);

#endif
