/* SPDX-License-Identifier: MIT */
/*
 * connections.c - memory of sockets given away, for status
 *
 * A connection is remembered by its two ends and its cookie, and by the peer's key, for the day when that
 * is revoked.  Whether it still lives and how many bytes it carried is the kernel's knowledge, asked when
 * somebody wants to see it.  One that is closed is shown for a while, since
 * "which path did it take?" is mostly asked afterwards; or until room is needed.
 *
 * Where there is no room the peer that has most loses its oldest.  One that came to us is ended with it: nobody
 * may stay connected, once revoked, by having had very many.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "resolver/connections_internal.h"
#include "resolver/revoke.h"
#include "resolver/sockdiag.h"
#include "resolver/state.h"

#define CONNECTIONS_SWEEP (1 * SECOND)	/* between two looks at all of a full table: 4,096 questions to the kernel */
#define CONNECTIONS_MEMORY (600 * SECOND)	/* a closed one is shown: as long as an idle resolver stays */

struct connections {
	struct connection *list;
	unsigned int count, room;
	unsigned int full;	/* at so many those that are closed are looked for */
	unsigned int most;
	uint64_t swept;
};

struct connections *connections_new(void)
{
	struct connections *connections = calloc(1, sizeof(*connections));

	if (!connections)
		return NULL;
	connections->full = CONNECTIONS_SHOWN;
	connections->most = CONNECTIONS_MAX;
	return connections;
}

void connections_free(struct connections *connections)
{
	if (connections)
		free(connections->list);
	free(connections);
}

/* Ask the kernel. Return: false when the socket is closed on both sides of this host */
static bool refresh(struct connection *c)
{
	struct sockdiag_socket socket;
	int rc = sockdiag_find(&c->track.path.local, &c->track.path.remote, &socket);

	if (rc < 0)
		return rc != -ENOENT;	/* could not be asked: keep what was known */
	if (socket.cookie != c->track.path.cookie)
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

struct connection *connections_get(const struct node *node, unsigned int i)
{
	return i < node->connections->count ? &node->connections->list[i] : NULL;
}

unsigned int connections_count(const struct node *node)
{
	return node->connections->count;
}

bool connections_open(const struct node *node)
{
	const struct connection *c;
	unsigned int i;

	for (i = 0; (c = connections_get(node, i)); i++) {
		if (!c->closed)
			return true;
	}
	return false;
}

static void look_at(int fd, struct track_socket *s)
{
	if (endpoint_local(fd, &s->local) < 0 || endpoint_remote(fd, &s->remote) < 0 ||
	    sockdiag_cookie(fd, &s->cookie) < 0)
		s->cookie = 0;
}

void connections_track(int fd, struct track *track)
{
	memset(track, 0, sizeof(*track));
	look_at(fd, &track->path);
}

void connections_track_end(int fd, struct track *track)
{
	look_at(fd, &track->end);
}

static int compare_owner(const void *a, const void *b, void *list)
{
	const unsigned int *i = a, *k = b;
	const struct connection *first = (const struct connection *)list + *i,
				*second = (const struct connection *)list + *k;
	int order = memcmp(first->key, second->key, KEY_SIZE);

	if (!order)
		order = first->incoming - second->incoming;
	return order ? order : *i < *k ? -1 : 1;
}

/* The oldest of the peer that has most, of those that came from it and of those to it each.
 * Return: its index; -ENOMEM */
static int find_excess(const struct connections *connections)
{
	unsigned int i, start = 0, longest = 0, count = connections->count;
	unsigned int *order = count ? calloc(count, sizeof(*order)) : NULL;
	int found = -ENOMEM;

	if (!order)
		return found;
	for (i = 0; i < count; i++)
		order[i] = i;
	qsort_r(order, count, sizeof(*order), compare_owner, connections->list);
	for (i = 0; i < count; i++) {
		const struct connection *c = &connections->list[order[i]], *first = &connections->list[order[start]];

		if (memcmp(c->key, first->key, KEY_SIZE) != 0 || c->incoming != first->incoming)
			start = i;
		if (i - start + 1 > longest) {
			longest = i - start + 1;
			found = (int)order[start];
		}
	}
	free(order);
	return found;
}

/* Return: 0 or -ENOMEM */
static int forget_one(const struct node *node, struct connections *connections)
{
	static struct log_limit limit;
	struct connection *c;
	bool ended;
	int i = find_excess(connections);

	if (i < 0)
		return i;
	c = &connections->list[i];
	ended = c->incoming && !node->quick_mode && revoke_end(&c->track) == 0;
	if (log_limited(&limit))
		log_warn("more than %u connections are open, most of them %s %s: its oldest is %s", connections->most,
			 c->incoming ? "from" : "to", c->peer,
			 ended ? "ended" : "not shown any more, nor ended when the peer is revoked");
	connections->count--;
	memmove(c, c + 1, (connections->count - (unsigned int)i) * sizeof(*c));
	return 0;
}

/* Room for one more. The kernel is asked about all of them only when they have doubled: adding stays cheap */
static int make_room(const struct node *node, struct connections *connections)
{
	uint64_t now = clock_now();
	struct connection *list;
	unsigned int room;

	if (connections->count >= connections->full ||
	    (connections->count >= connections->most && now - connections->swept >= CONNECTIONS_SWEEP)) {
		sweep(connections, true);
		connections->swept = now;
		connections->full =
			connections->count * 2 > CONNECTIONS_SHOWN ? connections->count * 2 : CONNECTIONS_SHOWN;
	}
	if (connections->count >= connections->most && forget_one(node, connections) < 0)
		return -ENOMEM;
	if (connections->count < connections->room)
		return 0;
	room = connections->room ? connections->room * 2 : 16;
	list = realloc(connections->list, room * sizeof(*list));
	if (!list)
		return -ENOMEM;
	connections->list = list;
	connections->room = room;
	return 0;
}

void connections_add(struct node *node, const struct peer *peer, uint16_t port, bool incoming,
		     const struct track *track, enum local_path path, uint32_t setup_us)
{
	struct connections *connections = node->connections;
	struct connection *c;

	if (!track->path.cookie || make_room(node, connections) < 0)
		return;
	c = &connections->list[connections->count++];
	memset(c, 0, sizeof(*c));
	c->track = *track;
	snprintf(c->peer, sizeof(c->peer), "%s", peer->name);
	memcpy(c->key, peer->key, KEY_SIZE);
	c->port = port;
	c->incoming = incoming;
	c->path = path;
	c->setup_us = setup_us;
	c->since = clock_now();
	state_connected(node);
}

void connections_restore(struct node *node, const struct connection *saved)
{
	struct connection c = *saved;

	if (!refresh(&c) || make_room(node, node->connections) < 0)
		return;
	if (c.since > clock_now())
		c.since = clock_now();
	node->connections->list[node->connections->count++] = c;
}

const char *connection_path_name(enum local_path path)
{
	static const char *const names[] = { "none", "lan", "direct", "relay" };

	_Static_assert(sizeof(names) / sizeof(names[0]) == LOCAL_PATH_RELAY + 1, "each path has a name");
	return (unsigned int)path <= LOCAL_PATH_RELAY ? names[path] : "?";
}
