/* SPDX-License-Identifier: MIT */
/*
 * ports_making.c - prepare one local port: bind it, and ask the probe ports how they see it
 *
 * See the theory of operation in ports.c.
 */
#include "resolver/ports_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/secret.h"
#include "resolver/stunlist.h"
#include "resolver/syn.h"
#include "resolver/watch.h"

#define PORTS_BINDS	16		/* numbers tried until both families are free */

/* Two round trips of a slow mobile network (1 s each), then the port goes without */
static const struct timeval making_patience = { .tv_sec = 3, .tv_usec = 0 };

/* Keepalive of probe connections: below the 30 s at which the worst home NATs forget idle connections */
#define KEEP_IDLE	25	/* s */
#define KEEP_INTERVAL	10	/* s */
#define KEEP_COUNT	3

int port_socket(int family, uint16_t number)
{
	struct endpoint any = { .family = (uint16_t)family, .port = number };
	struct sockaddr_storage ss;
	int fd, on = 1, off = 0, len, err;

	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return -errno;
	len = endpoint_to_sockaddr(&any, family, &ss);
	/* An IPv6 socket carries the IPv4 paths of a dual-stack program too */
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&ss, (socklen_t)len)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* A fresh number that is free in both families; the holder keeps it. Return: 0 or -errno, also
 * with a port to be freed */
static int port_new(struct port **out)
{
	struct port *port = calloc(1, sizeof(*port));
	struct endpoint local;
	unsigned int i;
	int other = -ENOMEM;

	*out = port;
	if (!port)
		return -ENOMEM;
	for (i = 0; i < PORT_PROBES; i++)
		port->probes[i] = -1;
	port->holder = -1;
	for (i = 0; i < PORTS_BINDS; i++) {
		port->holder = port_socket(AF_INET, 0);
		if (port->holder < 0)
			return port->holder;
		if (endpoint_local(port->holder, &local))
			return -EADDRNOTAVAIL;
		port->number = local.port;
		other = port_socket(AF_INET6, local.port);
		if (other >= 0)
			close(other);
		if (other >= 0 || other == -EAFNOSUPPORT)
			return 0;
		close(port->holder);
		port->holder = -1;
	}
	return other;
}

void making_free(struct making *making)
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
	ports_learn(ports, port);
	log_debug("ports: %u is mapped to %s", port->number,
		  port->mapped[0].family ? endpoint_format(&port->mapped[0], text) : "nothing known");
	ports_keep(ports, port);
	making_free(making);
	ports_wake(ports);
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

/* The peer is told of it and sends SYNs there, so it must not be one of a network that the server has no word in */
static void take_answer(struct probe *probe, size_t size)
{
	struct endpoint *mapped = &probe->making->port->mapped[probe->index];
	int err = stun_mapped(probe->in, size, probe->id, mapped);

	if (!err)
		ports_not_sent(probe->making->ports, &probe->target, 1);
	if (err || !endpoint_may_refer(&probe->target, mapped))
		memset(mapped, 0, sizeof(*mapped));
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
		if (watch_set(probe->event, EV_READ))
			probe_over(probe);
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
	if (whole > 0)
		take_answer(probe, (size_t)whole);
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
	int fd, err;

	if (!ports_may_send(making->ports, to, 1))
		return -EDQUOT;
	fd = port_socket(AF_INET, making->port->number);
	if (fd < 0) {
		ports_not_sent(making->ports, to, 1);
		return fd;
	}
	probe_keepalive(fd);
	probe->making = making;
	probe->index = index;
	probe->target = *to;
	secret_random(probe->id, sizeof(probe->id));
	/* Without a route it fails at once, and the next target takes this place */
	err = syn_connect(fd, AF_INET, to);
	if (err)
		goto fail;
	err = -ENOMEM;
	probe->event = event_new(making->ports->node->base, fd, EV_WRITE, on_probe, probe);
	if (!probe->event)
		goto fail;
	if (event_add(probe->event, NULL)) {
		event_free(probe->event);
		probe->event = NULL;
		goto fail;
	}
	making->port->probes[index] = fd;
	return 0;
fail:
	ports_not_sent(making->ports, to, 1);
	close(fd);
	return err;
}

/* Probe ports of the first server that is there; IPv4 ones only: IPv6 is not mapped */
unsigned int making_targets(const struct ports *ports, struct endpoint probes[UPLINK_PROBES])
{
	struct endpoint all[UPLINK_PROBES];
	unsigned int i, j, n, count = 0;

	for (i = 0; i < ports->node->uplink_count && !count; i++) {
		n = uplink_probes(ports->node->uplinks[i], all);
		for (j = 0; j < n; j++)
			if (all[j].family == AF_INET)
				probes[count++] = all[j];
	}
	/* Without one, other people's servers tell as much */
	return count ? count : stunlist_get(ports->stun, probes, UPLINK_PROBES);
}

int making_start(struct ports *ports)
{
	struct endpoint targets[UPLINK_PROBES];
	unsigned int count = making_targets(ports, targets), i;
	struct making *making = calloc(1, sizeof(*making));
	int err;

	if (!making)
		return -ENOMEM;
	making->ports = ports;
	TAILQ_INSERT_TAIL(&ports->makings, making, link);
	ports->making_count++;
	err = port_new(&making->port);
	making->timer = event_new(ports->node->base, -1, 0, on_making_timer, making);
	if (!err && (!making->timer || event_add(making->timer, &making_patience)))
		err = -ENOMEM;
	if (err) {
		making_free(making);
		return err;
	}
	if (ports_facts_fresh(ports) && count > 1)
		count = 1;
	if (ports_silent(ports))
		count = 0;
	for (i = 0; i < count && i < PORT_PROBES; i++)
		if (!probe_start(making, making->asked, &targets[i]))
			making->asked++;
	making->port->asked = making->asked > 0;
	making->port->asked_at = clock_now();
	if (!making->asked)
		event_active(making->timer, EV_TIMEOUT, 0);
	if (making->asked && !ports_facts_fresh(ports))
		ports_find_hops(ports, &targets[0]);
	if (making->asked)
		ports_study(ports, &targets[0]);
	return 0;
}
