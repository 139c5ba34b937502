/* SPDX-License-Identifier: MIT */
/*
 * ports.c - local ports that are ready to punch
 *
 * Theory of operation
 *
 * A *making* binds a fresh port number, connects from it to the rendezvous's
 * probe ports and asks each by STUN (RFC 8489) how it saw us.  What the probe
 * ports agree on is the mapping that a punch from the very same number will have (RFC 5382
 * REQ-1), what they disagree on tells the kind of NAT.  The second probe port
 * is asked only while the facts are not known or old: a server of many nodes then holds
 * one idle connection a port.
 *
 * Probe connections stay open as long as the port is kept: a NAT may drop the mapping with the last
 * connection of it.  TCP keepalive holds them open and finds those that died; their end of file
 * (a server restarting) throws the port away and makes another.
 *
 * PORTS_READY ports are kept ready while a server is reachable, and more are made while
 * somebody waits, or while they tell more about a symmetric NAT.  When no server can be asked, a port is handed out unprobed: it serves a LAN path.
 */
#include "resolver/ports_internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "resolver/lifetime.h"
#include "resolver/plan.h"
#include "resolver/stunlist.h"

#define PORTS_READY	PLAN_LANES	/* one session's worth, kept warm */
#define PORTS_MAKING	32		/* makings at once: a burst of sessions, two SYNs each, stays far below 256 half-open */
#define PORTS_AGE	(600 * SECOND)	/* facts are asked anew after this: a NAT rarely changes its kind, a laptop its NAT */
#define PORTS_TAKEN	(240 * SECOND)	/* a NAT keeps what a SYN took for this long (RFC 5382 REQ-5: 4 min) */
#define PORTS_SILENCE	(60 * SECOND)	/* after probe ports that did not answer: a firewall is not changed often */

/* After a making that found no probe port, or a port that was lost: the server may be restarting */
static const struct timeval retry_delay = { .tv_sec = 1, .tv_usec = 0 };

/* ---------------------------------------------------------------- a port */

void port_free(struct port *port)
{
	unsigned int i;

	if (!port)
		return;
	for (i = 0; i < PORT_PROBES; i++)
		if (port->probes[i] >= 0)
			close(port->probes[i]);
	if (port->holder >= 0)
		close(port->holder);
	free(port);
}

/* ---------------------------------------------------------------- facts */

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

void ports_took(struct ports *ports, unsigned int n)
{
	portrule_took(&ports->seen, n, clock_now());
	ports->taken_until = clock_now() + PORTS_TAKEN;
}

bool ports_taken(const struct ports *ports)
{
	return clock_now() < ports->taken_until;
}

bool ports_silent(const struct ports *ports)
{
	return clock_now() < ports->silent_until;
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

void ports_learn(struct ports *ports, const struct port *port)
{
	const struct endpoint *a = &port->mapped[0], *b = &port->mapped[1];
	struct description *facts = &ports->facts;

	if (!a->family && port->asked)
		ports->silent_until = clock_now() + PORTS_SILENCE;
	see(ports, port, a);
	see(ports, port, b);
	if (a->family)
		recall(ports, a);
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
	struct ports *ports = arg;

	ports->study = NULL;
	/* A server that cannot tell does not make what was known before wrong */
	if (result->port) {
		ports->facts.filtering = study_filtering(result);
		ports->facts.stray_syn = study_stray(result);
		ports->filtering_at = clock_now();
	}
	ports->by_address = study_by_address(result);
	remember(ports);
	if (!ports->lifetime)
		ports->lifetime = lifetime_start(ports->node->base, &ports->studied_at, on_lifetime, ports);
	ports->facts.hairpin = result->hairpin == STUN_OUTCOME_ESTABLISHED ? PUNCH__HAIRPIN__HAIRPIN_YES :
			       result->hairpin ? PUNCH__HAIRPIN__HAIRPIN_NO : PUNCH__HAIRPIN__HAIRPIN_UNKNOWN;
}

void ports_study(struct ports *ports, const struct endpoint *target)
{
	struct endpoint others[STUNLIST_MAX];
	const struct endpoint *other = NULL;
	unsigned int i, count;

	if (ports->studied_since && (ports->facts.filtering != PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY ||
				     study_fresh(ports->studied_since, clock_now())))
		return;
	ports->studied_since = clock_now();
	ports->hops_studied = 0;
	ports->studied_at = *target;
	count = stunlist_get(ports->stun, others, STUNLIST_MAX);
	for (i = 0; i < count && !other; i++)
		if (!endpoint_same_address(&others[i], target))
			other = &others[i];
	ports->study = study_start(ports->node->base, target, other, known_hops, on_study, ports);
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
	if (!ports->hops)
		ports->hops = hops_start(ports->node->base, target, on_hops, ports);
}

/* ---------------------------------------------------------------- kept ports */

static void kept_free(struct kept *kept)
{
	unsigned int i;

	for (i = 0; i < PORT_PROBES; i++)
		if (kept->watch[i])
			event_free(kept->watch[i]);
	TAILQ_REMOVE(&kept->ports->kept, kept, link);
	kept->ports->kept_count--;
	port_free(kept->port);
	free(kept);
}

/* A probe port says nothing after its answer: readable means closed */
static void on_kept(evutil_socket_t fd, short what, void *arg)
{
	struct kept *kept = arg;
	struct ports *ports = kept->ports;

	(void)fd;
	(void)what;
	log_debug("ports: %u lost its probe connection", kept->port->number);
	kept_free(kept);
	event_add(ports->wake, &retry_delay);
}

void ports_keep(struct ports *ports, struct port *port)
{
	struct kept *kept = calloc(1, sizeof(*kept));
	unsigned int i;

	if (!kept) {
		port_free(port);
		return;
	}
	kept->ports = ports;
	kept->port = port;
	port->ready_at = clock_now();
	for (i = 0; i < PORT_PROBES; i++) {
		if (port->probes[i] < 0)
			continue;
		kept->watch[i] = event_new(ports->node->base, port->probes[i], EV_READ, on_kept, kept);
		if (kept->watch[i])
			event_add(kept->watch[i], NULL);
	}
	TAILQ_INSERT_TAIL(&ports->kept, kept, link);
	ports->kept_count++;
}

/* ---------------------------------------------------------------- the store */

void ports_wake(struct ports *ports)
{
	event_active(ports->wake, EV_TIMEOUT, 0);
}

/* Would more ports tell whether the NAT keeps their parity? Never more of them than that takes */
static bool want_samples(const struct ports *ports)
{
	struct portrule_verdict verdict;

	if (ports->facts.mapping != PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT || ports_silent(ports) ||
	    ports->kept_count >= PORTRULE_PARITY)
		return false;
	portrule_judge(&ports->seen, clock_now(), &verdict);
	return verdict.open;
}

/* Serve whoever waits, and make what is missing */
static void ports_tend(struct ports *ports)
{
	struct endpoint targets[UPLINK_PROBES];
	unsigned int i, wanted, serve = ports->kept_count;
	struct ports_waiter *waiter;

	for (i = 0; i < serve && (waiter = TAILQ_FIRST(&ports->waiters)); i++) {
		TAILQ_REMOVE(&ports->waiters, waiter, link);
		ports->waiter_count--;
		waiter->ready(waiter->arg);
		free(waiter);
	}
	wanted = ports->waiter_count;
	if (making_targets(ports, targets))
		wanted += PORTS_READY;
	if (wanted && wanted < ports->kept_count + PORTS_READY && want_samples(ports))
		wanted = ports->kept_count + PORTS_READY;
	while (ports->kept_count + ports->making_count < wanted && ports->making_count < PORTS_MAKING)
		if (making_start(ports)) {
			log_warn("no local port can be prepared: %s", strerror(errno));
			event_add(ports->wake, &retry_delay);
			break;
		}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	ports_tend(arg);
	ports_firewall_study(arg);
}

struct port *ports_take(struct ports *ports)
{
	struct kept *kept = TAILQ_FIRST(&ports->kept);
	struct port *port;

	if (!kept)
		return NULL;
	port = kept->port;
	kept->port = NULL;
	kept_free(kept);
	ports_wake(ports);
	return port;
}

struct ports_waiter *ports_wait(struct ports *ports, void (*ready)(void *arg), void *arg)
{
	struct ports_waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter)
		return NULL;
	waiter->ports = ports;
	waiter->ready = ready;
	waiter->arg = arg;
	TAILQ_INSERT_TAIL(&ports->waiters, waiter, link);
	ports->waiter_count++;
	ports_wake(ports);
	return waiter;
}

void ports_wait_cancel(struct ports_waiter *waiter)
{
	TAILQ_REMOVE(&waiter->ports->waiters, waiter, link);
	waiter->ports->waiter_count--;
	free(waiter);
}

/* Another network or another server: what was seen is not to be trusted any more */
void ports_on_uplink(struct ports *ports)
{
	struct making *making;
	struct kept *kept;

	while ((kept = TAILQ_FIRST(&ports->kept)))
		kept_free(kept);
	while ((making = TAILQ_FIRST(&ports->makings)))
		making_free(making);
	hops_cancel(ports->hops);
	ports->hops = NULL;
	study_cancel(ports->study);
	ports->study = NULL;
	ports_firewall_reset(ports);
	lifetime_cancel(ports->lifetime);
	ports->lifetime = NULL;
	ports->facts.lifetime = ports->facts.hops = 0;
	ports->network_known = false;
	ports->by_address = ports->hops_measured = false;
	ports->studied_since = ports->filtering_at = 0;
	ports->facts.filtering = ports->facts.stray_syn = ports->facts.hairpin = 0;
	ports->facts_at = 0;
	memset(&ports->seen, 0, sizeof(ports->seen));
	ports->taken_until = 0;
	ports->silent_until = 0;
	ports_wake(ports);
}

static void on_stun(void *arg)
{
	ports_on_uplink(arg);
}

struct ports *ports_new(struct node *node)
{
	struct ports *ports = calloc(1, sizeof(*ports));

	if (!ports)
		return NULL;
	ports->node = node;
	TAILQ_INIT(&ports->makings);
	TAILQ_INIT(&ports->kept);
	TAILQ_INIT(&ports->waiters);
	ports->wake = event_new(node->base, -1, 0, on_wake, ports);
	ports->stun = stunlist_new(node, on_stun, ports);
	if (ports->wake && ports->stun)
		return ports;
	if (ports->wake)
		event_free(ports->wake);
	stunlist_free(ports->stun);
	free(ports);
	return NULL;
}

void ports_free(struct ports *ports)
{
	struct ports_waiter *waiter;
	struct making *making;
	struct kept *kept;

	if (!ports)
		return;
	while ((kept = TAILQ_FIRST(&ports->kept)))
		kept_free(kept);
	while ((making = TAILQ_FIRST(&ports->makings)))
		making_free(making);
	while ((waiter = TAILQ_FIRST(&ports->waiters))) {
		TAILQ_REMOVE(&ports->waiters, waiter, link);
		free(waiter);
	}
	hops_cancel(ports->hops);
	study_cancel(ports->study);
	ports_firewall_reset(ports);
	lifetime_cancel(ports->lifetime);
	stunlist_free(ports->stun);
	event_free(ports->wake);
	free(ports);
}
