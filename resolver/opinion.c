/* SPDX-License-Identifier: MIT */
/*
 * opinion.c - ask one STUN server from one local port, and keep the connection
 */
#include "resolver/opinion.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/secret.h"
#include "common/stun.h"
#include "resolver/ports.h"
#include "resolver/syn.h"
#include "resolver/watch.h"

struct opinion {
	int fd;
	struct event *event;
	void (*done)(void *arg, const struct endpoint *mapped);
	void *arg;
	bool asked;
	uint8_t id[STUN_ID];
	uint8_t in[STUN_MAX];
	size_t have;
};

void opinion_free(struct opinion *opinion)
{
	if (!opinion)
		return;
	if (opinion->event)
		event_free(opinion->event);
	if (opinion->fd >= 0)
		close(opinion->fd);
	free(opinion);
}

static void tell(struct opinion *opinion, const struct endpoint *mapped)
{
	static const struct endpoint none;

	event_del(opinion->event);
	opinion->done(opinion->arg, mapped ? mapped : &none);
}

/* Connected, or not. Return: false when it is over */
static bool ask(struct opinion *opinion)
{
	uint8_t out[STUN_MAX];
	socklen_t len = sizeof(int);
	int error = 0;
	size_t size;

	if (getsockopt(opinion->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error)
		return false;
	size = stun_request(out, opinion->id);
	/* 20 bytes into an empty send buffer: all or an error */
	if (send(opinion->fd, out, size, MSG_NOSIGNAL) != (ssize_t)size)
		return false;
	opinion->asked = true;
	return !watch_set(opinion->event, EV_READ);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct opinion *opinion = arg;
	struct endpoint mapped;
	ssize_t n, whole;

	(void)what;
	if (!opinion->asked) {
		if (!ask(opinion))
			tell(opinion, NULL);
		return;
	}
	n = recv(fd, opinion->in + opinion->have, sizeof(opinion->in) - opinion->have, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		opinion->have += (size_t)n;
	whole = stun_size(opinion->in, opinion->have);
	if (n <= 0 || whole < 0)
		tell(opinion, NULL);
	else if (whole && (size_t)whole <= opinion->have)
		tell(opinion, stun_mapped(opinion->in, (size_t)whole, opinion->id, &mapped) ? NULL : &mapped);
}

struct opinion *opinion_start(struct event_base *base, uint16_t number, const struct endpoint *server,
			      void (*done)(void *arg, const struct endpoint *mapped), void *arg)
{
	struct opinion *opinion = calloc(1, sizeof(*opinion));

	if (!opinion)
		return NULL;
	opinion->done = done;
	opinion->arg = arg;
	secret_random(opinion->id, sizeof(opinion->id));
	opinion->fd = port_socket(server->family, number);
	if (opinion->fd < 0 || syn_connect(opinion->fd, server->family, server))
		goto fail;
	opinion->event = event_new(base, opinion->fd, EV_WRITE | EV_PERSIST, on_event, opinion);
	if (opinion->event && !event_add(opinion->event, NULL))
		return opinion;
fail:
	opinion_free(opinion);
	return NULL;
}
