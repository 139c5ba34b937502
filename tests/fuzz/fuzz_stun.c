/* SPDX-License-Identifier: MIT */
/*
 * fuzz_stun.c - STUN at both ends: requests of strangers, answers of servers that are not ours
 */
#include <errno.h>
#include <string.h>

#include "common/stun.h"
#include "tests/fuzz/fuzz.h"

static void as_server(const uint8_t *data, size_t size)
{
	struct endpoint from = { .family = AF_INET, .port = 40000, .address = { 203, 0, 113, 7 } }, seen;
	uint8_t out[STUN_MAX];
	struct stun_back back;
	ssize_t bytes;

	if (stun_get_back(data, size, &back))
		stun_answer(data, size, &from, &back, out);
	bytes = stun_answer(data, size, &from, NULL, out);
	if (bytes < 0)
		return;
	MUST(bytes >= STUN_HEADER && bytes <= STUN_MAX && stun_size(out, (size_t)bytes) == bytes);
	if (stun_mapped(out, (size_t)bytes, data + 8, &seen) == 0)	/* else it was an error response */
		MUST(seen.family == AF_INET && seen.port == 40000 && memcmp(seen.address, from.address, 4) == 0);
}

static void as_client(const uint8_t *data, size_t size)
{
	uint8_t id[STUN_ID] = { 0 };
	struct endpoint seen;

	if (size >= STUN_HEADER)
		memcpy(id, data + 8, sizeof(id));
	if (stun_mapped(data, size, id, &seen) == 0) {
		MUST(seen.port != 0 && endpoint_is_unicast(&seen));
		id[0] ^= 1;
		MUST(stun_mapped(data, size, id, &seen) == -EBADMSG);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ssize_t whole;

	if (size == 0)
		return 0;
	/* In a place of just this size, as a reader has it who goes by stun_size() */
	whole = stun_size(data, size);
	MUST(whole <= STUN_MAX);
	as_server(data, size);
	as_client(data, size);
	if (whole > 0 && (size_t)whole < size) {
		uint8_t *exact = malloc((size_t)whole);

		MUST(exact);
		memcpy(exact, data, (size_t)whole);
		as_server(exact, (size_t)whole);
		as_client(exact, (size_t)whole);
		free(exact);
	}
	return 0;
}
