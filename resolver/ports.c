/* SPDX-License-Identifier: MIT */
/*
 * ports.c - local ports that are ready to punch
 *
 * Theory of operation
 *
 * A *making* binds a fresh port number, connects from it to the rendezvous's
 * probe ports and asks each by STUN (RFC 8489) how it saw us.  What the probe
 * ports agree on is the mapping that a punch from the very same number will have (RFC 5382
 * REQ-1), what they disagree on tells the kind of NAT (ports_facts.c).  The second probe port
 * is asked only while the facts are not known or old: a server of many nodes then holds
 * one idle connection a port.
 *
 * Probe connections stay open as long as the port is kept: a NAT may drop the mapping with the last
 * connection of it.  TCP keepalive holds them open and finds those that died; their end of file
 * (a server restarting) throws the port away and makes another.
 *
 * PORTS_READY ports are kept ready while a server is reachable, and more are made while
 * somebody waits, or while they tell more about a symmetric NAT.  When no server can be asked,
 * a port is handed out unprobed: it serves a LAN path.  As soon as one is seen again the unseen ones are made anew.
 */
#include "resolver/ports_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "resolver/plan.h"
#include "resolver/stunlist.h"

#define PORTS_READY	PLAN_LANES	/* one session's worth, kept warm */
/* makings at once: a burst of sessions, two SYNs each, stays far below 256 half-open */
#define PORTS_MAKING	32

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

void ports_drop_unseen(struct ports *ports)
{
	struct kept *kept, *next;

	for (kept = TAILQ_FIRST(&ports->kept); kept; kept = next) {
		next = TAILQ_NEXT(kept, link);
		if (!kept->port->mapped[0].family)
			kept_free(kept);
	}
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
	int err = 0;

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
	while (!err && ports->kept_count + ports->making_count < wanted && ports->making_count < PORTS_MAKING)
		err = making_start(ports);
	if (err) {
		log_warn("no local port can be prepared: %s", strerror(-err));
		event_add(ports->wake, &retry_delay);
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

static void begin_anew(struct ports *ports)
{
	struct making *making;
	struct kept *kept;

	while ((kept = TAILQ_FIRST(&ports->kept)))
		kept_free(kept);
	while ((making = TAILQ_FIRST(&ports->makings)))
		making_free(making);
	ports_facts_reset(ports);
	ports_firewall_reset(ports);
	ports_wake(ports);
}

/* Another network or another server: what was seen is not to be trusted any more */
void ports_on_uplink(struct ports *ports)
{
	stunlist_refresh(ports->stun);
	begin_anew(ports);
}

static void on_stun(void *arg)
{
	begin_anew(arg);
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
	ports_facts_reset(ports);
	ports_firewall_reset(ports);
	stunlist_free(ports->stun);
	event_free(ports->wake);
	free(ports);
}
