/* SPDX-License-Identifier: MIT */
/*
 * hash.c - keyed hash for tables whose keys strangers choose: SipHash-2-4, by OpenSSL
 */
#include <stdlib.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "common/hash.h"
#include "common/secret.h"

void hash_seed(uint8_t seed[HASH_SEED_SIZE])
{
	secret_random(seed, HASH_SEED_SIZE);
}

/* Made at the first use; programs of ours that hash have one thread */
static EVP_MAC_CTX *context(void)
{
	static EVP_MAC_CTX *ctx;
	EVP_MAC *mac;

	if (ctx)
		return ctx;
	mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	EVP_MAC_free(mac);
	return ctx;
}

uint64_t hash_bytes(const uint8_t seed[HASH_SEED_SIZE], const void *data, size_t size)
{
	size_t wanted = sizeof(uint64_t), got = 0;
	const OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &wanted),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC_CTX *ctx = context();
	uint8_t out[sizeof(uint64_t)];
	uint64_t value = 0;
	unsigned int i;

	/* Without it the tables would be open to whoever chooses their keys */
	if (!ctx || EVP_MAC_init(ctx, seed, HASH_SEED_SIZE, parameters) != 1 ||
	    EVP_MAC_update(ctx, data, size) != 1 || EVP_MAC_final(ctx, out, &got, sizeof(out)) != 1 ||
	    got != sizeof(out))
		abort();
	for (i = sizeof(out); i; i--)
		value = value << 8 | out[i - 1];
	return value;
}
