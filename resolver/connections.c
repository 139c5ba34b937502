/* SPDX-License-Identifier: MIT */
/*
 * connections.c - memory of sockets given away, for status
 *
 * A connection is remembered by its two ends and its cookie.  Whether it still
 * lives and how many bytes it carried is the kernel's knowledge, asked when
 * somebody wants to see it.  One that is closed is shown for a while, since
 * "which path did it take?" is mostly asked afterwards; or until room is needed.
 */
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "resolver/connections_internal.h"
#include "resolver/sockdiag.h"

#define CONNECTIONS_MEMORY (600 * SECOND)	/* a closed one is shown: as long as an idle resolver stays */

struct connections {
	struct connection list[CONNECTIONS_MAX];
	unsigned int count;
};

struct connections *connections_new(void)
{
	return calloc(1, sizeof(struct connections));
}

void connections_free(struct connections *connections)
{
	free(connections);
}

/* Ask the kernel. Return: false when the socket is closed on both sides of this host */
static bool refresh(struct connection *c)
{
	struct sockdiag_socket socket;
	int rc = sockdiag_find(&c->track.local, &c->track.remote, &socket);

	if (rc < 0)
		return rc != -ENOENT;	/* could not be asked: keep what was known */
	if (socket.cookie != c->track.cookie)
		return false;
	if (socket.state == TCP_TIME_WAIT || socket.state == TCP_CLOSE)
		return false;
	c->bytes_in = socket.bytes_in;
	c->bytes_out = socket.bytes_out;
	return true;
}

/* @all: drop every closed one, not only those closed long ago */
static void sweep(struct connections *connections, bool all)
{
	unsigned int i, kept = 0;

	for (i = 0; i < connections->count; i++) {
		struct connection *c = &connections->list[i];

		if (!c->closed && !refresh(c))
			c->closed = clock_now();
		if (!c->closed || (!all && clock_now() - c->closed < CONNECTIONS_MEMORY))
			connections->list[kept++] = *c;
	}
	connections->count = kept;
}

void connections_refresh(struct node *node)
{
	sweep(node->connections, false);
}

const struct connection *connections_get(const struct node *node, unsigned int i)
{
	return i < node->connections->count ? &node->connections->list[i] : NULL;
}

void connections_track(int fd, struct track *track)
{
	memset(track, 0, sizeof(*track));
	if (endpoint_local(fd, &track->local) < 0 || endpoint_remote(fd, &track->remote) < 0 ||
	    sockdiag_cookie(fd, &track->cookie) < 0)
		track->cookie = 0;
}

void connections_add(struct node *node, const char *peer, uint16_t port, bool incoming, const struct track *track,
		     enum local_path path, uint32_t setup_us)
{
	struct connections *connections = node->connections;
	struct connection c;

	if (!track->cookie)
		return;
	memset(&c, 0, sizeof(c));
	c.track = *track;
	snprintf(c.peer, sizeof(c.peer), "%s", peer);
	c.port = port;
	c.incoming = incoming;
	c.path = path;
	c.setup_us = setup_us;
	c.since = clock_now();
	if (connections->count == CONNECTIONS_MAX)
		sweep(connections, true);
	if (connections->count == CONNECTIONS_MAX) {
		memmove(&connections->list[0], &connections->list[1],
			(CONNECTIONS_MAX - 1) * sizeof(connections->list[0]));
		connections->count--;
	}
	connections->list[connections->count++] = c;
}

const char *connection_path_name(enum local_path path)
{
	static const char *const names[] = { "none", "lan", "direct", "relay" };

	_Static_assert(sizeof(names) / sizeof(names[0]) == LOCAL_PATH_RELAY + 1, "each path has a name");
	return (unsigned int)path <= LOCAL_PATH_RELAY ? names[path] : "?";
}
