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
 * somebody waits.  When no server can be asked, a port is handed out unprobed: it serves a LAN path.
 */
#include "resolver/ports.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/secret.h"
#include "common/stun.h"
#include "resolver/hops.h"
#include "resolver/plan.h"
#include "resolver/uplink.h"

#define PORTS_READY	PLAN_LANES	/* one session's worth, kept warm */
#define PORTS_MAKING	32		/* makings at once: a burst of sessions, two SYNs each, stays far below 256 half-open */
#define PORTS_BINDS	16		/* numbers tried until both families are free */
#define PORTS_AGE	(600 * SECOND)	/* facts are asked anew after this: a NAT rarely changes its kind, a laptop its NAT */
#define PORTS_SEQUENTIAL 16		/* difference of two mapped ports that still looks like counting (other traffic in between) */

/* Two round trips of a slow mobile network (1 s each), then the port goes without */
static const struct timeval making_patience = { .tv_sec = 3, .tv_usec = 0 };

/* After a making that found no probe port: the server may be restarting */
static const struct timeval retry_delay = { .tv_sec = 1, .tv_usec = 0 };

/* Keepalive of probe connections: below the 30 s at which the worst home NATs forget idle connections */
#define KEEP_IDLE	25
#define KEEP_INTERVAL	10
#define KEEP_COUNT	3

struct making;

struct probe {
	struct making *making;
	unsigned int index;
	struct event *event;
	uint8_t id[STUN_ID];
	uint8_t in[STUN_MAX];
	size_t have;
	bool asked;
	bool over;		/* answered or failed */
};

struct making {
	TAILQ_ENTRY(making) link;
	struct ports *ports;
	struct port *port;
	struct probe probes[PORT_PROBES];
	unsigned int asked;
	struct event *timer;
};

struct kept {
	TAILQ_ENTRY(kept) link;
	struct ports *ports;
	struct port *port;
	struct event *watch[PORT_PROBES];
};

struct ports_waiter {
	TAILQ_ENTRY(ports_waiter) link;
	struct ports *ports;
	void (*ready)(void *arg);
	void *arg;
};

struct ports {
	struct node *node;
	TAILQ_HEAD(, making) makings;
	TAILQ_HEAD(, kept) kept;
	TAILQ_HEAD(, ports_waiter) waiters;
	unsigned int making_count;
	unsigned int kept_count;
	unsigned int waiter_count;
	struct event *wake;		/* serves waiters, makes more */
	struct description facts;
	uint64_t facts_at;		/* 0: never */
	struct hops *hops;
};

static void ports_tend(struct ports *ports);

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

static int port_socket(int family, uint16_t number)
{
	struct endpoint any = { .family = (uint16_t)family, .port = number };
	struct sockaddr_storage ss;
	int fd, on = 1, len, err;

	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	len = endpoint_to_sockaddr(&any, family, &ss);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&ss, (socklen_t)len)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* A fresh number that is free in both families; the holder keeps it */
static struct port *port_new(void)
{
	struct port *port = calloc(1, sizeof(*port));
	struct endpoint local;
	unsigned int i;
	int other;

	if (!port)
		return NULL;
	for (i = 0; i < PORT_PROBES; i++)
		port->probes[i] = -1;
	port->holder = -1;
	for (i = 0; i < PORTS_BINDS; i++) {
		port->holder = port_socket(AF_INET, 0);
		if (port->holder < 0)
			break;
		if (endpoint_local(port->holder, &local))
			break;
		port->number = local.port;
		other = port_socket(AF_INET6, local.port);
		if (other >= 0 || other == -EAFNOSUPPORT) {
			if (other >= 0)
				close(other);
			return port;
		}
		close(port->holder);
		port->holder = -1;
	}
	port_free(port);
	return NULL;
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

static void facts_learn(struct ports *ports, const struct port *port)
{
	const struct endpoint *a = &port->mapped[0], *b = &port->mapped[1];
	struct description *facts = &ports->facts;
	int apart;

	if (!a->family || !b->family)
		return;
	if (!endpoint_equal(a, b)) {
		apart = abs((int)b->port - (int)a->port);
		facts->mapping = PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT;
		facts->port_rule = apart <= PORTS_SEQUENTIAL ? PUNCH__PORT_RULE__PORT_RULE_SEQUENTIAL :
				   PUNCH__PORT_RULE__PORT_RULE_RANDOM;
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
	description->mapping = ports->facts.mapping;
	description->filtering = ports->facts.filtering;
	description->port_rule = ports->facts.port_rule;
	/* Without a NAT there is nothing that a low-TTL SYN would have to leave */
	description->hops = ports->facts.mapping == PUNCH__MAPPING__MAPPING_NONE ? 0 : ports->facts.hops;
}

static void on_hops(void *arg, unsigned int hops)
{
	struct ports *ports = arg;

	ports->hops = NULL;
	ports->facts.hops = hops;
	log_debug("ports: outermost NAT is %u hops away", hops);
}

static bool facts_fresh(const struct ports *ports)
{
	return ports->facts_at && clock_now() - ports->facts_at < PORTS_AGE;
}

/* ---------------------------------------------------------------- making */

static void making_free(struct making *making)
{
	unsigned int i;

	for (i = 0; i < PORT_PROBES; i++)
		if (making->probes[i].event)
			event_free(making->probes[i].event);
	if (making->timer)
		event_free(making->timer);
	TAILQ_REMOVE(&making->ports->makings, making, link);
	making->ports->making_count--;
	port_free(making->port);
	free(making);
}

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

static void keep(struct ports *ports, struct port *port)
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

static void making_finish(struct making *making)
{
	struct ports *ports = making->ports;
	struct port *port = making->port;
	char text[ENDPOINT_TEXT_SIZE];
	unsigned int i;

	making->port = NULL;
	for (i = 0; i < PORT_PROBES; i++) {
		if (making->probes[i].event)
			event_free(making->probes[i].event);
		making->probes[i].event = NULL;
		if (port->probes[i] >= 0 && !port->mapped[i].family) {
			close(port->probes[i]);
			port->probes[i] = -1;
		}
	}
	/* The candidate is what the first probe port that answered saw */
	if (!port->mapped[0].family && port->mapped[1].family) {
		port->mapped[0] = port->mapped[1];
		memset(&port->mapped[1], 0, sizeof(port->mapped[1]));
	}
	facts_learn(ports, port);
	log_debug("ports: %u is mapped to %s", port->number,
		  port->mapped[0].family ? endpoint_format(&port->mapped[0], text) : "nothing known");
	keep(ports, port);
	making_free(making);
	event_active(ports->wake, EV_TIMEOUT, 0);
}

static void on_making_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	making_finish(arg);
}

static void probe_over(struct probe *probe)
{
	struct making *making = probe->making;
	unsigned int i;

	probe->over = true;
	event_del(probe->event);
	for (i = 0; i < making->asked; i++)
		if (!making->probes[i].over)
			return;
	/* Not from here: the caller may still hold the making */
	event_active(making->timer, EV_TIMEOUT, 0);
}

static void on_probe(evutil_socket_t fd, short what, void *arg)
{
	struct probe *probe = arg;
	struct port *port = probe->making->port;
	uint8_t request[STUN_MAX];
	socklen_t len = sizeof(int);
	ssize_t n, whole;
	int error = 0;

	(void)what;
	if (!probe->asked) {
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
			probe_over(probe);
			return;
		}
		endpoint_local(fd, &port->source);
		n = (ssize_t)stun_request(request, probe->id);
		/* 20 bytes into an empty send buffer: all or an error */
		if (send(fd, request, (size_t)n, MSG_NOSIGNAL) != n) {
			probe_over(probe);
			return;
		}
		probe->asked = true;
		event_del(probe->event);
		event_assign(probe->event, event_get_base(probe->event), fd, EV_READ | EV_PERSIST,
			     on_probe, probe);
		event_add(probe->event, NULL);
		return;
	}
	n = recv(fd, probe->in + probe->have, sizeof(probe->in) - probe->have, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		probe_over(probe);
		return;
	}
	probe->have += (size_t)n;
	whole = stun_size(probe->in, probe->have);
	if (whole == 0 || (whole > 0 && (size_t)whole > probe->have))
		return;
	if (whole < 0 || stun_mapped(probe->in, (size_t)whole, probe->id, &port->mapped[probe->index]))
		memset(&port->mapped[probe->index], 0, sizeof(port->mapped[probe->index]));
	probe_over(probe);
}

static void probe_keepalive(int fd)
{
	int on = 1, idle = KEEP_IDLE, interval = KEEP_INTERVAL, count = KEEP_COUNT;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static int probe_start(struct making *making, unsigned int index, const struct endpoint *to)
{
	struct probe *probe = &making->probes[index];
	struct sockaddr_storage ss;
	int fd, len;

	len = endpoint_to_sockaddr(to, AF_INET, &ss);
	if (len < 0)
		return len;
	fd = port_socket(AF_INET, making->port->number);
	if (fd < 0)
		return fd;
	probe_keepalive(fd);
	making->port->probes[index] = fd;
	probe->making = making;
	probe->index = index;
	secret_random(probe->id, sizeof(probe->id));
	if (connect(fd, (struct sockaddr *)&ss, (socklen_t)len) && errno != EINPROGRESS)
		return -errno;
	probe->event = event_new(making->ports->node->base, fd, EV_WRITE, on_probe, probe);
	if (!probe->event || event_add(probe->event, NULL))
		return -ENOMEM;
	return 0;
}

/* Probe ports of the first server that is there; IPv4 ones only: IPv6 is not mapped */
static unsigned int probe_targets(const struct ports *ports, struct endpoint probes[UPLINK_PROBES])
{
	struct endpoint all[UPLINK_PROBES];
	unsigned int i, j, n, count = 0;

	for (i = 0; i < ports->node->uplink_count && !count; i++) {
		n = uplink_probes(ports->node->uplinks[i], all);
		for (j = 0; j < n; j++)
			if (all[j].family == AF_INET)
				probes[count++] = all[j];
	}
	return count;
}

static int making_start(struct ports *ports)
{
	struct endpoint targets[UPLINK_PROBES];
	unsigned int count = probe_targets(ports, targets), i;
	struct making *making = calloc(1, sizeof(*making));

	if (!making)
		return -ENOMEM;
	making->ports = ports;
	TAILQ_INSERT_TAIL(&ports->makings, making, link);
	ports->making_count++;
	making->port = port_new();
	making->timer = event_new(ports->node->base, -1, 0, on_making_timer, making);
	if (!making->port || !making->timer || event_add(making->timer, &making_patience)) {
		making_free(making);
		return -ENOMEM;
	}
	if (facts_fresh(ports) && count > 1)
		count = 1;
	for (i = 0; i < count && i < PORT_PROBES; i++)
		if (!probe_start(making, making->asked, &targets[i]))
			making->asked++;
	if (!making->asked)
		event_active(making->timer, EV_TIMEOUT, 0);
	if (making->asked && !facts_fresh(ports) && !ports->hops)
		ports->hops = hops_start(ports->node->base, &targets[0], on_hops, ports);
	return 0;
}

/* ---------------------------------------------------------------- the store */

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	ports_tend(arg);
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
	if (probe_targets(ports, targets))
		wanted += PORTS_READY;
	while (ports->kept_count + ports->making_count < wanted && ports->making_count < PORTS_MAKING)
		if (making_start(ports)) {
			log_warn("no local port can be prepared: %s", strerror(errno));
			event_add(ports->wake, &retry_delay);
			break;
		}
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
	event_active(ports->wake, EV_TIMEOUT, 0);
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
	event_active(ports->wake, EV_TIMEOUT, 0);
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
	ports->facts_at = 0;
	event_active(ports->wake, EV_TIMEOUT, 0);
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
	if (!ports->wake) {
		free(ports);
		return NULL;
	}
	return ports;
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
	event_free(ports->wake);
	free(ports);
}
