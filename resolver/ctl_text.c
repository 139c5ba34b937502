/* SPDX-License-Identifier: MIT */
/*
 * ctl_text.c - words of punchctl's command line
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/endpoint.h"
#include "resolver/ctl_text.h"

int ctl_text_port(const char *text, uint16_t *port)
{
	unsigned long number;
	char *end;

	if (*text < '0' || *text > '9')		/* strtoul() takes signs and blanks */
		return -EINVAL;
	number = strtoul(text, &end, 10);
	if (*end || !number || number > UINT16_MAX)
		return -EINVAL;
	*port = (uint16_t)number;
	return 0;
}

int ctl_text_peer(const char *text, char peer[LIMIT_HOST], uint16_t *port)
{
	char address[ENDPOINT_TEXT_SIZE];
	struct endpoint ep;
	const char *colon;
	size_t length;

	*port = 0;
	if (!endpoint_parse(&ep, text, 0)) {	/* an alias that is an address */
		*port = ep.port;
		snprintf(peer, LIMIT_HOST, "%s", endpoint_format_address(&ep, address));
		return 0;
	}
	colon = strchr(text, ':');
	length = colon ? (size_t)(colon - text) : strlen(text);
	if (!length || length >= LIMIT_HOST || (colon && ctl_text_port(colon + 1, port)))
		return -EINVAL;
	memcpy(peer, text, length);
	peer[length] = '\0';
	return 0;
}
