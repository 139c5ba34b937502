/* SPDX-License-Identifier: MIT */
/*
 * lifetime.c - how long do the NATs above remember a connection that is silent?
 *
 * Theory of operation
 *
 * What we send would make a NAT remember anew, so it must be the server that breaks the silence: it is asked (WAIT in
 * common/stun.h) to answer only after so many seconds. Its answer comes: the mapping lives, and the next
 * connection waits twice as long. It does not: the mapping was forgotten. TCP sends again what is lost, so
 * LIFETIME_LATE more is enough. One connection at a time, each from a port of its own and without keepalive.
 */
#include "resolver/lifetime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/secret.h"
#include "common/stun.h"
#include "resolver/ports.h"
#include "resolver/syn.h"
#include "resolver/timer.h"
#include "resolver/watch.h"

#define LIFETIME_LATE	(5 * SECOND)	/* for an answer that is lost and sent again: after 0.2, 0.6, 1.4, 3 s */
#define LIFETIME_EARLY	(1 * SECOND)	/* before its time: the server did not understand */

struct lifetime {
	struct event_base *base;
	struct endpoint target;
	void (*done)(void *arg, unsigned int seconds);
	void *arg;
	int fd;
	struct event *event, *timer;
	unsigned int seconds;		/* of the silence at hand */
	uint64_t asked_at;		/* 0: connecting */
	uint8_t id[STUN_ID];
	uint8_t in[STUN_MAX];
	size_t have;
};

static void hang_up(struct lifetime *lifetime)
{
	if (lifetime->event)
		event_free(lifetime->event);
	lifetime->event = NULL;
	if (lifetime->fd >= 0)
		close(lifetime->fd);
	lifetime->fd = -1;
}

void lifetime_cancel(struct lifetime *lifetime)
{
	if (!lifetime)
		return;
	hang_up(lifetime);
	if (lifetime->timer)
		event_free(lifetime->timer);
	free(lifetime);
}

static void finish(struct lifetime *lifetime, unsigned int seconds)
{
	void (*done)(void *arg, unsigned int seconds) = lifetime->done;
	void *arg = lifetime->arg;

	log_debug("lifetime: a silent mapping lives %u s", seconds);
	lifetime_cancel(lifetime);
	done(arg, seconds);
}

/* Connected. Return: false when it is not, or the question cannot be sent */
static bool ask(struct lifetime *lifetime)
{
	const struct stun_back wait = { .what = STUN_STEP_WAIT, .port = (uint16_t)lifetime->seconds };
	uint8_t out[STUN_MAX];
	socklen_t len = sizeof(int);
	int error = 0;
	size_t size;

	if (getsockopt(lifetime->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error)
		return false;
	secret_random(lifetime->id, sizeof(lifetime->id));
	size = stun_request_back(out, lifetime->id, &wait);
	if (send(lifetime->fd, out, size, MSG_NOSIGNAL) != (ssize_t)size)
		return false;
	lifetime->asked_at = clock_now();
	return !watch_set(lifetime->event, EV_READ) &&
	       !timer_set(lifetime->timer, lifetime->seconds * SECOND + LIFETIME_LATE);
}

static int begin(struct lifetime *lifetime);

static void take_answer(struct lifetime *lifetime, size_t size)
{
	struct endpoint mapped;
	struct stun_back back;

	if (stun_mapped(lifetime->in, size, lifetime->id, &mapped) || !stun_get_back(lifetime->in, size, &back) ||
	    back.what != STUN_OUTCOME_RESERVED ||
	    clock_now() - lifetime->asked_at + LIFETIME_EARLY < lifetime->seconds * SECOND) {
		finish(lifetime, 0);
		return;
	}
	if (lifetime->seconds >= LIFETIME_LAST) {
		finish(lifetime, lifetime->seconds);
		return;
	}
	lifetime->seconds *= 2;
	hang_up(lifetime);
	if (begin(lifetime))
		finish(lifetime, 0);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct lifetime *lifetime = arg;
	ssize_t n, whole;

	(void)what;
	if (!lifetime->asked_at) {
		if (!ask(lifetime))
			finish(lifetime, 0);
		return;
	}
	n = recv(fd, lifetime->in + lifetime->have, sizeof(lifetime->in) - lifetime->have, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		lifetime->have += (size_t)n;
	whole = stun_size(lifetime->in, lifetime->have);
	if (n <= 0 || whole < 0)
		finish(lifetime, 0);	/* the server has ended it: it may be restarting */
	else if (whole && (size_t)whole <= lifetime->have)
		take_answer(lifetime, (size_t)whole);
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	struct lifetime *lifetime = arg;

	(void)fd;
	(void)what;
	finish(lifetime, lifetime->asked_at ? lifetime->seconds / 2 : 0);
}

static int begin(struct lifetime *lifetime)
{
	int err;

	lifetime->have = 0;
	lifetime->asked_at = 0;
	lifetime->fd = port_socket(lifetime->target.family, 0);
	if (lifetime->fd < 0)
		return -EADDRNOTAVAIL;
	err = syn_connect(lifetime->fd, lifetime->target.family, &lifetime->target);
	if (err)
		return err;
	lifetime->event = event_new(lifetime->base, lifetime->fd, EV_WRITE | EV_PERSIST, on_event, lifetime);
	if (!lifetime->event || event_add(lifetime->event, NULL) || timer_set(lifetime->timer, LIFETIME_LATE))
		return -ENOMEM;
	return 0;
}

struct lifetime *lifetime_start(struct event_base *base, const struct endpoint *target,
				void (*done)(void *arg, unsigned int seconds), void *arg)
{
	struct lifetime *lifetime = calloc(1, sizeof(*lifetime));

	if (!lifetime)
		return NULL;
	*lifetime = (struct lifetime){
		.base = base, .target = *target, .done = done, .arg = arg, .fd = -1, .seconds = LIFETIME_FIRST,
	};
	lifetime->timer = evtimer_new(base, on_late, lifetime);
	if (lifetime->timer && !begin(lifetime))
		return lifetime;
	lifetime_cancel(lifetime);
	return NULL;
}
