/* SPDX-License-Identifier: MIT */
/*
 * parked_claim.c - the real socket for the parked one, or a copy between both
 *
 * See the theory of operation in parked.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/log.h"
#include "resolver/connections.h"
#include "resolver/parked_internal.h"
#include "resolver/reply.h"
#include "resolver/splice.h"
#include "resolver/timer.h"
#include "resolver/watch.h"

#define PARKED_LINGER	(10 * SECOND)	/* as DOORBELL_LINGER */

/* ------------------------------------------------------------ nobody claims */

int parked_socket_splice(struct parked_socket *sock, const char *why)
{
	struct node *node = sock->node;
	int rc;

	log_info("%s port %u: %s, copying between the sockets", sock->peer.name, sock->port, why);
	parked_socket_forget_event(&sock->event);
	parked_socket_forget_event(&sock->real_event);
	rc = splice_start(node->splices, sock->end, sock->real);
	sock->end = sock->real = -1;
	if (rc == 0)
		connections_add(node, &sock->peer, sock->port, false, &sock->result.track, sock->result.path,
				sock->result.setup_us);
	parked_socket_free(sock);
	return rc;
}

/* ------------------------------------------------------------ LOCAL_CLAIM_PARKED */

/* The program has used the socket already: what it said must not be lost */
static bool has_spoken(const struct parked_socket *sock)
{
	char byte;

	return recv(sock->end, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

static int give(struct parked_socket *sock, struct local_reply *reply)
{
	int real = sock->real;

	reply->status = LOCAL_OK;
	reply->slot = sock->peer.slot;
	reply->remote = sock->result.track.path.remote;
	reply->path = sock->result.path;
	reply->setup_us = sock->result.setup_us;
	snprintf(reply->peer, sizeof(reply->peer), "%s", sock->peer.name);
	connections_add(sock->node, &sock->peer, sock->port, false, &sock->result.track, sock->result.path,
			sock->result.setup_us);
	sock->real = -1;
	parked_socket_forget_event(&sock->real_event);
	parked_socket_set_state(sock, PARKED_CLAIMED);
	watch_set(sock->event, EV_READ);	/* where that fails, the timer ends it all the same */
	timer_set(sock->timer, PARKED_LINGER);
	return real;
}

/* Once, as SO_ERROR does; the reset that woke the program is not to be seen after it */
static void tell(struct parked_socket *sock, int fd, struct local_reply *reply)
{
	struct pollfd end = { .fd = sock->end, .events = POLLOUT };
	int error;
	socklen_t size = sizeof(error);

	reply_fail(reply, sock->result.error, "%s", sock->result.text);
	sock->told = true;
	/* It woke before our loop did: settle it now, for it may connect the same socket again at once */
	if (sock->state == PARKED_FAILING && poll(&end, 1, 0) == 1 && !(end.revents & (POLLERR | POLLHUP)))
		parked_socket_fail(sock);
	if (sock->state != PARKED_FAILED)
		return;
	if (fd >= 0)	/* else the porter does it */
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	parked_socket_free(sock);
}

/* @copy: asked for by the program, which cannot take the socket */
static void join(struct parked_socket *sock, bool copy, struct local_reply *reply)
{
	/* COMPLETING: our end may still be on its way, or a stranger's */
	if (sock->state == PARKED_COMPLETING && !parked_socket_is_joined(sock))
		reply_fail(reply, EINPROGRESS, "on the way to %s", sock->peer.name);
	else if (parked_socket_splice(sock, copy ? "the program cannot take the socket" :
						   "the program wrote before it asked") < 0)
		reply_fail(reply, ENOBUFS, "%s: too many connections are being copied already", reply->peer);
}

int parked_claim(struct node *node, const struct proof *proof, int fd, bool copy, struct local_reply *reply)
{
	struct parked_socket *sock;

	reply->status = LOCAL_NOT_OURS;
	reply->error = ENOENT;
	sock = proof->good ? parked_socket_find(node->parked, proof->cookie) : NULL;
	if (!sock)
		return -1;
	snprintf(reply->peer, sizeof(reply->peer), "%s", sock->peer.name);
	reply->slot = sock->peer.slot;
	switch (sock->state) {
	case PARKED_PENDING:
		reply_fail(reply, EINPROGRESS, "on the way to %s", sock->peer.name);
		return -1;
	case PARKED_FAILING:
	case PARKED_FAILED:
		tell(sock, fd, reply);
		return -1;
	case PARKED_READY:
	case PARKED_LATE:
	case PARKED_COMPLETING:
		if (copy || (sock->state != PARKED_COMPLETING && has_spoken(sock))) {
			join(sock, copy, reply);
			return -1;
		}
		reply->error = 0;
		return give(sock, reply);
	case PARKED_CLAIMED:
	case PARKED_STATE_COUNT:
		break;
	}
	return -1;
}
