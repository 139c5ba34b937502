/* SPDX-License-Identifier: MIT */
/*
 * revoke.c - see revoke.h
 */
#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "resolver/connections_internal.h"
#include "resolver/holder.h"
#include "resolver/revoke.h"
#include "resolver/sockdiag.h"

bool revoke_allows(const struct conf_node *conf, const uint8_t key[KEY_SIZE], bool incoming, uint16_t port)
{
	const struct conf_service *service = conf_service_find(conf, port);
	char text[KEY_TEXT_SIZE];
	unsigned int i;

	key_text(key, text);
	for (i = 0; i < conf->peer_count; i++) {
		const struct conf_peer *peer = &conf->peers[i];

		if (strcmp(peer->key, text) == 0 && (!incoming || !service || conf_service_allows(service, peer->name)))
			return true;
	}
	return false;
}

/* Return: 0 ended or gone already, else why not */
static int end_socket(const struct track_socket *s)
{
	struct sockdiag_socket socket;
	int rc = sockdiag_destroy(&s->local, &s->remote, s->cookie);

	if (rc == 0 || rc == -ENOENT)
		return 0;
	rc = sockdiag_find(&s->local, &s->remote, &socket);
	if (rc == -ENOENT || (rc == 0 && socket.cookie != s->cookie))
		return 0;
	return rc < 0 ? rc : holder_shutdown(socket.inode, s->cookie);
}

int revoke_end(const struct track *track)
{
	int rc;

	if (!track->end.cookie)
		return end_socket(&track->path);
	rc = end_socket(&track->end);
	/* The pump does it by itself, but a far end that reads nothing could make it wait */
	sockdiag_destroy(&track->path.local, &track->path.remote, track->path.cookie);
	return rc;
}

void revoke_connections(struct node *node, const struct conf_node *conf)
{
	char remote[ENDPOINT_TEXT_SIZE];
	struct connection *c;
	unsigned int i;
	int rc;

	if (node->quick_mode)
		return;
	for (i = 0; (c = connections_get(node, i)); i++) {
		if (c->closed || revoke_allows(conf, c->key, c->incoming, c->port))
			continue;
		endpoint_format(&c->track.path.remote, remote);
		rc = revoke_end(&c->track);
		if (rc == 0)
			log_warn("%s is revoked: its connection %s port %u (%s) was ended", c->peer,
				 c->incoming ? "to our" : "from its", c->port, remote);
		else if (!c->defied)
			log_error("%s is revoked, but its connection %s port %u (%s) cannot be ended: %s; end the "
				  "program that has it, or give punch-resolver CAP_NET_ADMIN", c->peer,
				  c->incoming ? "to our" : "from its", c->port, remote, strerror(-rc));
		c->defied = rc < 0;
		if (rc == 0)
			c->closed = clock_now();
	}
}
