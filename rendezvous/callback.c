/* SPDX-License-Identifier: MIT */
/*
 * callback.c - connect back to a client of a probe port, so that it learns what its NAT lets in
 *
 * The only place that is ever connected to is the very address and port that the client's own TCP connection comes
 * from: its handshake has proved that packets to there reach the client, so nobody can turn this on somebody else.
 * One callback sends two SYNs at most.
 */
#include "rendezvous/callback.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/accept.h"
#include "rendezvous/limits.h"

struct callback {
	struct event_base *base;
	int fd;
	struct event *event;
	int family;
	void (*done)(void *arg, int outcome);
	void *arg;
	int early;		/* outcome that connect() itself told */
};

static int outcome_of(int error)
{
	switch (error) {
	case 0:
		return STUN_OUTCOME_ESTABLISHED;
	case ECONNREFUSED:
	case ECONNRESET:
		return STUN_OUTCOME_REFUSED;
	case ETIMEDOUT:
		return STUN_OUTCOME_SILENT;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EACCES:
	case ENOPROTOOPT:
	case EPROTO:
		return STUN_OUTCOME_UNREACHABLE;
	default:
		return STUN_OUTCOME_UNAVAILABLE;
	}
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct callback *callback = arg;
	int error = 0, outcome = callback->early;
	socklen_t size = sizeof(error);

	if (!outcome && (what & EV_WRITE)) {
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
			error = errno;
		outcome = outcome_of(error);
	}
	event_free(callback->event);
	callback->event = NULL;
	close(callback->fd);
	callback->fd = -1;
	callback->done(callback->arg, outcome ? outcome : STUN_OUTCOME_SILENT);
}

void callback_go(struct callback *callback, const struct endpoint *to, void (*done)(void *arg, int outcome), void *arg)
{
	static const struct timeval limit = { .tv_sec = RDV_BACK_TIME / SECOND, .tv_usec = RDV_BACK_TIME % SECOND };
	struct sockaddr_storage ss;
	int length = endpoint_to_sockaddr(to, callback->family, &ss), one = 1;

	callback->done = done;
	callback->arg = arg;
	setsockopt(callback->fd, IPPROTO_TCP, TCP_SYNCNT, &one, sizeof(one));
	if (length < 0)
		callback->early = STUN_OUTCOME_UNAVAILABLE;
	else if (connect(callback->fd, (struct sockaddr *)&ss, (socklen_t)length) && errno != EINPROGRESS)
		callback->early = outcome_of(errno);
	event_add(callback->event, &limit);
	if (callback->early)
		event_active(callback->event, EV_TIMEOUT, 0);
}

struct callback *callback_new(struct event_base *base, const struct endpoint *own, const struct endpoint *other,
			      uint16_t *port)
{
	struct endpoint from = other ? *other : *own;
	struct callback *callback;
	struct sockaddr_storage ss;
	int length;

	from.port = 0;
	length = endpoint_to_sockaddr(&from, from.family, &ss);
	if (length < 0)
		return NULL;
	callback = calloc(1, sizeof(*callback));
	if (!callback)
		return NULL;
	callback->family = from.family;
	callback->fd = socket(from.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (callback->fd < 0 || accept_is_reserved(callback->fd) ||
	    bind(callback->fd, (struct sockaddr *)&ss, (socklen_t)length) || endpoint_local(callback->fd, &from))
		goto fail;
	callback->event = event_new(base, callback->fd, EV_WRITE, on_event, callback);
	if (!callback->event)
		goto fail;
	*port = from.port;
	return callback;
fail:
	callback_free(callback);
	return NULL;
}

void callback_free(struct callback *callback)
{
	if (!callback)
		return;
	if (callback->event)
		event_free(callback->event);
	if (callback->fd >= 0)
		close(callback->fd);
	free(callback);
}
