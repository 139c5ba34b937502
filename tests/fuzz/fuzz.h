/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - what the fuzz targets share
 *
 * A target is a function from bytes to nothing.  It calls the decoder under test as its real caller does
 * and aborts where a promise of the decoder's header is broken; the sanitizers see the rest.
 * Each decodes twice where it can: what was accepted, written again and read again, must be the same.
 */
#ifndef PUNCH_TESTS_FUZZ_H
#define PUNCH_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/endpoint.h"

/** LLVMFuzzerTestOneInput() - libFuzzer's entry. Return: 0 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** LLVMFuzzerInitialize() - called once, before the first input. Return: 0 */
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define MUST(what) do {							\
	if (!(what)) {							\
		fprintf(stderr, "broken promise: %s, line %d: %s\n", __FILE__, __LINE__, #what); \
		abort();						\
	}								\
} while (0)

/** fuzz_file() - the input as a file of mode 0600, the same one each time. Return: its path */
const char *fuzz_file(const uint8_t *data, size_t size);

/**
 * struct chunk - one step of an input that is a list of them: what comes at one time
 * @head:	what to do, as the target has it
 * @data, @size: in the input
 */
struct chunk {
	uint8_t head;
	const uint8_t *data;
	size_t size;
};

/**
 * fuzz_chunk() - the next one: head, length (16 bits), bytes; the last may be shorter than its length says
 * @data, @size: what is left of the input; advanced
 * Return: false at its end
 */
bool fuzz_chunk(const uint8_t **data, size_t *size, struct chunk *chunk);

struct event_base;

/** fuzz_turn() - let the loop handle all that is due now, @turns times */
void fuzz_turn(struct event_base *base, int turns);

/**
 * fuzz_listen() - on 127.0.0.@host
 * @port:	0: any
 * Return: non-blocking listener; it aborts when there is none
 */
int fuzz_listen(uint8_t host, uint16_t *port);

/**
 * fuzz_accept() - the next connection, if there is one now
 * It ends by RST, so that no port stays in TIME_WAIT. Return: non-blocking descriptor or -1
 */
int fuzz_accept(int listener);

/**
 * fuzz_pass() - a descriptor to be passed to a resolver
 * @kind:	modulo 6: none, TCP socket, IPv6 one, a listener on @port of 127.0.0.1, datagram socket, standard input
 * Return: descriptor, the caller's; -1
 */
int fuzz_pass(uint8_t kind, uint16_t port);

/** fuzz_connect() - begin to connect by IPv4. Return: non-blocking descriptor, which ends by RST */
int fuzz_connect(const struct endpoint *to);

/** fuzz_ahead - seconds that clock_gettime() and time() of the code under test are ahead (clock.c) */
extern uint64_t fuzz_ahead;

#endif
