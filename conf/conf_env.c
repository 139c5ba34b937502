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

#include "common/printable.h"

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

/* Empty: nobody can call us */
static int check_as(const char *as, char *why, size_t size)
{
	if (!*as || conf_name_ok(as))
		return 0;
	snprintf(why, size, "PUNCH_AS=%.*s%s: a name has 1 to %d letters, digits, \"-\", \"_\", \".\"",
		 (int)printable_harmless(as), as, printable_rest(as), LIMIT_NAME - 1);
	return -EINVAL;
}

const char *conf_env_meeting(const char *rendezvous)
{
	static const char prefix[] = "none@";

	return strncmp(rendezvous, prefix, sizeof(prefix) - 1) == 0 ? rendezvous + sizeof(prefix) - 1 : NULL;
}

/* HOST[:PORT]s, as in a file */
static int check_servers(const char *rendezvous, char *why, size_t size)
{
	char word[LIMIT_HOST];
	unsigned int count = 0;

	while (conf_word_next(&rendezvous, word, sizeof(word))) {
		if (!conf_server_ok(word)) {
			snprintf(why, size, "PUNCH_RENDEZVOUS=%.*s%s: expected HOST or HOST:PORT, as "
				 "rdv.example.org:4430; a port is 1 to 65535", (int)printable_harmless(word), word,
				 printable_rest(word));
			return -EINVAL;
		}
		if (++count > CONF_SERVERS) {
			snprintf(why, size, "PUNCH_RENDEZVOUS: %s: at most %d servers", word, CONF_SERVERS);
			return -EINVAL;
		}
	}
	return 0;
}

int conf_env_check_quick(const struct local_config *config, char *why, size_t size)
{
	const char *host = conf_env_meeting(config->rendezvous);
	struct endpoint ep;

	if (check_as(config->as, why, size) < 0)
		return -EINVAL;
	if (strcmp(config->rendezvous, "none") == 0) {
		snprintf(why, size, "PUNCH_RENDEZVOUS=none: without a rendezvous the other side's public address is "
			 "needed: none@ADDRESS");
		return -EINVAL;
	}
	if (!host)
		return check_servers(config->rendezvous, why, size);
	if (endpoint_parse(&ep, host, 0) == 0 ? !ep.port && endpoint_is_unicast(&ep) && !endpoint_is_loopback(&ep) :
						 conf_host_ok(host))
		return 0;
	snprintf(why, size, "PUNCH_RENDEZVOUS=%.*s%s: none@ADDRESS wants the other side's public address, or a name "
		 "for it, without a port", (int)printable_harmless(config->rendezvous), config->rendezvous,
		 printable_rest(config->rendezvous));
	return -EINVAL;
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
