/* SPDX-License-Identifier: MIT */
/*
 * conf_server.c - rendezvous.conf and relay.conf, and where servers keep their state
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf_walk.h"

/* unless set: a busy server's clients, and a small part of a relay's descriptors */
#define PAIRS_PER_KEY		1024
#define PAIRS_PER_KEY_MAX	1000000	/* more than a relay has descriptors for */
#define MBIT_PER_KEY_MAX	1000000	/* 1 Tbit/s */

/* ------------------------------------------------------------ [rendezvous] */

static void take_listen(struct conf_walk *walk, const char *value)
{
	struct conf_rendezvous *conf = walk->out;

	conf->listen_count = conf_take_endpoints(walk, value, PORT_RENDEZVOUS, conf->listen);
}

static void take_probe(struct conf_walk *walk, const char *value)
{
	struct conf_rendezvous *conf = walk->out;
	unsigned int i, different = 0;

	/* no default port: the ports are the point */
	conf->probe_count = conf_take_endpoints(walk, value, 0, conf->probe);
	for (i = 1; i < conf->probe_count; i++)
		different += conf->probe[i].port != conf->probe[0].port;
	if (conf->probe_count && !different)
		conf_fail(walk, value, "expected at least two different ports, as 0.0.0.0:%u 0.0.0.0:%u: a NAT's "
			  "mapping shows only by comparison", PORT_PROBE_1, PORT_PROBE_2);
}

static void take_key(struct conf_walk *walk, const char *value)
{
	conf_take_path(walk, value, ((struct conf_rendezvous *)walk->out)->key);
}

/* redis://HOST[:PORT][/DB] */
static bool redis_ok(const char *value)
{
	static const char scheme[] = "redis://";
	char host[LIMIT_HOST], *slash, *end;
	struct endpoint ep;
	unsigned long n;

	if (strncmp(value, scheme, sizeof(scheme) - 1) != 0 || strlen(value) >= sizeof(host))
		return false;
	strcpy(host, value + sizeof(scheme) - 1);
	slash = strchr(host, '/');
	if (slash) {
		*slash++ = '\0';
		n = strtoul(slash, &end, 10);
		if (*slash < '0' || *slash > '9' || *end || n > 65535)
			return false;
	}
	if (endpoint_parse(&ep, host, 6379) == 0)
		return true;
	end = strrchr(host, ':');
	if (end) {
		*end++ = '\0';
		n = strtoul(end, &end, 10);
		if (*end || n == 0 || n > 65535)
			return false;
	}
	return conf_host_ok(host);
}

static void take_store(struct conf_walk *walk, const char *value)
{
	struct conf_rendezvous *conf = walk->out;

	if (strcmp(value, "memory") != 0 && !redis_ok(value))
		conf_fail(walk, value, "expected \"memory\" or redis://HOST:PORT/NUMBER, as redis://localhost:6379/0");
	else
		conf_take_text(walk, value, conf->store, sizeof(conf->store));
}

static void take_relay(struct conf_walk *walk, const char *value)
{
	struct conf_rendezvous *conf = walk->out;

	if (strcmp(value, "embedded") == 0 || strcmp(value, "none") == 0)
		strcpy(conf->relay, value);
	else
		conf_take_hosts(walk, value, true, CONF_LIST, conf->relay);
}

static void take_relay_secret(struct conf_walk *walk, const char *value)
{
	conf_take_path(walk, value, ((struct conf_rendezvous *)walk->out)->relay_secret);
}

static void take_metrics(struct conf_walk *walk, const char *value)
{
	conf_take_endpoint(walk, value, 0, &((struct conf_rendezvous *)walk->out)->metrics);
}

static void take_allow(struct conf_walk *walk, const char *value)
{
	struct conf_rendezvous *conf = walk->out;

	/* a file that cannot be named must not end as "any" */
	conf->allow[0] = '\0';
	if (strcmp(value, "any") == 0)
		strcpy(conf->allow, value);
	else
		conf_take_path(walk, value, conf->allow);
}

static const struct conf_key rendezvous_keys[] = {
	{ "listen", take_listen },
	{ "probe", take_probe },
	{ "key", take_key },
	{ "store", take_store },
	{ "relay", take_relay },
	{ "relay-secret", take_relay_secret },
	{ "metrics", take_metrics },
	{ "allow", take_allow },
	{ NULL, NULL },
};

static const struct conf_section rendezvous_sections[] = {
	{ "rendezvous", false, NULL, NULL, rendezvous_keys, NULL },
};

/* ------------------------------------------------------------ [relay] */

static void take_relay_listen(struct conf_walk *walk, const char *value)
{
	struct conf_relay *conf = walk->out;

	conf->listen_count = conf_take_endpoints(walk, value, PORT_RELAY, conf->listen);
}

static void take_secret(struct conf_walk *walk, const char *value)
{
	conf_take_path(walk, value, ((struct conf_relay *)walk->out)->secret);
}

static void take_relay_metrics(struct conf_walk *walk, const char *value)
{
	conf_take_endpoint(walk, value, 0, &((struct conf_relay *)walk->out)->metrics);
}

static void take_pairs(struct conf_walk *walk, const char *value)
{
	conf_take_number(walk, value, 0, PAIRS_PER_KEY_MAX, &((struct conf_relay *)walk->out)->pairs);
}

static void take_pairs_per_key(struct conf_walk *walk, const char *value)
{
	conf_take_number(walk, value, 0, PAIRS_PER_KEY_MAX, &((struct conf_relay *)walk->out)->pairs_per_key);
}

static void take_mbit_per_key(struct conf_walk *walk, const char *value)
{
	conf_take_number(walk, value, 0, MBIT_PER_KEY_MAX, &((struct conf_relay *)walk->out)->mbit_per_key);
}

static const struct conf_key relay_keys[] = {
	{ "listen", take_relay_listen },
	{ "secret", take_secret },
	{ "metrics", take_relay_metrics },
	{ "pairs", take_pairs },
	{ "pairs-per-key", take_pairs_per_key },
	{ "mbit-per-key", take_mbit_per_key },
	{ NULL, NULL },
};

static const struct conf_section relay_sections[] = {
	{ "relay", false, NULL, NULL, relay_keys, NULL },
};

/* ------------------------------------------------------------ loading */

int conf_state_path(char path[LIMIT_PATH], const char *name, char *(*getenv_)(const char *))
{
	const char *folder, *below = "";
	size_t size;
	int n;

	/* systemd lists several with colons; the first is the service's own */
	folder = getenv_("STATE_DIRECTORY");
	size = folder ? strcspn(folder, ":") : 0;
	if (!size) {
		folder = getenv_("XDG_STATE_HOME");
		below = "/punch";
		if (!folder || *folder != '/') {
			folder = getenv_("HOME");
			below = "/.local/state/punch";
		}
		if (!folder || *folder != '/')
			return -ENOENT;
		size = strlen(folder);
	}
	n = snprintf(path, LIMIT_PATH, "%.*s%s/%s", (int)size, folder, below, name);
	return n < 0 || n >= LIMIT_PATH ? -ENAMETOOLONG : 0;
}

static void any_address(struct endpoint out[CONF_LIST], unsigned int *count, uint16_t port)
{
	endpoint_parse(&out[(*count)++], "0.0.0.0", port);
	endpoint_parse(&out[(*count)++], "::", port);
}

/* Where a file of the server's own lies when no line says so */
static int default_path(char out[LIMIT_PATH], const char *name, struct conf_walk *walk)
{
	int rc;

	if (walk->path) {
		conf_take_path(walk, name, out);
		return 0;
	}
	rc = conf_state_path(out, name, secure_getenv);
	if (rc < 0) {
		walk->error->code = rc;
		snprintf(walk->error->text, sizeof(walk->error->text),
			 "no place for %s: set HOME or STATE_DIRECTORY, or give a configuration file with -c", name);
	}
	return rc;
}

/* Absolute path of the file, and the walk over it when there is one */
static void walk_file(struct conf_walk *walk, char absolute[LIMIT_PATH], const char *path)
{
	int rc;

	memset(walk->error, 0, sizeof(*walk->error));
	if (!path)
		return;
	rc = conf_absolute(absolute, path);
	if (rc < 0) {
		walk->error->code = rc;
		snprintf(walk->error->text, sizeof(walk->error->text), "%.300s: %s", path, strerror(-rc));
		return;
	}
	walk->path = absolute;
	conf_walk(walk);
	if (!walk->error->code && !walk->seen_section[0])
		conf_fail_at(walk, 0, NULL, NULL, NULL, "the section [%s] is missing", walk->sections[0].name);
}

int conf_rendezvous_load(struct conf_rendezvous *conf, const char *path, struct conf_error *error)
{
	char absolute[LIMIT_PATH];
	struct conf_walk walk = {
		.out = conf, .error = error, .sections = rendezvous_sections, .section_count = 1,
	};

	memset(conf, 0, sizeof(*conf));
	strcpy(conf->store, "memory");
	strcpy(conf->relay, "embedded");
	strcpy(conf->allow, "any");
	walk_file(&walk, absolute, path);
	if (error->code)
		return error->code;

	if (!conf->listen_count)
		any_address(conf->listen, &conf->listen_count, PORT_RENDEZVOUS);
	if (!conf->probe_count) {
		any_address(conf->probe, &conf->probe_count, PORT_PROBE_1);
		any_address(conf->probe, &conf->probe_count, PORT_PROBE_2);
	}
	if (!conf->key[0])
		default_path(conf->key, "rendezvous.key", &walk);
	if (!conf->relay_secret[0])
		default_path(conf->relay_secret, "relay.secret", &walk);
	return error->code;
}

int conf_relay_load(struct conf_relay *conf, const char *path, struct conf_error *error)
{
	char absolute[LIMIT_PATH];
	struct conf_walk walk = {
		.out = conf, .error = error, .sections = relay_sections, .section_count = 1,
	};

	memset(conf, 0, sizeof(*conf));
	conf->pairs_per_key = PAIRS_PER_KEY;
	walk_file(&walk, absolute, path);
	if (error->code)
		return error->code;

	if (!conf->listen_count)
		any_address(conf->listen, &conf->listen_count, PORT_RELAY);
	if (!conf->secret[0])
		default_path(conf->secret, "relay.secret", &walk);
	return error->code;
}
