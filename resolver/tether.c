/* SPDX-License-Identifier: MIT */
/*
 * tether.c - probe connections that outlive their session, because a NAT may take them for the mapping itself
 *
 * Theory of operation
 *
 * The first connection of a prepared port goes to a probe port; the punched one uses the mapping that it
 * made.  Some NATs forget the mapping with its first connection: a second after
 * the session, when the probe connection was closed, the punched connection is dead,
 * and neither end is told.  So the probe connections stay until the punched connection
 * is gone, which the kernel is asked for now and then.  The server closes what was silent for
 * ten minutes, keepalive or not, so each is asked something before that.  One that the server closes all the same, as
 * it ends, is left alone: our FIN, or the RST that a keepalive brings, may be what the NAT goes by.
 *
 * Each holds three descriptors here and two idle connections at the server, so there is a
 * limit; beyond it the connections that have lived longest lose theirs: most are short.
 */
#include "resolver/tether.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/secret.h"
#include "common/stun.h"
#include "resolver/sockdiag.h"

#define TETHERS_MAX	32	/* 96 descriptors of the 1,024 that a process has at least */
/* between two requests; twice of it is below the server's RDV_PROBE_IDLE, 600 s */
#define TETHER_ASK	(240 * SECOND)

static const struct timeval look = { .tv_sec = 5 };

struct tether {
	TAILQ_ENTRY(tether) link;
	struct port *port;
	struct track track;
	bool closed[PORT_PROBES];	/* by the server */
	uint64_t asked;
};

struct tethers {
	struct event *timer;
	TAILQ_HEAD(, tether) list;	/* oldest first */
	unsigned int count;
};

static void tether_free(struct tethers *tethers, struct tether *tether)
{
	TAILQ_REMOVE(&tethers->list, tether, link);
	tethers->count--;
	port_free(tether->port);
	free(tether);
}

static bool lives(const struct track *track)
{
	struct sockdiag_socket socket;
	int rc = sockdiag_find(&track->path.local, &track->path.remote, &socket);

	if (rc < 0)
		return rc != -ENOENT;	/* could not be asked */
	return socket.cookie == track->path.cookie && socket.state != TCP_TIME_WAIT && socket.state != TCP_CLOSE;
}

/* Nobody needs the answers; end of file is left as it is, without a packet of ours */
static void probe_hear(struct tether *tether, unsigned int i)
{
	int fd = tether->port->probes[i], off = 0;
	uint8_t bytes[STUN_MAX];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &off, sizeof(off));
	tether->closed[i] = true;
}

static void probe_ask(int fd)
{
	uint8_t request[STUN_MAX], id[STUN_ID];
	size_t size;

	secret_random(id, sizeof(id));
	size = stun_request(request, id);
	/* 20 bytes into an empty send buffer; where they have no place the next look finds why */
	send(fd, request, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void tether_tend(struct tether *tether, uint64_t now)
{
	bool due = now - tether->asked >= TETHER_ASK;
	unsigned int i;

	for (i = 0; i < PORT_PROBES; i++) {
		if (tether->port->probes[i] < 0 || tether->closed[i])
			continue;
		probe_hear(tether, i);
		if (due && !tether->closed[i])
			probe_ask(tether->port->probes[i]);
	}
	if (due)
		tether->asked = now;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct tethers *tethers = arg;
	struct tether *tether, *next;
	uint64_t now = clock_now();

	(void)fd;
	(void)what;
	for (tether = TAILQ_FIRST(&tethers->list); tether; tether = next) {
		next = TAILQ_NEXT(tether, link);
		if (!lives(&tether->track))
			tether_free(tethers, tether);
		else
			tether_tend(tether, now);
	}
	if (tethers->count)
		event_add(tethers->timer, &look);
}

void tether_hold(struct tethers *tethers, struct port *port, const struct track *track)
{
	struct tether *tether = calloc(1, sizeof(*tether));

	if (!tether) {
		port_free(port);
		return;
	}
	if (tethers->count == TETHERS_MAX)
		tether_free(tethers, TAILQ_FIRST(&tethers->list));
	tether->port = port;
	tether->track = *track;
	TAILQ_INSERT_TAIL(&tethers->list, tether, link);
	tethers->count++;
	/* At once: as a kept port they may have been silent for almost as long as the server bears */
	tether->asked = clock_now() - TETHER_ASK;
	tether_tend(tether, clock_now());
	if (!event_pending(tethers->timer, EV_TIMEOUT, NULL))
		event_add(tethers->timer, &look);
}

struct tethers *tethers_new(struct node *node)
{
	struct tethers *tethers = calloc(1, sizeof(*tethers));

	if (!tethers)
		return NULL;
	TAILQ_INIT(&tethers->list);
	tethers->timer = event_new(node->base, -1, 0, on_timer, tethers);
	if (!tethers->timer) {
		free(tethers);
		return NULL;
	}
	return tethers;
}

void tethers_free(struct tethers *tethers)
{
	if (!tethers)
		return;
	while (!TAILQ_EMPTY(&tethers->list))
		tether_free(tethers, TAILQ_FIRST(&tethers->list));
	event_free(tethers->timer);
	free(tethers);
}
