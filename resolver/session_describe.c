/* SPDX-License-Identifier: MIT */
/*
 * session_describe.c - take local ports and tell the peer where we may be reached
 */
#include <assert.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "resolver/inlet.h"
#include "resolver/session_internal.h"

#define HOSTS_V4 4	/* interface addresses told to the peer, per family */
#define HOSTS_V6 3

static void on_port(void *arg)
{
	struct session *s = arg;

	s->waiter = NULL;
	session_advance(s);
}

/* A NAT that counts has gone on since: what it gave a while ago does not tell what it gives next */
static bool is_stale(const struct session *s, const struct port *port, const struct description *facts)
{
	return facts->port_rule == PUNCH__PORT_RULE__PORT_RULE_SEQUENTIAL && port->asked &&
	       port->ready_at + SESSION_SAMPLE < s->started;
}

static struct port *take_port(struct session *s, const struct description *facts)
{
	struct port *port;

	while ((port = ports_take(s->node->ports)) && is_stale(s, port, facts))
		port_free(port);
	return port;
}

static_assert(PLAN_LANES == 2, "two to be put in order");

/* The plan pairs the n-th candidate of each side: who tells one port only is dialled at that, and is to dial from it */
static void seen_first(struct session *s)
{
	struct port **first = &s->lanes[0].port, **second = &s->lanes[1].port, *port = *first;

	if (port && *second && !port->mapped[0].family && (*second)->mapped[0].family) {
		*first = *second;
		*second = port;
	}
}

int session_take_ports(struct session *s)
{
	struct description facts;
	unsigned int i;
	bool enough;

	if (s->route == PUNCH__ROUTE__ROUTE_RELAY || s->talk)
		return 0;
	memset(&facts, 0, sizeof(facts));
	ports_facts(s->node->ports, &facts);
	for (i = 0; i < PLAN_LANES; i++)
		if (!s->lanes[i].port)
			s->lanes[i].port = take_port(s, &facts);
	seen_first(s);
	/* Where each connection gets a port of its own, the rule of them wants more than one lane's */
	enough = facts.mapping != PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT ||
		 facts.port_rule != PUNCH__PORT_RULE__PORT_RULE_UNKNOWN || s->lanes[PLAN_LANES - 1].port;
	if (s->lanes[0].port && enough)
		return 0;
	if (!s->waiter)
		s->waiter = ports_wait(s->node->ports, on_port, s);
	return -EAGAIN;
}

static void add_candidate(struct description *d, uint32_t type, const struct endpoint *ep)
{
	struct candidate *c;
	unsigned int i;

	if (d->count == LIMIT_CANDIDATES || !endpoint_is_unicast(ep))
		return;
	for (i = 0; i < d->count; i++)
		if (d->candidates[i].type == type && endpoint_equal(&d->candidates[i].endpoint, ep))
			return;
	c = &d->candidates[d->count];
	c->type = type;
	c->endpoint = *ep;
	c->priority = plan_priority(type, 8191 - d->count);
	d->count++;
}

/* Addresses of interfaces that are up; IPv6 only global ones */
static void describe_hosts(struct description *d, uint16_t port)
{
	unsigned int v4 = 0, v6 = 0;
	struct ifaddrs *list, *i;
	struct endpoint ep;

	if (getifaddrs(&list))
		return;
	for (i = list; i; i = i->ifa_next) {
		if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || (i->ifa_flags & IFF_LOOPBACK))
			continue;
		if (endpoint_from_sockaddr(&ep, i->ifa_addr, sizeof(struct sockaddr_in6)))
			continue;
		if (endpoint_is_loopback(&ep) || (ep.family == AF_INET6 && ep.scope))
			continue;
		if (ep.family == AF_INET ? v4++ >= HOSTS_V4 : v6++ >= HOSTS_V6)
			continue;
		ep.port = port;
		add_candidate(d, PUNCH__CANDIDATE_TYPE__CANDIDATE_HOST, &ep);
	}
	freeifaddrs(list);
}

/* A port that the gateway passes on to us, if it is where the rendezvous sees us, or lets
 * through to our IPv6 address */
static void describe_mapped(struct session *s)
{
	const struct endpoint *seen = &s->lanes[0].port->mapped[0];
	struct endpoint external;

	if (inlets_external(s->node->inlets, s->family, seen, &external))
		add_candidate(&s->own, PUNCH__CANDIDATE_TYPE__CANDIDATE_MAPPED, &external);
	if (inlets_pinhole(s->node->inlets, s->family, &external))
		add_candidate(&s->own, PUNCH__CANDIDATE_TYPE__CANDIDATE_MAPPED, &external);
}

void session_describe(struct session *s)
{
	unsigned int i;

	memset(&s->own, 0, sizeof(s->own));
	if (!s->lanes[0].port)
		return;
	ports_facts(s->node->ports, &s->own);
	/* A second time many ports of one block: nothing would be left for the others there */
	if (s->own.port_rule == PUNCH__PORT_RULE__PORT_RULE_BLOCK && ports_scarce(s->node->ports))
		s->own.port_low = s->own.port_high = 0;
	s->own.guess = !s->node->conf.cautious;
	describe_hosts(&s->own, s->lanes[0].port->number);
	describe_mapped(s);
	for (i = 0; i < PLAN_LANES; i++)
		if (s->lanes[i].port && s->lanes[i].port->mapped[0].family)
			add_candidate(&s->own, PUNCH__CANDIDATE_TYPE__CANDIDATE_REFLEXIVE,
				      &s->lanes[i].port->mapped[0]);
	s->own.first = session_first(s);
}
