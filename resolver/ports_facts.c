/* SPDX-License-Identifier: MIT */
/*
 * ports_facts.c - what prepared ports tell of the NATs here
 *
 * Each port adds what its probe ports saw (ports_learn()); the rest is measured once for a
 * network: what comes in (study.c), how far the outermost NAT is (hops.c), how long it remembers
 * (lifetime.c). What was found out in a network before counts until then (netcache.c).
 */
#include "resolver/ports_internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "resolver/budget.h"
#include "resolver/lifetime.h"
#include "resolver/reach.h"
#include "resolver/session.h"
#include "resolver/stunlist.h"

/* facts are asked anew after this: a NAT rarely changes its kind, a laptop its NAT */
#define PORTS_AGE	(600 * SECOND)
#define PORTS_TAKEN	(240 * SECOND)	/* a NAT keeps what a SYN took for this long (RFC 5382 REQ-5: 4 min) */
#define PORTS_SILENCE	(60 * SECOND)	/* after probe ports that did not answer: a firewall is not changed often */
#define PORTS_STUDY	2		/* SYNs of a study to its probe port: connect, hold */
#define PORTS_UNANSWERED 2	/* ports in a row, as many as are made at once: a firewall answers none of them */
/* where they have answered before: of 100 ports 4 lose both SYNs of their 3 s where 10 % are lost each way */
#define PORTS_UNANSWERED_KNOWN 4

static const char *mapping_text(uint32_t mapping)
{
	switch (mapping) {
	case PUNCH__MAPPING__MAPPING_NONE:
		return "none";
	case PUNCH__MAPPING__MAPPING_ENDPOINT_INDEPENDENT:
		return "endpoint-independent";
	case PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT:
		return "address-and-port-dependent";
	default:
		return "unknown";
	}
}

static void see(struct ports *ports, const struct port *port, const struct endpoint *mapped)
{
	if (mapped->family)
		portrule_see(&ports->seen, port->number, mapped->port, port->asked_at);
}

void ports_spent(struct ports *ports, unsigned int n)
{
	portrule_took(&ports->seen, n, clock_now());
	ports->taken_until = clock_now() + PORTS_TAKEN;
}

bool ports_scarce(const struct ports *ports)
{
	return clock_now() < ports->taken_until;
}

bool ports_silent(const struct ports *ports)
{
	return clock_now() < ports->silent_until;
}

bool ports_may_send(struct ports *ports, const struct endpoint *to, unsigned int n)
{
	return budget_probe(sessions_budget(ports->node->sessions), to, n, clock_now());
}

void ports_not_sent(struct ports *ports, const struct endpoint *to, unsigned int n)
{
	budget_answered(sessions_budget(ports->node->sessions), to, n, clock_now());
}

/* What was found out here before counts until it is measured anew */
static void recall(struct ports *ports, const struct endpoint *public)
{
	struct description *facts = &ports->facts, old = { .count = 0 };
	char path[LIMIT_PATH];

	if (ports->network_known || netcache_key(ports->network, public))
		return;
	ports->network_known = true;
	if (conf_state_path(path, "networks", secure_getenv) ||
	    netcache_load(path, ports->network, (uint64_t)time(NULL), &old))
		return;
	log_debug("ports: this network is known: filtering %u, stray SYN %u, lifetime %u s, hops %u",
		  old.filtering, old.stray_syn, old.lifetime, old.hops);
	if (!facts->filtering) {
		facts->filtering = old.filtering;
		facts->stray_syn = old.stray_syn;
		facts->hairpin = old.hairpin;
	}
	if (!facts->hops)
		facts->hops = old.hops;
	facts->lifetime = old.lifetime;
}

static void remember(struct ports *ports)
{
	char path[LIMIT_PATH];
	int err;

	if (!ports->network_known || conf_state_path(path, "networks", secure_getenv))
		return;
	err = netcache_save(path, ports->network, (uint64_t)time(NULL), &ports->facts);
	if (err)
		log_debug("ports: %s: %s", path, strerror(-err));
}

/* Perhaps the servers are elsewhere by now */
static void silence(struct ports *ports)
{
	ports->silent_until = clock_now() + PORTS_SILENCE;
	stunlist_refresh(ports->stun);
}

/* A lost packet is no firewall, and without probe ports nothing is direct for a minute */
static void count_unanswered(struct ports *ports, const struct port *port)
{
	if (!port->asked)
		return;
	if (port->mapped[0].family) {
		ports->unanswered = 0;
		return;
	}
	log_debug("ports: %u: no probe port answered", port->number);
	if (++ports->unanswered >= (ports->facts_at ? PORTS_UNANSWERED_KNOWN : PORTS_UNANSWERED))
		silence(ports);
}

void ports_learn(struct ports *ports, const struct port *port)
{
	const struct endpoint *a = &port->mapped[0], *b = &port->mapped[1];
	struct description *facts = &ports->facts;

	count_unanswered(ports, port);
	see(ports, port, a);
	see(ports, port, b);
	if (a->family == AF_INET)
		ports->public = *a;
	if (a->family) {
		recall(ports, a);
		ports_drop_unseen(ports);	/* it can be known again, and a session wants to tell its peer */
	}
	if (!a->family || !b->family)
		return;
	if (!endpoint_equal(a, b)) {
		facts->mapping = PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT;
		facts->port_rule = PUNCH__PORT_RULE__PORT_RULE_UNKNOWN;	/* judged when asked for */
	} else if (endpoint_equal(a, &port->source)) {
		facts->mapping = PUNCH__MAPPING__MAPPING_NONE;
		facts->port_rule = PUNCH__PORT_RULE__PORT_RULE_PRESERVED;
	} else {
		facts->mapping = PUNCH__MAPPING__MAPPING_ENDPOINT_INDEPENDENT;
		facts->port_rule = a->port == port->number ? PUNCH__PORT_RULE__PORT_RULE_PRESERVED :
				   PUNCH__PORT_RULE__PORT_RULE_STABLE;
	}
	ports->facts_at = clock_now();
	log_debug("ports: mapping %s", mapping_text(facts->mapping));
}

void ports_facts(const struct ports *ports, struct description *description)
{
	struct portrule_verdict verdict;

	description->mapping = ports->facts.mapping;
	if (ports->by_address && description->mapping == PUNCH__MAPPING__MAPPING_ENDPOINT_INDEPENDENT)
		description->mapping = PUNCH__MAPPING__MAPPING_ADDRESS_DEPENDENT;
	description->filtering = ports->facts.filtering;
	/* A study may have been faster than what finds the hops, and have used remembered ones: were they right? */
	description->filtering_measured = study_fresh(ports->filtering_at, clock_now()) && ports->hops_measured &&
					  ports->hops_studied == ports->facts.hops;
	description->stray_syn = ports->facts.stray_syn;
	description->hairpin = ports->facts.hairpin;
	description->lifetime = ports->facts.lifetime;
	description->nats = description->mapping > PUNCH__MAPPING__MAPPING_NONE && ports->facts.hops == 1;
	description->port_rule = ports->facts.port_rule;
	if (ports->facts.mapping == PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT) {
		portrule_judge(&ports->seen, clock_now(), &verdict);
		description->port_rule = verdict.rule;
		description->port_low = verdict.low;
		description->port_high = verdict.high;
		description->port_step = verdict.step;
		description->port_pace = verdict.pace;
	}
	/* Without a NAT there is nothing that a low-TTL SYN would have to leave */
	description->hops = ports->facts.mapping == PUNCH__MAPPING__MAPPING_NONE ? 0 : ports->facts.hops;
}

bool ports_public(const struct ports *ports, struct endpoint *public)
{
	*public = ports->public;
	return public->family != 0;
}

bool ports_measurable(const struct ports *ports)
{
	struct endpoint targets[UPLINK_PROBES], source;
	unsigned int count = making_targets(ports, targets), i;

	for (i = 0; i < count; i++)
		if (reach_routed(&targets[i]))
			return true;
	/* Or they are being looked up */
	return !count && *ports->node->conf.stun && !reach_source(AF_INET, &source);
}

static void on_hops(void *arg, unsigned int hops)
{
	struct ports *ports = arg;

	ports->hops = NULL;
	ports->facts.hops = hops;
	ports->hops_measured = hops > 0;
	log_debug("ports: outermost NAT is %u hops away", hops);
}

/* Only where the mapping is one for all destinations can a held port say anything */
static unsigned int known_hops(void *arg)
{
	struct ports *ports = arg;

	if (ports->facts.mapping == PUNCH__MAPPING__MAPPING_ENDPOINT_INDEPENDENT)
		ports->hops_studied = ports->facts.hops;
	return ports->hops_studied;
}

static void on_lifetime(void *arg, unsigned int seconds)
{
	struct ports *ports = arg;

	ports->lifetime = NULL;
	if (!seconds)
		return;
	ports->facts.lifetime = seconds;
	remember(ports);
}

static void on_study(void *arg, const struct study_result *result)
{
	const uint32_t filtering = study_filtering(result);
	struct ports *ports = arg;

	ports->study = NULL;
	if (result->mapped.family)
		ports_not_sent(ports, &ports->studied_at, PORTS_STUDY);
	/* A server that cannot tell does not make what was known before wrong, and not newer either */
	if (filtering) {
		ports->facts.filtering = filtering;
		ports->facts.stray_syn = study_stray(result);
		ports->filtering_at = clock_now();
	}
	if (result->hairpin)
		ports->facts.hairpin = result->hairpin == STUN_OUTCOME_ESTABLISHED ? PUNCH__HAIRPIN__HAIRPIN_YES :
										     PUNCH__HAIRPIN__HAIRPIN_NO;
	if (filtering || result->hairpin)
		remember(ports);
	ports->by_address = study_by_address(result);
	if (!result->elsewhere.family)
		stunlist_refresh(ports->stun);
	if (!ports->lifetime && ports_may_send(ports, &ports->studied_at, 1))
		ports->lifetime = lifetime_start(ports->node->base, &ports->studied_at, on_lifetime, ports);
}

void ports_study(struct ports *ports, const struct endpoint *target)
{
	struct endpoint others[STUNLIST_MAX];
	const struct endpoint *other = NULL;
	unsigned int i, count;

	if (ports->studied_since && (ports->facts.filtering != PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY ||
				     study_fresh(ports->studied_since, clock_now())))
		return;
	if (!ports_may_send(ports, target, PORTS_STUDY))
		return;
	ports->studied_since = clock_now();
	ports->hops_studied = 0;
	ports->studied_at = *target;
	count = stunlist_get(ports->stun, others, STUNLIST_MAX);
	for (i = 0; i < count && !other; i++)
		if (!endpoint_same_address(&others[i], target))
			other = &others[i];
	ports->study = study_start(ports->node->base, target, other, sessions_budget(ports->node->sessions), known_hops,
				   on_study, ports);
}

bool ports_studying(const struct ports *ports)
{
	return ports->study || ports->study6;
}

bool ports_facts_fresh(const struct ports *ports)
{
	return ports->facts_at && clock_now() - ports->facts_at < PORTS_AGE;
}

void ports_find_hops(struct ports *ports, const struct endpoint *target)
{
	if (!ports->hops && ports_may_send(ports, target, HOPS_MAX))
		ports->hops = hops_start(ports->node->base, target, on_hops, ports);
}

void ports_facts_reset(struct ports *ports)
{
	hops_cancel(ports->hops);
	ports->hops = NULL;
	study_cancel(ports->study);
	ports->study = NULL;
	lifetime_cancel(ports->lifetime);
	ports->lifetime = NULL;
	ports->facts.mapping = PUNCH__MAPPING__MAPPING_UNKNOWN;
	ports->facts.port_rule = PUNCH__PORT_RULE__PORT_RULE_UNKNOWN;
	ports->facts.lifetime = ports->facts.hops = 0;
	ports->network_known = false;
	ports->by_address = ports->hops_measured = false;
	ports->studied_since = ports->filtering_at = 0;
	ports->facts.filtering = ports->facts.stray_syn = ports->facts.hairpin = 0;
	ports->facts_at = 0;
	memset(&ports->seen, 0, sizeof(ports->seen));
	memset(&ports->public, 0, sizeof(ports->public));
	ports->taken_until = 0;
	ports->silent_until = 0;
	ports->unanswered = 0;
}
