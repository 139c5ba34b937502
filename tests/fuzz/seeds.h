/* SPDX-License-Identifier: MIT */
/*
 * seeds.h - what seeds.c and seeds_chunks.c share
 */
#ifndef PUNCH_TESTS_SEEDS_H
#define PUNCH_TESTS_SEEDS_H

#include <stddef.h>

/** save() - one input. @head: first byte, -1: none */
void save(const char *target, const char *name, int head, const void *data, size_t size);

/** seeds_chunks() - for the targets whose input is a list of chunks */
void seeds_chunks(void);

#endif
