/* SPDX-License-Identifier: MIT */
/*
 * pin.c - is this the server that is meant?
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/key.h"
#include "common/log.h"
#include "resolver/known.h"
#include "resolver/pin.h"

void pin_init(struct pin *pin, const char *text)
{
	char address[ENDPOINT_TEXT_SIZE];
	struct endpoint ep;
	const char *colon;
	size_t length;

	memset(pin, 0, sizeof(*pin));
	pin->port = PORT_RENDEZVOUS;
	if (!endpoint_parse(&ep, text, PORT_RENDEZVOUS)) {
		snprintf(pin->host, sizeof(pin->host), "%s", endpoint_format_address(&ep, address));
		pin->port = ep.port;
		return;
	}
	colon = strrchr(text, ':');
	length = colon ? (size_t)(colon - text) : strlen(text);
	if (colon)
		pin->port = (uint16_t)strtoul(colon + 1, NULL, 10);
	if (length >= sizeof(pin->host))
		length = sizeof(pin->host) - 1;
	memcpy(pin->host, text, length);
}

static int check_configured(const struct conf_node *conf, const uint8_t key[KEY_SIZE],
			    char *why, size_t size)
{
	uint8_t pinned[KEY_SIZE];
	char shown[KEY_TEXT_SIZE];

	if (key_parse(pinned, conf->rendezvous_key)) {
		snprintf(why, size, "%s: [node] rendezvous-key = %s: is no public key "
			 "(44 characters, as `punchctl pubkey` prints)",
			 conf->path, conf->rendezvous_key);
		return -EBADMSG;
	}
	if (!memcmp(pinned, key, KEY_SIZE))
		return 0;
	snprintf(why, size, "it showed the key %s, but %s has rendezvous-key = %s: "
		 "it was set up anew or is not the server you mean; ask its owner, then correct rendezvous-key",
		 key_text(key, shown), conf->path, conf->rendezvous_key);
	return -EKEYREJECTED;
}

/* Where a key is remembered when no file can be written */
#define MEMORY "this punch-resolver (which has no file to write to; \"punchctl stop\" makes it forget)"

static int refuse_other(const uint8_t key[KEY_SIZE], const uint8_t remembered[KEY_SIZE],
			const char *where, char *why, size_t size)
{
	char shown[KEY_TEXT_SIZE], old[KEY_TEXT_SIZE];

	snprintf(why, size, "it showed the key %s, but %s remembers %s from before: "
		 "it was set up anew or somebody sits in between; ask its owner, then remove that memory "
		 "or set rendezvous-key in [node]",
		 key_text(key, shown), where, key_text(remembered, old));
	return -EKEYREJECTED;
}

/*
 * What the file says of this key.  Only where it is known to have no line for the server is nothing known: whoever
 * can use up our descriptors must not make us forget.
 * Return: 0 the one remembered, -ENOENT nothing is remembered, or why it is refused
 */
static int look_up(const struct pin *pin, const char *path, const uint8_t key[KEY_SIZE], char *why, size_t size)
{
	char where[LIMIT_PATH + 32];
	uint8_t remembered[KEY_SIZE];
	unsigned int line;
	int found = known_find(path, pin->host, pin->port, remembered, &line);

	if (found == -ENOENT || found == -ENOTDIR)
		return -ENOENT;
	snprintf(where, sizeof(where), "%s line %u", path, line);
	if (found == 0)
		return memcmp(remembered, key, KEY_SIZE) ? refuse_other(key, remembered, where, why, size) : 0;
	if (found == -EBADMSG || found == -EFBIG) {
		snprintf(why, size, "%s: %s; correct or remove it", where,
			 found == -EFBIG ? "the file is too long" : "should be HOST PORT KEY");
		return -EBADMSG;
	}
	snprintf(why, size, "whether its key is the one of before cannot be told: %s: %s; mend that, "
		 "or set rendezvous-key in [node]", path, found == -EINVAL ? "not a regular file" : strerror(-found));
	return found;
}

/* Nothing known forbids this key: remember it. @error: why there is no file for it, or 0.
 * Return: as look_up(), but for -ENOENT */
static int trust(struct pin *pin, const uint8_t key[KEY_SIZE], const char *path, int error, char *why, size_t size)
{
	char text[KEY_TEXT_SIZE];
	int found;

	if (!error) {
		error = known_add(path, pin->host, pin->port, key);
		/* Another resolver may have come before us, with another key; or the file was not even read */
		found = error ? look_up(pin, path, key, why, size) : -ENOENT;
		if (found != -ENOENT)
			return found;
	}
	if (error)
		log_warn("rendezvous %s port %u: key %s trusted for now, but %s: %s; set rendezvous-key in [node]",
			 pin->host, pin->port, key_text(key, text), *path ? path : "there is no state folder",
			 strerror(-error));
	else
		log_info("rendezvous %s port %u: key %s trusted on first use, remembered in %s",
			 pin->host, pin->port, key_text(key, text), path);
	/* Only then: whoever removes the line from the file wants the server to be trusted anew */
	pin->seen = error != 0;
	memcpy(pin->key, key, KEY_SIZE);
	return 0;
}

int pin_check(struct pin *pin, const struct conf_node *conf, const uint8_t key[KEY_SIZE],
	      char *why, size_t size)
{
	char path[LIMIT_PATH];
	int no_folder, found = -ENOENT;

	if (*conf->rendezvous_key)
		return check_configured(conf, key, why, size);
	no_folder = conf_state_path(path, KNOWN_FILE, secure_getenv);
	if (no_folder)
		*path = '\0';
	else
		found = look_up(pin, path, key, why, size);
	if (found != -ENOENT)
		return found;
	if (!pin->seen)
		return trust(pin, key, path, no_folder, why, size);
	return memcmp(pin->key, key, KEY_SIZE) ? refuse_other(key, pin->key, MEMORY, why, size) : 0;
}
