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

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

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

#endif
