/* SPDX-License-Identifier: MIT */
/*
 * fuzz_quick.c - quick mode: a caller's sealed name
 *
 * Even first byte: as it came, which must not open.  Odd: the rest, as a name, is sealed; it opens to
 * itself, and no more once a byte of it is changed.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/quick.h"
#include "common/secret.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t session[SESSION_SIZE], caller[KEY_SIZE], callee[KEY_SIZE] = { 1 };
	char name[LIMIT_NAME], opened[LIMIT_NAME];
	uint8_t sealed[QUICK_SEALED_MAX];
	struct quick quick;
	int bytes;

	if (size < 2)
		return 0;
	secret_random(quick.master, sizeof(quick.master));
	if (*data % 2 == 0) {
		MUST(quick_open(&quick, data + 1, size - 1, session, caller, callee, opened) == -EBADMSG);
		return 0;
	}
	snprintf(name, sizeof(name), "%.*s", (int)(size - 2 < 62 ? size - 2 : 62), (const char *)data + 2);
	bytes = quick_seal(&quick, name, session, caller, callee, sealed);
	if (bytes < 0)
		return 0;	/* ".punch" alone is no name */
	MUST(bytes > 0 && bytes <= QUICK_SEALED_MAX);
	if (quick_open(&quick, sealed, (size_t)bytes, session, caller, callee, opened) == 0)
		MUST(strncasecmp(name, opened, strlen(opened)) == 0);	/* lower case, without ".punch" */
	sealed[data[1] % bytes] ^= 0x40;
	MUST(quick_open(&quick, sealed, (size_t)bytes, session, caller, callee, opened) == -EBADMSG);
	return 0;
}
