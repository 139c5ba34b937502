/* SPDX-License-Identifier: MIT */
/*
 * encrypt.c - what two sides' wishes for the encryption of payload come to
 *
 * Pure: the callee settles it with both wishes before it, and what it settled stands in its signed
 * answer, from which both derive the keys.  So nobody between them can talk them out of it.
 */
#include <assert.h>
#include <errno.h>

#include "resolver/encrypt.h"

static const char *const cover_names[] = { "bare", "tls-kernel", "tls-pump" };
static_assert(sizeof(cover_names) / sizeof(cover_names[0]) == ENCRYPT_COVER_COUNT, "each cover has a name");

const char *encrypt_cover_name(enum encrypt_cover cover)
{
	return cover < ENCRYPT_COVER_COUNT ? cover_names[cover] : "?";
}

enum conf_encrypt encrypt_wish(enum conf_encrypt peer, enum conf_encrypt service)
{
	if (peer == CONF_ENCRYPT_YES || service == CONF_ENCRYPT_YES)
		return CONF_ENCRYPT_YES;
	if (peer == CONF_ENCRYPT_NO || service == CONF_ENCRYPT_NO)
		return CONF_ENCRYPT_NO;
	return CONF_ENCRYPT_AUTO;
}

/*
 * IANA: ssh, https, submissions, ldaps, domain-s, ftps-data to pop3s (989 to 995), docker-s, xmpps (5223, 5270), amqps,
 * ircs-u, secure-mqtt.  A port that may carry either (8443, 9443) is left out: twice encrypted is slow, not
 * encrypted is a leak.
 */
bool encrypt_port_is_private(uint16_t port)
{
	static const uint16_t ports[] = {
		22, 443, 465, 636, 853, 989, 990, 991, 992, 993, 994, 995, 2376, 5223, 5270, 5671, 6697, 8883,
	};
	unsigned int i;

	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		if (ports[i] == port)
			return true;
	}
	return false;
}

int encrypt_settle(enum conf_encrypt caller, enum conf_encrypt callee, uint16_t port, bool *encrypted)
{
	enum conf_encrypt both = encrypt_wish(caller, callee);

	*encrypted = false;
	if (!port)
		return 0;
	if (both == CONF_ENCRYPT_YES && (caller == CONF_ENCRYPT_NO || callee == CONF_ENCRYPT_NO))
		return -EPROTO;
	*encrypted = both == CONF_ENCRYPT_YES || (both == CONF_ENCRYPT_AUTO && !encrypt_port_is_private(port));
	return 0;
}
