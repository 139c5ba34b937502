/* SPDX-License-Identifier: MIT */
/*
 * state_connections.c - connections, to the saved state and back
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/convert.h"
#include "resolver/connections_internal.h"
#include "resolver/state_internal.h"

/* ------------------------------------------------------------ reading */

static int take_socket(const Punch__SavedSocket *saved, struct track_socket *s)
{
	if (!saved->cookie || endpoint_from_message(&s->local, saved->local) < 0 ||
	    endpoint_from_message(&s->remote, saved->remote) < 0)
		return -EBADMSG;
	s->local.scope = s->remote.scope = saved->scope;
	s->cookie = saved->cookie;
	return 0;
}

void state_take_connection(struct node *node, const Punch__SavedConnection *saved)
{
	struct connection c;

	memset(&c, 0, sizeof(c));
	if (!saved->path_socket || take_socket(saved->path_socket, &c.track.path) < 0 || saved->key.len != KEY_SIZE ||
	    saved->port > UINT16_MAX || saved->path > LOCAL_PATH_RELAY || strlen(saved->peer) >= sizeof(c.peer) ||
	    saved->cover > ENCRYPT_PUMP)
		return;
	if (saved->local_socket && take_socket(saved->local_socket, &c.track.end) < 0)
		return;
	c.track.cover = (enum encrypt_cover)saved->cover;
	strcpy(c.peer, saved->peer);
	memcpy(c.key, saved->key.data, KEY_SIZE);
	c.port = (uint16_t)saved->port;
	c.incoming = saved->incoming;
	c.path = (enum local_path)saved->path;
	c.setup_us = saved->setup_us;
	c.since = saved->since_us;
	connections_restore(node, &c);
}

/* ------------------------------------------------------------ writing */

/* One connection's message with all that it points to: freed as one */
struct drawn {
	Punch__SavedConnection message;	/* first */
	Punch__SavedSocket path, end;
	Punch__Endpoint ends[4];
};

static void draw_socket(Punch__SavedSocket *message, Punch__Endpoint ends[2], const struct track_socket *s)
{
	punch__saved_socket__init(message);
	endpoint_to_message(&s->local, &ends[0]);
	endpoint_to_message(&s->remote, &ends[1]);
	message->local = &ends[0];
	message->remote = &ends[1];
	message->scope = s->remote.scope ? s->remote.scope : s->local.scope;
	message->cookie = s->cookie;
}

static Punch__SavedConnection *draw(struct connection *c)
{
	struct drawn *drawn = calloc(1, sizeof(*drawn));
	struct track *track = &c->track;

	if (!drawn)
		return NULL;
	punch__saved_connection__init(&drawn->message);
	drawn->message.peer = c->peer;
	drawn->message.key = convert_bytes(c->key, KEY_SIZE);
	drawn->message.port = c->port;
	drawn->message.incoming = c->incoming;
	drawn->message.path = c->path;
	drawn->message.cover = track->cover;
	drawn->message.setup_us = c->setup_us;
	drawn->message.since_us = c->since;
	draw_socket(&drawn->path, drawn->ends, &track->path);
	drawn->message.path_socket = &drawn->path;
	if (track->end.cookie) {
		draw_socket(&drawn->end, drawn->ends + 2, &track->end);
		drawn->message.local_socket = &drawn->end;
	}
	return &drawn->message;
}

int state_draw_connections(struct node *node, Punch__SavedState *state)
{
	struct connection *c;
	unsigned int i;

	connections_refresh(node);
	state->connections = calloc(connections_count(node) + 1, sizeof(void *));
	if (!state->connections)
		return -ENOMEM;
	for (i = 0; (c = connections_get(node, i)); i++) {
		if (c->closed)
			continue;
		state->connections[state->n_connections] = draw(c);
		if (!state->connections[state->n_connections])
			return -ENOMEM;
		state->n_connections++;
	}
	return 0;
}

void state_wipe_connections(Punch__SavedState *state)
{
	size_t i;

	for (i = 0; i < state->n_connections; i++)
		free(state->connections[i]);
	free(state->connections);
}
