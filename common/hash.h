/* SPDX-License-Identifier: MIT */
/*
 * hash.h - keyed hash for tables whose keys strangers choose
 *
 * SipHash-2-4 (Aumasson and Bernstein, 2012; computed by OpenSSL) under a key
 * that is random in each process: nobody outside can aim at one chain.
 */
#ifndef PUNCH_HASH_H
#define PUNCH_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_SEED_SIZE 16	/* bytes, as SipHash wants them */

/** hash_seed() - fill with random bytes of the kernel; aborts when it has none */
void hash_seed(uint8_t seed[HASH_SEED_SIZE]);

/** hash_bytes() - SipHash-2-4 of @size bytes at @data under @seed */
uint64_t hash_bytes(const uint8_t seed[HASH_SEED_SIZE], const void *data, size_t size);

#endif
