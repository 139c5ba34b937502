/* SPDX-License-Identifier: MIT */
/*
 * ticket.c - right to use a relay once, given by the rendezvous
 *
 * The MAC is checked before a byte of the ticket is parsed: what a stranger
 * makes up ends at a comparison.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/convert.h"
#include "common/key.h"
#include "common/file.h"
#include "common/secret.h"
#include "common/ticket.h"

static const char context[] = "punch relay ticket v1";

/* context || 0x00 || ticket */
static int ticket_mac(const uint8_t secret[RELAY_SECRET_SIZE], const uint8_t *ticket, size_t size, uint8_t mac[32])
{
	uint8_t message[sizeof(context) + TICKET_MAX];

	if (size > TICKET_MAX)
		return -EMSGSIZE;
	memcpy(message, context, sizeof(context));
	memcpy(message + sizeof(context), ticket, size);
	return secret_mac(secret, message, sizeof(context) + size, mac);
}

int ticket_seal(const struct ticket *ticket, const uint8_t secret[RELAY_SECRET_SIZE],
		uint8_t out[TICKET_MAX])
{
	Punch__SealedTicket sealed = PUNCH__SEALED_TICKET__INIT;
	Punch__Ticket message = PUNCH__TICKET__INIT;
	uint8_t packed[TICKET_MAX], mac[32];
	size_t size;
	int rc;

	message.session = convert_bytes(ticket->session, SESSION_SIZE);
	message.side = (Punch__RelaySide)ticket->side;
	message.caller_key = convert_bytes(ticket->caller_key, KEY_SIZE);
	message.callee_key = convert_bytes(ticket->callee_key, KEY_SIZE);
	message.expires_s = ticket->expires_s;
	message.nonce = convert_bytes(ticket->nonce, sizeof(ticket->nonce));
	if (punch__ticket__get_packed_size(&message) > sizeof(packed))
		return -EMSGSIZE;
	size = punch__ticket__pack(&message, packed);
	rc = ticket_mac(secret, packed, size, mac);
	if (rc < 0)
		return rc;
	sealed.ticket = convert_bytes(packed, size);
	sealed.mac = convert_bytes(mac, sizeof(mac));
	if (punch__sealed_ticket__get_packed_size(&sealed) > TICKET_MAX)
		return -EMSGSIZE;
	return (int)punch__sealed_ticket__pack(&sealed, out);
}

/* The bytes under a good MAC. Return: 0 or -EBADMSG */
static int ticket_parse(struct ticket *ticket, const ProtobufCBinaryData *data)
{
	Punch__Ticket *message = punch__ticket__unpack(NULL, data->len, data->data);
	int rc = -EBADMSG;

	if (message && message->session.len == SESSION_SIZE && message->caller_key.len == KEY_SIZE &&
	    message->callee_key.len == KEY_SIZE && message->nonce.len == sizeof(ticket->nonce) &&
	    (message->side == PUNCH__RELAY_SIDE__RELAY_SIDE_CALLER ||
	     message->side == PUNCH__RELAY_SIDE__RELAY_SIDE_CALLEE)) {
		memcpy(ticket->session, message->session.data, SESSION_SIZE);
		memcpy(ticket->caller_key, message->caller_key.data, KEY_SIZE);
		memcpy(ticket->callee_key, message->callee_key.data, KEY_SIZE);
		memcpy(ticket->nonce, message->nonce.data, sizeof(ticket->nonce));
		ticket->side = (enum ticket_side)message->side;
		ticket->expires_s = message->expires_s;
		rc = 0;
	}
	if (message)
		punch__ticket__free_unpacked(message, NULL);
	return rc;
}

_Static_assert((int)TICKET_CALLER == (int)PUNCH__RELAY_SIDE__RELAY_SIDE_CALLER &&
	       (int)TICKET_CALLEE == (int)PUNCH__RELAY_SIDE__RELAY_SIDE_CALLEE, "one numbering of sides");

int ticket_open(struct ticket *ticket, const uint8_t secret[RELAY_SECRET_SIZE],
		const uint8_t *data, size_t size, uint64_t now_s)
{
	Punch__SealedTicket *sealed = size <= TICKET_MAX ? punch__sealed_ticket__unpack(NULL, size, data) : NULL;
	uint8_t mac[32];
	int rc = -EBADMSG;

	memset(ticket, 0, sizeof(*ticket));
	if (sealed && sealed->mac.len == sizeof(mac) && sealed->ticket.len > 0 &&
	    ticket_mac(secret, sealed->ticket.data, sealed->ticket.len, mac) == 0 &&
	    secret_equal(mac, sealed->mac.data, sizeof(mac)))
		rc = ticket_parse(ticket, &sealed->ticket);
	if (rc == 0 && ticket->expires_s <= now_s)
		rc = -ETIME;
	if (sealed)
		punch__sealed_ticket__free_unpacked(sealed, NULL);
	return rc;
}

/* Write a fresh secret; somebody else may have been faster. Return: 0 or -errno */
static int secret_make(const char *path)
{
	uint8_t fresh[RELAY_SECRET_SIZE];
	char text[KEY_TEXT_SIZE + 1];
	int rc;

	secret_random(fresh, sizeof(fresh));
	key_text(fresh, text);	/* the same base64 as for keys */
	text[KEY_TEXT_SIZE - 1] = '\n';
	rc = file_create(path, text, KEY_TEXT_SIZE);
	OPENSSL_cleanse(fresh, sizeof(fresh));
	OPENSSL_cleanse(text, sizeof(text));
	return rc == -EEXIST ? 0 : rc;
}

int ticket_secret_load(uint8_t secret[RELAY_SECRET_SIZE], const char *path, int make,
		       char *why, size_t size)
{
	char text[256];
	ssize_t used = file_read_private(path, text, sizeof(text), why, size);
	int rc;

	if (used == -ENOENT && make) {
		rc = secret_make(path);
		if (rc < 0) {
			snprintf(why, size, "%s: cannot write the relay secret: %s", path, strerror(-rc));
			return rc;
		}
		used = file_read_private(path, text, sizeof(text), why, size);
	}
	rc = used < 0 ? (int)used : -EINVAL;
	while (used > 0 && strchr(" \t\r\n", text[used - 1]))
		used--;
	if (used >= 0) {
		text[used] = '\0';	/* file_read_private() leaves room */
		rc = key_parse(secret, text);
		if (rc < 0)
			snprintf(why, size, "%s: a relay secret is one line, 32 bytes in base64; "
				 "make one with: openssl rand -base64 32", path);
	}
	OPENSSL_cleanse(text, sizeof(text));
	return rc;
}
