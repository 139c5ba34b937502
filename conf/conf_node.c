/* SPDX-License-Identifier: MIT */
/*
 * conf_node.c - punch.conf: who we are, which peers we know, what we serve
 *
 * A broken file still yields all names in it: while it is being mended, its
 * peers' names must not go to DNS.  So a peer whose section has an error is
 * kept with what is right of it, even a second section of the same name.
 *
 * Linked into the shim.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "conf/conf_reading.h"

static const char *const encrypt_names[] = { "auto", "yes", "no", NULL };
static const char *const yes_names[] = { "yes", "no", NULL };
static const char *const mapping_names[] = { "yes", "no", "pcp", "nat-pmp", "upnp", NULL };
static const char *const route_names[] = { "auto", "direct", "relay", NULL };

_Static_assert(CONF_ENCRYPT_NO == 2 && CONF_ROUTE_RELAY == 2 && CONF_MAPPING_UPNP == 4,
	       "the names stand in the order of the enums");

/* ------------------------------------------------------------ [node] */

static struct conf_node *node_of(struct conf_walk *walk)
{
	return ((struct reading *)walk->out)->conf;
}

static void take_node_name(struct conf_walk *walk, const char *value)
{
	if (!conf_name_ok(value))
		conf_fail(walk, value, "a name has 1 to %d letters, digits, \"-\", \"_\", \".\"", LIMIT_NAME - 1);
	else
		strcpy(node_of(walk)->name, value);
}

static void take_node_key(struct conf_walk *walk, const char *value)
{
	conf_take_path(walk, value, node_of(walk)->key);
}

static void take_rendezvous(struct conf_walk *walk, const char *value)
{
	if (conf_word_in(value, "none") && strcmp(value, "none") != 0)
		conf_fail(walk, value, "none stands alone: peers are then met at their address, without any server");
	else if (conf_take_hosts(walk, value, false, CONF_SERVERS, node_of(walk)->rendezvous))
		node_of(walk)->serverless = strcmp(value, "none") == 0;
}

static void take_rendezvous_key(struct conf_walk *walk, const char *value)
{
	conf_take_public_key(walk, value, node_of(walk)->rendezvous_key);
}

static void take_aggressive(struct conf_walk *walk, const char *value)
{
	unsigned int no;

	if (conf_take_choice(walk, value, yes_names, &no))
		node_of(walk)->cautious = no;
}

static void take_keepalive(struct conf_walk *walk, const char *value)
{
	unsigned int seconds;

	if (strcmp(value, "auto") == 0)
		node_of(walk)->keepalive = CONF_KEEPALIVE_AUTO;
	else if (strcmp(value, "no") == 0)
		node_of(walk)->keepalive = CONF_KEEPALIVE_NO;
	else if (conf_number(value, 1, CONF_KEEPALIVE_MOST, &seconds))
		node_of(walk)->keepalive = seconds;
	else
		conf_fail(walk, value, "expected auto, no, or seconds from 1 to %u", CONF_KEEPALIVE_MOST);
}

static void take_stun(struct conf_walk *walk, const char *value)
{
	const char *cursor = value;
	char word[CONF_WORDS];
	struct endpoint ep;

	if (!conf_take_hosts(walk, value, false, CONF_SERVERS, node_of(walk)->stun))
		return;
	while (conf_word_next(&cursor, word, sizeof(word))) {
		if (endpoint_parse(&ep, word, 1) == 0 && ep.family == AF_INET6)
			conf_fail(walk, word, "these servers are asked by IPv4, to whose NATs it matters; a name or an "
				  "IPv4 address is wanted");
	}
}

static void take_port_mapping(struct conf_walk *walk, const char *value)
{
	unsigned int n;

	if (conf_take_choice(walk, value, mapping_names, &n))
		node_of(walk)->port_mapping = (enum conf_mapping)n;
}

static const struct conf_key node_keys[] = {
	{ "name", take_node_name },
	{ "key", take_node_key },
	{ "rendezvous", take_rendezvous },
	{ "rendezvous-key", take_rendezvous_key },
	{ "aggressive", take_aggressive },
	{ "keepalive", take_keepalive },
	{ "port-mapping", take_port_mapping },
	{ "stun", take_stun },
	{ NULL, NULL },
};

/* ------------------------------------------------------------ [peer NAME] */

/* Room for one more in an array that doubles. Return: the new, zeroed element or NULL */
static void *grow(void **array, unsigned int *count, size_t size)
{
	unsigned int n = *count;
	char *bigger = *array;

	if ((n & (n - 1)) == 0) {	/* 0 or a power of two: full */
		bigger = realloc(*array, (n ? n * 2 : 1) * size);
		if (!bigger)
			return NULL;
		*array = bigger;
	}
	*count = n + 1;
	return memset(bigger + n * size, 0, size);
}

/* Names are looked up without the root's dot: with it none would ever be found, and so go to DNS */
static void drop_root(char *name)
{
	size_t size = strlen(name);

	while (size > 1 && name[size - 1] == '.')
		name[--size] = '\0';
}

static bool begin_peer(struct conf_walk *walk, const char *title)
{
	struct reading *reading = walk->out;
	struct conf_node *conf = reading->conf;
	void *array = conf->peers;
	struct endpoint ep;

	reading->peer = NULL;
	if (conf->peer_count == CONF_PEERS) {
		conf_fail(walk, NULL, "more than %d peers", CONF_PEERS);
		return false;
	}
	if (!conf_name_ok(title))
		conf_fail(walk, NULL, "a peer's name has 1 to %d letters, digits, \"-\", \"_\", \".\"", LIMIT_NAME - 1);
	else if (endpoint_parse(&ep, title, 0) == 0)
		conf_fail(walk, NULL, "an address is no name; name the peer and write alias = %s", title);
	reading->peer = grow(&array, &conf->peer_count, sizeof(*conf->peers));
	conf->peers = array;
	if (!reading->peer) {
		conf_fail(walk, NULL, "%s", strerror(ENOMEM));
		return false;
	}
	snprintf(reading->peer->name, sizeof(reading->peer->name), "%s", title);
	drop_root(reading->peer->name);
	reading->peer->line = walk->line;
	return true;
}

static void take_peer_key(struct conf_walk *walk, const char *value)
{
	struct reading *reading = walk->out;

	conf_take_public_key(walk, value, reading->peer->key);
}

/* A literal in its one form, a name without the root's dot */
static const char *canonical_alias(char *word, char text[ENDPOINT_TEXT_SIZE])
{
	struct endpoint ep;

	if (endpoint_parse(&ep, word, 0) == 0)
		return endpoint_format_address(&ep, text);
	drop_root(word);
	return word;
}

static void take_peer_alias(struct conf_walk *walk, const char *value)
{
	struct reading *reading = walk->out;
	char word[CONF_WORDS], text[ENDPOINT_TEXT_SIZE], *out = reading->peer->alias;
	struct endpoint ep;
	size_t size = 0;

	reading->peer_alias_line[reading->peer - reading->conf->peers] = walk->line;
	while (conf_word_next(&value, word, sizeof(word))) {
		const char *alias = canonical_alias(word, text);

		if (endpoint_parse(&ep, word, 0) == 0) {
			if (ep.port)
				conf_fail(walk, word, "an alias is an address without a port");
			else if (!endpoint_is_unicast(&ep) || endpoint_is_loopback(&ep))
				conf_fail(walk, word, "an alias is a unicast address that is not this host's own");
		} else if (!conf_host_ok(alias)) {
			conf_fail(walk, word, "an alias is a host name or a literal address");
			continue;
		}
		if (size + strlen(alias) + 2 > CONF_WORDS) {
			conf_fail(walk, word, "all aliases of a peer together have at most %d bytes", CONF_WORDS - 1);
			continue;
		}
		size += (size_t)snprintf(out + size, CONF_WORDS - size, "%s%s", size ? " " : "", alias);
	}
}

static void take_peer_address(struct conf_walk *walk, const char *value)
{
	struct reading *reading = walk->out;
	struct endpoint ep;

	reading->peer_address_line[reading->peer - reading->conf->peers] = walk->line;
	if (endpoint_parse(&ep, value, 0) == 0) {
		if (ep.port)
			conf_fail(walk, value, "an address is a host name or a literal address, without a port: ports "
				  "are agreed by key and time");
		else if (!endpoint_is_unicast(&ep) || endpoint_is_loopback(&ep))
			conf_fail(walk, value, "an address is a unicast address that is not this host's own");
		else
			conf_take_text(walk, value, reading->peer->address, sizeof(reading->peer->address));
	} else if (!conf_host_ok(value)) {
		conf_fail(walk, value, "an address is a host name or a literal address, without a port");
	} else {
		conf_take_text(walk, value, reading->peer->address, sizeof(reading->peer->address));
	}
}

static void take_peer_route(struct conf_walk *walk, const char *value)
{
	struct reading *reading = walk->out;
	unsigned int n;

	if (conf_take_choice(walk, value, route_names, &n))
		reading->peer->route = (enum conf_route)n;
}

static void take_peer_encrypt(struct conf_walk *walk, const char *value)
{
	struct reading *reading = walk->out;
	unsigned int n;

	if (conf_take_choice(walk, value, encrypt_names, &n))
		reading->peer->encrypt = (enum conf_encrypt)n;
}

static const struct conf_key peer_keys[] = {
	{ "key", take_peer_key },
	{ "address", take_peer_address },
	{ "alias", take_peer_alias },
	{ "route", take_peer_route },
	{ "encrypt", take_peer_encrypt },
	{ NULL, NULL },
};

/* ------------------------------------------------------------ [service NAME] */

static bool begin_service(struct conf_walk *walk, const char *title)
{
	struct reading *reading = walk->out;
	struct conf_node *conf = reading->conf;
	void *array = conf->services;
	unsigned int i;

	reading->service = NULL;
	if (conf->service_count == CONF_SERVICES) {
		conf_fail(walk, NULL, "more than %d services", CONF_SERVICES);
		return false;
	}
	if (!conf_name_ok(title))
		conf_fail(walk, NULL, "a service's name has 1 to %d letters, digits, \"-\", \"_\", \".\"",
			  LIMIT_NAME - 1);
	for (i = 0; i < conf->service_count; i++) {
		if (strcasecmp(conf->services[i].name, title) == 0)
			conf_fail(walk, NULL, "this service is already in line %d", conf->services[i].line);
	}
	reading->service = grow(&array, &conf->service_count, sizeof(*conf->services));
	conf->services = array;
	if (!reading->service) {
		conf_fail(walk, NULL, "%s", strerror(ENOMEM));
		return false;
	}
	snprintf(reading->service->name, sizeof(reading->service->name), "%s", title);
	strcpy(reading->service->allow, "*");
	reading->service->line = walk->line;
	return true;
}

static void take_service_port(struct conf_walk *walk, const char *value)
{
	struct reading *reading = walk->out;
	struct conf_node *conf = reading->conf;
	const struct conf_service *other;
	unsigned int n;

	if (!conf_take_number(walk, value, 1, UINT16_MAX, &n))
		return;
	other = conf_service_find(conf, (uint16_t)n);
	if (other)
		conf_fail(walk, value, "this port is already that of [service %s] in line %d", other->name,
			  other->line);
	else
		reading->service->port = (uint16_t)n;
}

static void take_service_allow(struct conf_walk *walk, const char *value)
{
	struct reading *reading = walk->out;

	/* a list that is not understood must not end as "everybody" */
	reading->service->allow[0] = '\0';
	if (conf_take_text(walk, value, reading->service->allow, sizeof(reading->service->allow)))
		reading->service_allow_line[reading->service - reading->conf->services] = walk->line;
}

static void take_service_encrypt(struct conf_walk *walk, const char *value)
{
	struct reading *reading = walk->out;
	unsigned int n;

	if (conf_take_choice(walk, value, encrypt_names, &n))
		reading->service->encrypt = (enum conf_encrypt)n;
}

static const struct conf_key service_keys[] = {
	{ "port", take_service_port },
	{ "allow", take_service_allow },
	{ "encrypt", take_service_encrypt },
	{ NULL, NULL },
};

static const struct conf_section sections[] = {
	{ "node", false, NULL, NULL, node_keys, NULL },
	{ "peer", true, "bob", begin_peer, peer_keys, NULL },
	{ "service", true, "ssh", begin_service, service_keys, "allow" },
};

int conf_node_load(struct conf_node *conf, const char *path, struct conf_error *error)
{
	struct reading *reading = calloc(1, sizeof(*reading));
	struct conf_walk walk = {
		.path = conf->path, .out = reading, .error = error,
		.sections = sections, .section_count = sizeof(sections) / sizeof(sections[0]),
	};
	int rc;

	memset(conf, 0, sizeof(*conf));
	memset(error, 0, sizeof(*error));
	rc = reading ? conf_absolute(conf->path, path) : -ENOMEM;
	if (rc < 0) {
		error->code = rc;
		snprintf(error->text, sizeof(error->text), "%.300s: %s", path, strerror(-rc));
		goto out;
	}
	reading->conf = conf;
	conf_walk(&walk);
	if (error->code == 0 || error->code == -EINVAL) {
		conf_check(&walk, reading);
	}
	rc = error->code;
out:
	free(reading);
	return rc;
}

void conf_node_free(struct conf_node *conf)
{
	free(conf->peers);
	free(conf->services);
	memset(conf, 0, sizeof(*conf));
}
