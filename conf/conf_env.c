/* SPDX-License-Identifier: MIT */
/*
 * conf_env.c - what the environment alone configures: quick mode, and how a connection is tried
 *
 * Linked into the shim, whose constructor reads it at each program's start: nothing of stdio unless something is wrong.
 */
#include "conf/conf_env.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DIGITS_MOST	6	/* of PUNCH_TIMEOUT: what is longer is no number of seconds */

/* Return: false when it does not fit, with @why */
static bool copy_variable(char *out, size_t room, const char *name, char *(*getenv_)(const char *), char *why,
			  size_t size)
{
	const char *value = getenv_(name);

	if (!value)
		value = "";
	if (strlen(value) >= room) {
		snprintf(why, size, "%s has %zu characters, at most %zu are allowed", name, strlen(value), room - 1);
		return false;
	}
	strcpy(out, value);
	return true;
}

int conf_env_quick(struct local_config *config, char *(*getenv_)(const char *), char *why, size_t size)
{
	const char *secret = getenv_("PUNCH_SECRET");

	if (!secret || !*secret)
		return -ENOENT;
	if (!copy_variable(config->secret, sizeof(config->secret), "PUNCH_SECRET", getenv_, why, size) ||
	    !copy_variable(config->as, sizeof(config->as), "PUNCH_AS", getenv_, why, size) ||
	    !copy_variable(config->rendezvous, sizeof(config->rendezvous), "PUNCH_RENDEZVOUS", getenv_, why, size))
		return -EINVAL;
	if (!config->rendezvous[0]) {
		snprintf(why, size, "PUNCH_SECRET is set but not PUNCH_RENDEZVOUS: HOST[:PORT] of the rendezvous");
		return -EINVAL;
	}
	return 0;
}

/* Return: 0 when it is no number, or none that we take */
static uint32_t parse_seconds(const char *text)
{
	uint32_t seconds = 0;
	size_t i;

	for (i = 0; text[i] >= '0' && text[i] <= '9' && i < DIGITS_MOST; i++)
		seconds = seconds * 10 + (uint32_t)(text[i] - '0');
	return i && (!text[i] || text[i] == '.') ? seconds : 0;
}

uint32_t conf_env_timeout_ms(char *(*getenv_)(const char *), char *why, size_t size)
{
	const char *text = getenv_("PUNCH_TIMEOUT");
	uint32_t seconds;

	why[0] = '\0';
	if (!text || !*text)
		return TIMEOUT_DEFAULT_S * 1000;
	seconds = parse_seconds(text);
	if (!seconds) {
		snprintf(why, size, "PUNCH_TIMEOUT = \"%s\": should be seconds from 1 to %d; using %d", text,
			 TIMEOUT_MOST_S, TIMEOUT_DEFAULT_S);
		seconds = TIMEOUT_DEFAULT_S;
	} else if (seconds > TIMEOUT_MOST_S) {
		snprintf(why, size, "PUNCH_TIMEOUT = \"%s\": at most %d seconds; using %d", text, TIMEOUT_MOST_S,
			 TIMEOUT_MOST_S);
		seconds = TIMEOUT_MOST_S;
	}
	return seconds * 1000;
}

enum conf_route conf_env_route(char *(*getenv_)(const char *), char *why, size_t size)
{
	static const char *const names[] = {
		[CONF_ROUTE_AUTO] = "auto", [CONF_ROUTE_DIRECT] = "direct", [CONF_ROUTE_RELAY] = "relay",
	};
	const char *text = getenv_("PUNCH_ROUTE");
	unsigned int i;

	why[0] = '\0';
	if (!text || !*text)
		return CONF_ROUTE_AUTO;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i]) == 0)
			return (enum conf_route)i;
	snprintf(why, size, "PUNCH_ROUTE = \"%s\": should be auto, direct or relay; using auto", text);
	return CONF_ROUTE_AUTO;
}
