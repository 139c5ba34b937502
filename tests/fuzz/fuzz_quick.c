/* SPDX-License-Identifier: MIT */
/*
 * fuzz_quick.c - quick mode: a caller's sealed name
 *
 * The first byte, modulo 4.  0 and 2: the rest as it came, which must not open.  1: the rest, as a name, is
 * sealed; it opens to itself.  3: the rest is sealed as it is, for whoever knows the word can; what opens is a
 * string.  Of what was sealed nothing opens once a byte is changed, which the second byte chooses.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/quick.h"
#include "common/secret.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/quick_plain.h"

static const uint8_t session[SESSION_SIZE], caller[KEY_SIZE], callee[KEY_SIZE] = { 1 };
static struct quick quick;

static void open_changed(uint8_t sealed[QUICK_SEALED_MAX], size_t bytes, uint8_t which)
{
	char opened[LIMIT_NAME];

	sealed[which % bytes] ^= 0x40;
	MUST(quick_open(&quick, sealed, bytes, session, caller, callee, opened) == -EBADMSG);
}

static void seal_name(const uint8_t *data, size_t size, uint8_t which)
{
	char name[LIMIT_NAME], opened[LIMIT_NAME];
	uint8_t sealed[QUICK_SEALED_MAX];
	int bytes;

	snprintf(name, sizeof(name), "%.*s", (int)(size < 62 ? size : 62), (const char *)data);
	bytes = quick_seal(&quick, name, session, caller, callee, sealed);
	if (bytes < 0)
		return;		/* ".punch" alone is no name */
	MUST(bytes > 0 && bytes <= QUICK_SEALED_MAX);
	if (quick_open(&quick, sealed, (size_t)bytes, session, caller, callee, opened) == 0)
		MUST(strncasecmp(name, opened, strlen(opened)) == 0);	/* lower case, without ".punch" */
	open_changed(sealed, (size_t)bytes, which);
}

static void seal_plain(const uint8_t *data, size_t size, uint8_t which)
{
	uint8_t plain[LIMIT_NAME] = { 0 }, sealed[QUICK_SEALED_MAX];
	char opened[LIMIT_NAME];
	int rc;

	memcpy(plain, data, size < sizeof(plain) ? size : sizeof(plain));
	MUST(quick_plain_seal(&quick, plain, session, caller, callee, sealed));
	memset(opened, 'n', sizeof(opened));
	rc = quick_open(&quick, sealed, sizeof(sealed), session, caller, callee, opened);
	MUST(rc == 0 || rc == -EBADMSG);
	MUST(memchr(opened, 0, sizeof(opened)));
	if (rc == 0)
		MUST(strcmp(opened, (const char *)plain) == 0);
	open_changed(sealed, sizeof(sealed), which);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char opened[LIMIT_NAME];

	if (size < 2)
		return 0;
	secret_random(quick.master, sizeof(quick.master));
	if (*data % 2 == 0)
		MUST(quick_open(&quick, data + 1, size - 1, session, caller, callee, opened) == -EBADMSG);
	else if (*data % 4 == 1)
		seal_name(data + 2, size - 2, data[1]);
	else
		seal_plain(data + 2, size - 2, data[1]);
	return 0;
}
