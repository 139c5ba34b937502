/* SPDX-License-Identifier: MIT */
/*
 * The options of a box, by name.
 *
 *	mapping=none|endpoint|address|address-port	none: no NAT, a wire with delay and loss
 *	filtering=none|address|address-port|synack
 *	stray=drop|rst|icmp|icmp-admin|held		answer to a SYN that nobody asked for
 *	port=preserve|offset|sequential[:PACE]|random|parity|block:N
 *							PACE: ports a second that others take
 *	hairpin=on|off		connections from inside to the own outside address
 *	pmp=on|off		NAT-PMP, by which a host opens a port for everybody
 *	time-exceeded=on|off	send ICMP when a TTL ends here
 *	ttl=on|off		count down the TTL
 *	neighbours=on|off	hide the lab's router, so that two boxes seem to be adjacent
 *	control=on|off		a mapping dies with its first connection
 *	established=TIME transitory=TIME datagram=TIME	idle times until a session is forgotten
 *	delay=TIME jitter=TIME	of the outside link, one way, each way
 *	loss=PERCENT loss-in=PERCENT loss-out=PERCENT
 *	seed=N			of all that is random
 *	offload=on|off		TCP segments of up to 64 KiB, for bulk; off where loss should hit single ones
 *	inside=ADDRESS outside=ADDRESS			the box's own
 *
 * TIME is a number with us, ms, s, m or h; PERCENT a number with or without a percent sign.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nat_core.h"

#define MILLION 1000000u
#define TIME_MAX (24 * 3600 * NAT_SECOND)

static const char *const mappings[] = { "none", "endpoint", "address", "address-port" };
static const char *const filterings[] = { "none", "address", "address-port", "synack" };
static const char *const strays[] = { "drop", "rst", "icmp", "icmp-admin", "held" };
static const char *const ports[] = { "preserve", "offset", "sequential", "random", "block", "parity" };

#define COUNT(names) (sizeof(names) / sizeof((names)[0]))
_Static_assert(COUNT(mappings) == NAT_MAP_COUNT, "every mapping has a name");
_Static_assert(COUNT(filterings) == NAT_FILTER_COUNT, "every filtering has a name");
_Static_assert(COUNT(strays) == NAT_STRAY_COUNT, "every answer has a name");
_Static_assert(COUNT(ports) == NAT_PORTS_COUNT, "every rule has a name");

void nat_conf_init(struct nat_conf *c)
{
	memset(c, 0, sizeof(*c));
	c->mapping = NAT_MAP_ENDPOINT;
	c->filtering = NAT_FILTER_ADDRESS_PORT;
	c->stray = NAT_STRAY_DROP;
	c->ports = NAT_PORTS_PRESERVE;
	c->block = 256; /* the median that carriers give out */
	c->ttl = c->time_exceeded = c->offload = true;
	c->established = 7440 * NAT_SECOND; /* RFC 5382, REQ-5: 2 h 4 min */
	c->transitory = 240 * NAT_SECOND;   /* RFC 5382, REQ-5: 4 min */
	c->datagram = 120 * NAT_SECOND;	    /* RFC 4787, REQ-5: 2 min */
	c->seed = 1;
}

static int parse_name(const char *value, const char *const *names, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!strcmp(value, names[i]))
			return (int)i;
	return -EINVAL;
}

static int parse_bool(const char *value, bool *b)
{
	static const char *const names[] = { "off", "on" };
	int i = parse_name(value, names, COUNT(names));

	*b = i > 0;
	return i < 0 ? i : 0;
}

static int parse_count(const char *value, uint64_t max, uint64_t *n)
{
	char *end;

	errno = 0;
	*n = strtoull(value, &end, 10);
	return *value < '0' || *value > '9' || errno || *end || *n > max ? -EINVAL : 0;
}

static int parse_time(const char *value, uint64_t *t)
{
	static const struct {
		const char *name;
		double us;
	} units[] = { { "us", 1 }, { "ms", 1e3 }, { "s", 1e6 }, { "m", 60e6 }, { "h", 3600e6 } };
	char *end;
	double d = strtod(value, &end);
	size_t i;

	for (i = 0; i < COUNT(units); i++) {
		if (strcmp(end, units[i].name) || end == value)
			continue;
		if (!(d >= 0 && d * units[i].us <= (double)TIME_MAX))
			break;
		*t = (uint64_t)(d * units[i].us);
		return 0;
	}
	return -EINVAL;
}

static int parse_loss(const char *value, uint32_t *ppm)
{
	char *end;
	double d = strtod(value, &end);

	if (end == value || (*end && strcmp(end, "%")) || !(d >= 0 && d <= 100))
		return -EINVAL;
	*ppm = (uint32_t)(d * MILLION / 100);
	return 0;
}

/* "rule", or "rule:N" for the rules that take a number. */
static int parse_ports(const char *value, struct nat_conf *c)
{
	const char *colon = strchr(value, ':');
	size_t len = colon ? (size_t)(colon - value) : strlen(value);
	uint64_t number = 0;
	char name[16];
	int rule;

	if (len >= sizeof(name))
		return -EINVAL;
	memcpy(name, value, len);
	name[len] = '\0';
	rule = parse_name(name, ports, COUNT(ports));
	if (rule < 0 || (colon && parse_count(colon + 1, 32768, &number)))
		return -EINVAL;
	if (rule == NAT_PORTS_BLOCK && colon)
		c->block = (uint32_t)number;
	else if (rule == NAT_PORTS_SEQUENTIAL)
		c->pace = (uint32_t)number;
	else if (colon)
		return -EINVAL;
	if (c->block == 0) {
		c->block = 256;
		return -EINVAL;
	}
	c->ports = (enum nat_ports)rule;
	return 0;
}

static int set_choice(struct nat_conf *c, const char *key, const char *value)
{
	int i;

	if (!strcmp(key, "mapping")) {
		i = parse_name(value, mappings, COUNT(mappings));
		if (i >= 0)
			c->mapping = (enum nat_mapping)i;
	} else if (!strcmp(key, "filtering")) {
		i = parse_name(value, filterings, COUNT(filterings));
		if (i >= 0)
			c->filtering = (enum nat_filtering)i;
	} else if (!strcmp(key, "stray")) {
		i = parse_name(value, strays, COUNT(strays));
		if (i >= 0)
			c->stray = (enum nat_stray)i;
	} else if (!strcmp(key, "port")) {
		i = parse_ports(value, c);
	} else {
		return -ENOENT;
	}
	return i < 0 ? i : 0;
}

static int set_value(struct nat_conf *c, const char *key, const char *value)
{
	const struct {
		const char *name;
		bool *b;
	} switches[] = {
		{ "hairpin", &c->hairpin },	  { "time-exceeded", &c->time_exceeded },
		{ "ttl", &c->ttl },		  { "neighbours", &c->hide_router },
		{ "control", &c->control },	  { "offload", &c->offload },
		{ "pmp", &c->pmp },
	};
	const struct {
		const char *name;
		uint64_t *t;
	} times[] = {
		{ "established", &c->established }, { "transitory", &c->transitory },
		{ "datagram", &c->datagram },	    { "delay", &c->delay },
		{ "jitter", &c->jitter },
	};
	size_t i;
	int rc;

	for (i = 0; i < COUNT(switches); i++)
		if (!strcmp(key, switches[i].name))
			return parse_bool(value, switches[i].b);
	for (i = 0; i < COUNT(times); i++)
		if (!strcmp(key, times[i].name))
			return parse_time(value, times[i].t);
	if (!strcmp(key, "loss")) {
		rc = parse_loss(value, &c->loss_in);
		if (!rc)
			c->loss_out = c->loss_in;
		return rc;
	}
	if (!strcmp(key, "loss-in"))
		return parse_loss(value, &c->loss_in);
	if (!strcmp(key, "loss-out"))
		return parse_loss(value, &c->loss_out);
	if (!strcmp(key, "seed"))
		return parse_count(value, UINT64_MAX, &c->seed);
	if (!strcmp(key, "inside"))
		return nat_addr_parse(value, &c->inside);
	if (!strcmp(key, "outside"))
		return nat_addr_parse(value, &c->outside);
	return -ENOENT;
}

int nat_conf_set(struct nat_conf *c, const char *text, char *err, size_t size)
{
	const char *equals = strchr(text, '=');
	char key[32];
	int rc = -ENOENT;

	if (equals && (size_t)(equals - text) < sizeof(key)) {
		memcpy(key, text, (size_t)(equals - text));
		key[equals - text] = '\0';
		rc = set_choice(c, key, equals + 1);
		if (rc == -ENOENT)
			rc = set_value(c, key, equals + 1);
	}
	if (rc == -ENOENT)
		snprintf(err, size, "\"%s\": no such option; nat_conf.c lists them", text);
	else if (rc)
		snprintf(err, size, "\"%s\": not a value for this option; nat_conf.c lists them", text);
	return rc ? -EINVAL : 0;
}
