/* SPDX-License-Identifier: MIT */
/*
 * tether.c - probe connections that outlive their session, because a NAT may take them for the mapping itself
 *
 * Theory of operation
 *
 * The first connection of a prepared port goes to a probe port; the punched one uses the mapping that it
 * made.  One NAT in eight forgets the mapping with its first connection: a second after
 * the session, when the probe connection was closed, the punched connection is dead,
 * and neither end is told.  So the probe connections stay until the punched connection
 * is gone, which the kernel is asked for now and then.
 *
 * Each holds three descriptors here and two idle connections at the server, so there is a
 * limit; beyond it the connections that have lived longest lose theirs: most are short.
 */
#include "resolver/tether.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "resolver/sockdiag.h"

#define TETHERS_MAX	32	/* 96 descriptors of the 1,024 that a process has at least */

static const struct timeval look = { .tv_sec = 5 };

struct tether {
	TAILQ_ENTRY(tether) link;
	struct port *port;
	struct track track;
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

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct tethers *tethers = arg;
	struct tether *tether, *next;

	(void)fd;
	(void)what;
	for (tether = TAILQ_FIRST(&tethers->list); tether; tether = next) {
		next = TAILQ_NEXT(tether, link);
		if (!lives(&tether->track))
			tether_free(tethers, tether);
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
