/* SPDX-License-Identifier: MIT */
/*
 * hash.c - keyed hash for tables whose keys strangers choose
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/hash.h"

void hash_seed(uint8_t seed[HASH_SEED_SIZE])
{
	/* 16 bytes are never cut short and never interrupted (getrandom(2): up to 256) */
	if (getrandom(seed, HASH_SEED_SIZE, 0) != HASH_SEED_SIZE)
		abort();
}

static uint64_t load64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static uint64_t rotate(uint64_t v, unsigned int by)
{
	return v << by | v >> (64 - by);
}

static void mix(uint64_t v[4], unsigned int rounds)
{
	while (rounds--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

uint64_t hash_bytes(const uint8_t seed[HASH_SEED_SIZE], const void *data, size_t size)
{
	const uint64_t k0 = load64(seed), k1 = load64(seed + 8);
	uint64_t v[4] = {
		k0 ^ 0x736f6d6570736575ULL, k1 ^ 0x646f72616e646f6dULL,
		k0 ^ 0x6c7967656e657261ULL, k1 ^ 0x7465646279746573ULL,
	};
	const uint8_t *in = data;
	uint8_t tail[8] = { 0 };
	uint64_t word;
	size_t left;

	for (left = size; left >= 8; left -= 8, in += 8) {
		word = load64(in);
		v[3] ^= word;
		mix(v, 2);
		v[0] ^= word;
	}
	if (left)
		memcpy(tail, in, left);
	tail[7] = (uint8_t)size;
	word = load64(tail);
	v[3] ^= word;
	mix(v, 2);
	v[0] ^= word;
	v[2] ^= 0xff;
	mix(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
