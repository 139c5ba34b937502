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

#define PARKED_LINGER	(10 * SECOND)	/* as DOORBELL_LINGER */

/* ------------------------------------------------------------ nobody claims */

void spot_splice(struct spot *spot, const char *why)
{
	struct node *node = spot->node;
	int end = spot->end, real = spot->real;

	log_info("%s port %u: %s, copying between the sockets", spot->peer.name, spot->port, why);
	connections_add(node, &spot->peer, spot->port, false, &spot->result.track, spot->result.path,
			spot->result.setup_us);
	spot_forget_event(&spot->event);
	spot->end = spot->real = -1;
	spot_free(spot);
	splice_start(node->splices, end, real);
}

/* ------------------------------------------------------------ LOCAL_CLAIM_PARKED */

/* The program has used the socket already: what it said must not be lost */
static bool has_spoken(const struct spot *spot)
{
	char byte;

	return recv(spot->end, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

static int give(struct spot *spot, struct local_reply *reply)
{
	int real = spot->real;

	reply->status = LOCAL_OK;
	reply->slot = spot->peer.slot;
	reply->remote = spot->result.track.path.remote;
	reply->path = spot->result.path;
	reply->setup_us = spot->result.setup_us;
	snprintf(reply->peer, sizeof(reply->peer), "%s", spot->peer.name);
	connections_add(spot->node, &spot->peer, spot->port, false, &spot->result.track, spot->result.path,
			spot->result.setup_us);
	spot->real = -1;
	spot_forget_event(&spot->real_event);
	spot_set_state(spot, PARKED_CLAIMED);
	event_del(spot->event);
	event_assign(spot->event, spot->node->base, spot->end, EV_READ | EV_PERSIST, spot_on_end, spot);
	event_add(spot->event, NULL);
	timer_set(spot->timer, PARKED_LINGER);
	return real;
}

/* Once, as SO_ERROR does; the reset that woke the program is not to be seen after it */
static void tell(struct spot *spot, int fd, struct local_reply *reply)
{
	struct pollfd end = { .fd = spot->end, .events = POLLOUT };
	int error;
	socklen_t size = sizeof(error);

	reply_fail(reply, spot->result.error, "%s", spot->result.text);
	spot->told = true;
	/* It woke before our loop did: settle it now, for it may connect the same socket again at once */
	if (spot->state == PARKED_FAILING && poll(&end, 1, 0) == 1 && !(end.revents & (POLLERR | POLLHUP)))
		spot_fail(spot);
	if (spot->state != PARKED_FAILED)
		return;
	if (fd >= 0)	/* else the porter does it */
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	spot_free(spot);
}

int parked_claim(struct node *node, const struct proof *proof, int fd, struct local_reply *reply)
{
	struct spot *spot;

	reply->status = LOCAL_NOT_OURS;
	reply->error = ENOENT;
	spot = proof->good ? spot_find(node->parked, proof->cookie) : NULL;
	if (!spot)
		return -1;
	snprintf(reply->peer, sizeof(reply->peer), "%s", spot->peer.name);
	reply->slot = spot->peer.slot;
	switch (spot->state) {
	case PARKED_PENDING:
		reply_fail(reply, EINPROGRESS, "on the way to %s", spot->peer.name);
		return -1;
	case PARKED_FAILING:
	case PARKED_FAILED:
		tell(spot, fd, reply);
		return -1;
	case PARKED_READY:
	case PARKED_LATE:
		if (has_spoken(spot)) {
			spot_splice(spot, "the program wrote before it asked");
			return -1;
		}
		/* fall through */
	case PARKED_COMPLETING:
		reply->error = 0;
		return give(spot, reply);
	case PARKED_CLAIMED:
	case PARKED_STATE_COUNT:
		break;
	}
	return -1;
}
