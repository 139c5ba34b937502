/* SPDX-License-Identifier: MIT */
/*
 * session_inlet.c - ports that the gateway passes on to us, shared by all sessions
 *
 * Theory of operation
 *
 * A mapping that was got by PCP, NAT-PMP or UPnP makes us reachable by an ordinary connect() from everywhere,
 * through the hardest NAT on the other side. One mapped port is enough for all sessions, for whoever comes
 * begins with a preamble, and that holds the session's identifier: the bytes are looked at (MSG_PEEK), and the
 * socket becomes a path of that session, which reads and checks them. There is one port for each family
 * of sockets, because programs get the socket itself: an IPv6 one for a program that has one.
 *
 * IPv6 has no NAT to map ports on, but mostly a firewall: there the IPv6 socket's port gets a
 * pinhole, by PCP or UPnP, and our own address with this port is where we are reached.
 *
 * Anybody may come. A visitor has VISITOR_PATIENCE for its preamble; there are at most
 * VISITORS, and the oldest goes when one more comes. A preamble of a session that is not there
 * yet (the other side may have got its Go first) waits as long.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "resolver/inlet.h"
#include "resolver/mapping.h"
#include "resolver/session_internal.h"
#include "resolver/timer.h"

#define VISITORS		64
#define VISITOR_PATIENCE	(5 * SECOND)	/* a preamble that was lost twice comes after 3 s */
#define VISITOR_LOOK		(20 * MS)	/* between two looks for its session */
#define INLET_BACKLOG		64

struct inlet {
	struct inlets *inlets;
	int family;
	uint16_t number;
	int fd;			/* -1 none */
	struct event *event;	/* NULL: does not listen yet */
	struct event *rest;
};

struct visitor {
	TAILQ_ENTRY(visitor) link;
	struct inlets *inlets;
	int fd;
	struct event *event;
	struct event *timer;	/* patience, or the next look for its session */
	uint64_t until;
	bool spoke;
	uint8_t start[PREAMBLE_SIZE];
};

struct inlets {
	struct node *node;
	struct inlet list[MAPPER_PORTS];
	unsigned int count;
	struct mapping *mapping;
	TAILQ_HEAD(, visitor) visitors;
	unsigned int visitor_count;
};

/* Out of descriptors: what waits keeps the listener readable, and would wake us without end */
static const struct timeval inlet_pause = { .tv_usec = 100000 };

/* ---------------------------------------------------------------- visitors */

static void visitor_free(struct visitor *visitor)
{
	TAILQ_REMOVE(&visitor->inlets->visitors, visitor, link);
	visitor->inlets->visitor_count--;
	if (visitor->event)
		event_free(visitor->event);
	if (visitor->timer)
		event_free(visitor->timer);
	if (visitor->fd >= 0)
		close(visitor->fd);
	free(visitor);
}

/* Its session, once that has a secret to check the preamble with, and as long as it still looks for a path */
static struct session *session_of(const struct visitor *visitor)
{
	struct session *s;
	bool caller = visitor->start[4] == PREAMBLE_CALLEE;

	s = session_find(visitor->inlets->node->sessions, visitor->start + 8, SESSION_SIZE, caller);
	return s && s->state >= SESSION_ANSWERED && s->state < SESSION_COVERING ? s : NULL;
}

static void visitor_look(struct visitor *visitor)
{
	struct session *s = session_of(visitor);
	int fd = visitor->fd, one = 1;

	if (!s && clock_now() < visitor->until) {
		timer_set(visitor->timer, VISITOR_LOOK);
		return;
	}
	if (s) {
		visitor->fd = -1;
		setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
	}
	visitor_free(visitor);
	if (!s)
		return;
	session_note(s, "the peer came to the mapped port");
	session_add_path(s, fd, LOCAL_PATH_DIRECT, false);
}

static void on_visitor_timer(evutil_socket_t fd, short what, void *arg)
{
	struct visitor *visitor = arg;

	(void)fd;
	(void)what;
	if (visitor->spoke)
		visitor_look(visitor);
	else
		visitor_free(visitor);
}

static void on_visitor(evutil_socket_t fd, short what, void *arg)
{
	struct visitor *visitor = arg;
	ssize_t n = recv(fd, visitor->start, sizeof(visitor->start), MSG_PEEK | MSG_DONTWAIT);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < (ssize_t)sizeof(visitor->start) || memcmp(visitor->start, "pnc1", 4)) {
		visitor_free(visitor);
		return;
	}
	/* Its bytes stay where they are: no more events until somebody reads them */
	event_free(visitor->event);
	visitor->event = NULL;
	visitor->spoke = true;
	visitor_look(visitor);
}

static void visitor_new(struct inlets *inlets, int fd)
{
	struct visitor *visitor = calloc(1, sizeof(*visitor));
	int size = PREAMBLE_SIZE;

	if (!visitor) {
		close(fd);
		return;
	}
	if (inlets->visitor_count == VISITORS)
		visitor_free(TAILQ_FIRST(&inlets->visitors));
	visitor->inlets = inlets;
	visitor->fd = fd;
	visitor->until = clock_now() + VISITOR_PATIENCE;
	TAILQ_INSERT_TAIL(&inlets->visitors, visitor, link);
	inlets->visitor_count++;
	/* Readable means: a whole preamble, or the end */
	setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &size, sizeof(size));
	visitor->event = event_new(inlets->node->base, fd, EV_READ | EV_PERSIST, on_visitor, visitor);
	visitor->timer = evtimer_new(inlets->node->base, on_visitor_timer, visitor);
	if (!visitor->event || !visitor->timer || event_add(visitor->event, NULL) ||
	    timer_set(visitor->timer, VISITOR_PATIENCE))
		visitor_free(visitor);
}

/* ---------------------------------------------------------------- listeners */

static int inlet_listen(struct inlet *inlet);

/* Watches may be used up like descriptors (watch.h), and come back like them */
static void on_rested(evutil_socket_t fd, short what, void *arg)
{
	struct inlet *inlet = arg;

	(void)fd;
	(void)what;
	if (inlet->event ? event_add(inlet->event, NULL) : inlet_listen(inlet))
		event_add(inlet->rest, &inlet_pause);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct inlet *inlet = arg;
	int socket_ = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (socket_ >= 0) {
		visitor_new(inlet->inlets, socket_);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		if (!event_add(inlet->rest, &inlet_pause))
			event_del(inlet->event);
	}
}

/* Nobody is let in before there is a way in. Return: 0, or -errno: it is tried again in a while if that is possible */
static int inlet_listen(struct inlet *inlet)
{
	struct event_base *base = inlet->inlets->node->base;

	if (inlet->event)
		return 0;
	if (listen(inlet->fd, INLET_BACKLOG))
		return -errno;
	if (!inlet->rest)
		inlet->rest = evtimer_new(base, on_rested, inlet);
	if (!inlet->rest)
		return -ENOMEM;
	inlet->event = event_new(base, inlet->fd, EV_READ | EV_PERSIST, on_accept, inlet);
	if (inlet->event && !event_add(inlet->event, NULL))
		return 0;
	if (inlet->event)
		event_free(inlet->event);
	inlet->event = NULL;
	event_add(inlet->rest, &inlet_pause);
	return -ENOBUFS;
}

static void on_mapping(void *arg)
{
	struct inlets *inlets = arg;
	struct endpoint external;
	unsigned int i;
	int err;

	for (i = 0; i < inlets->count; i++) {
		if (!mapping_external(inlets->mapping, AF_INET, inlets->list[i].number, &external) &&
		    !mapping_external(inlets->mapping, AF_INET6, inlets->list[i].number, &external))
			continue;
		err = inlet_listen(&inlets->list[i]);
		if (err)
			log_warn("port mapping: cannot listen on port %u: %s", inlets->list[i].number,
				 strerror(-err));
	}
}

bool inlets_external(const struct inlets *inlets, int family, const struct endpoint *seen,
		     struct endpoint *external)
{
	unsigned int i;

	for (i = 0; inlets && i < inlets->count; i++) {
		const struct inlet *inlet = &inlets->list[i];

		if (inlet->family == family && inlet->event &&
		    mapping_external(inlets->mapping, AF_INET, inlet->number, external))
			return endpoint_is_unicast(external) && !endpoint_is_private(external) &&
			       (!seen->family || endpoint_same_address(seen, external));
	}
	return false;
}

bool inlets_pinhole(const struct inlets *inlets, int family, struct endpoint *external)
{
	unsigned int i;

	for (i = 0; inlets && i < inlets->count; i++) {
		const struct inlet *inlet = &inlets->list[i];

		if (family == AF_INET6 && inlet->event &&
		    mapping_external(inlets->mapping, AF_INET6, inlet->number, external))
			return endpoint_is_unicast(external) && !endpoint_is_private(external);
	}
	return false;
}

enum mapper_protocol inlets_mapping(const struct inlets *inlets, int family, bool *known, struct endpoint *external)
{
	unsigned int i;

	memset(external, 0, sizeof(*external));
	*known = false;
	if (!inlets)
		return MAPPER_NONE;
	for (i = 0; i < inlets->count; i++)
		if (mapping_external(inlets->mapping, family, inlets->list[i].number, external))
			break;
	return mapping_protocol(inlets->mapping, family, known);
}

void inlets_restart(struct inlets *inlets)
{
	if (inlets)
		mapping_restart(inlets->mapping);
}

void inlets_refresh(struct inlets *inlets)
{
	if (inlets)
		mapping_refresh(inlets->mapping);
}

static void inlet_add(struct inlets *inlets, int family)
{
	struct inlet *inlet = &inlets->list[inlets->count];
	struct endpoint local;

	inlet->inlets = inlets;
	inlet->family = family;
	inlet->fd = port_socket(family, 0);
	if (inlet->fd >= 0 && !endpoint_local(inlet->fd, &local)) {
		inlet->number = local.port;
		inlets->count++;
	} else if (inlet->fd >= 0) {
		close(inlet->fd);
	}
}

/* Bits of enum mapper_protocol */
static unsigned int allowed(enum conf_mapping wish)
{
	switch (wish) {
	case CONF_MAPPING_PCP:
		return 1u << MAPPER_PCP;
	case CONF_MAPPING_NATPMP:
		return 1u << MAPPER_NATPMP;
	case CONF_MAPPING_UPNP:
		return 1u << MAPPER_UPNP;
	default:
		return 1u << MAPPER_PCP | 1u << MAPPER_NATPMP | 1u << MAPPER_UPNP;
	}
}

struct inlets *inlets_new(struct node *node)
{
	struct inlets *inlets = calloc(1, sizeof(*inlets));
	uint16_t numbers[MAPPER_PORTS], pinhole = 0;
	unsigned int i;

	if (!inlets)
		return NULL;
	inlets->node = node;
	TAILQ_INIT(&inlets->visitors);
	inlet_add(inlets, AF_INET);
	inlet_add(inlets, AF_INET6);
	for (i = 0; i < inlets->count; i++) {
		numbers[i] = inlets->list[i].number;
		if (inlets->list[i].family == AF_INET6)
			pinhole = numbers[i];
	}
	if (inlets->count)
		inlets->mapping = mapping_new(node->base, allowed(node->conf.port_mapping), numbers, inlets->count,
					      pinhole, on_mapping, inlets);
	if (inlets->mapping)
		return inlets;
	inlets_free(inlets);
	return NULL;
}

void inlets_free(struct inlets *inlets)
{
	struct visitor *visitor;
	unsigned int i;

	if (!inlets)
		return;
	mapping_free(inlets->mapping);
	while ((visitor = TAILQ_FIRST(&inlets->visitors)))
		visitor_free(visitor);
	for (i = 0; i < inlets->count; i++) {
		if (inlets->list[i].event)
			event_free(inlets->list[i].event);
		if (inlets->list[i].rest)
			event_free(inlets->list[i].rest);
		close(inlets->list[i].fd);
	}
	free(inlets);
}
