/* SPDX-License-Identifier: MIT */
/*
 * fuzz_preamble.c - the first bytes on a path, from whoever is at its other end
 *
 * No input may pass under a secret that was made after it.  A good preamble with the input laid over it (XOR)
 * passes only where it is still the same, and never as another kind.
 */
#include <string.h>

#include "common/preamble.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t session[SESSION_SIZE], good[PREAMBLE_SIZE], bytes[PREAMBLE_SIZE] = { 0 };
	enum preamble_kind kind, other;
	struct secret secret;
	bool same = true;
	size_t i;

	if (size < 1)
		return 0;
	kind = (enum preamble_kind)(1 + *data % PREAMBLE_KIND_LAST);
	secret_random(&secret, sizeof(secret));
	secret_random(session, sizeof(session));
	memcpy(bytes, data + 1, size - 1 < sizeof(bytes) ? size - 1 : sizeof(bytes));
	for (other = PREAMBLE_CALLER; other <= PREAMBLE_KIND_LAST; other++)
		MUST(!preamble_check(bytes, other, session, &secret));
	MUST(preamble_make(good, kind, session, &secret) == 0);
	for (i = 0; i < sizeof(good); i++) {
		same = same && bytes[i] == 0;
		bytes[i] ^= good[i];
	}
	for (other = PREAMBLE_CALLER; other <= PREAMBLE_KIND_LAST; other++)
		MUST(preamble_check(bytes, other, session, &secret) == (same && other == kind));
	return 0;
}
