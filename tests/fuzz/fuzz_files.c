/* SPDX-License-Identifier: MIT */
/*
 * fuzz_files.c - the other files that are read: keys, the relay's secret, remembered servers, allowed keys
 */
#include <errno.h>
#include <string.h>

#include "common/key.h"
#include "common/ticket.h"
#include "rendezvous/allow.h"
#include "resolver/known.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t bytes[32] = { 0 };
	char why[512] = "";
	struct allow *allow = NULL;
	struct key key;
	unsigned int line;
	const char *path;
	int rc = 0;

	if (size == 0)
		return 0;
	path = fuzz_file(data + 1, size - 1);
	switch (*data % 4) {
	case 0:
		rc = key_load(&key, path, why, sizeof(why));
		key_wipe(&key);
		break;
	case 1:
		rc = ticket_secret_load(bytes, path, 0, why, sizeof(why));
		break;
	case 2:
		rc = allow_load(&allow, path, why, sizeof(why));
		if (rc == 0)
			allow_has(allow, bytes);
		allow_free(allow);
		break;
	default:
		rc = known_find(path, "rdv.example.org", 4430, bytes, &line);
		MUST(rc == 0 || rc == -ENOENT || rc == -EBADMSG || rc == -EFBIG);
		return 0;
	}
	MUST(rc == 0 || strncmp(why, path, strlen(path)) == 0);
	return 0;
}
