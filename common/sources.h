/* SPDX-License-Identifier: MIT */
/*
 * sources.h - how much each address of the Internet may ask of a server
 *
 * Pure (libc only).  Counts open connections and limits new ones per source: an IPv4 address, or
 * an IPv6 /64 (the smallest network one host gets, RFC 6177).  Memory is bounded: sources without connections are
 * forgotten, the longest idle one first, when the table is full.
 */
#ifndef PUNCH_SOURCES_H
#define PUNCH_SOURCES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bucket.h"
#include "common/endpoint.h"

struct sources;

#define SOURCE_PREFIX_SIZE	9	/* family mark and 8 bytes: an IPv4 address padded, or a /64 */

/** source_prefix() - what all endpoints of one source have in common */
void source_prefix(const struct endpoint *from, uint8_t prefix[SOURCE_PREFIX_SIZE]);

/**
 * sources_new()
 * @max:	sources remembered at one time
 * @open:	connections of one source at one time
 * @rate:	new connections of one source
 * Return: sources_free(), or NULL without memory
 */
struct sources *sources_new(unsigned int max, unsigned int open, const struct rate *rate);
void sources_free(struct sources *sources);

/**
 * sources_admit() - a connection came from @from
 * Return: 0 (give it back by sources_release()), -EUSERS (too many open),
 * -EAGAIN (too fast), -ENOBUFS (table full of sources with open connections)
 */
int sources_admit(struct sources *sources, const struct endpoint *from, uint64_t now);

/** sources_release() - a connection that was admitted has ended */
void sources_release(struct sources *sources, const struct endpoint *from, uint64_t now);

#define SOURCES_PURSES	2

/**
 * sources_spend() - something else that is limited by source, with a rate of its own
 * @from:	of a connection that was admitted
 * @purse:	number of that something, below SOURCES_PURSES
 * @rate:	the same for all calls on one table with one purse
 * Return: true when there was a token
 */
bool sources_spend(struct sources *sources, const struct endpoint *from, unsigned int purse, const struct rate *rate,
		   uint64_t now);

/** sources_count() - for tests: sources remembered now */
unsigned int sources_count(const struct sources *sources);

#endif
