/* SPDX-License-Identifier: MIT */
/*
 * race.c - one TCP connection to whichever of several addresses answers first
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "resolver/race.h"
#include "resolver/syn.h"
#include "resolver/timer.h"

#define RACE_STAGGER	(250 * MS)	/* RFC 8305, 8: Connection Attempt Delay */

struct lane {
	struct race *race;
	struct endpoint target;
	int fd;				/* -1: not begun, or over */
	struct event *event;
	int error;			/* 0, or the -errno it ended with */
};

struct race {
	struct event_base *base;
	struct lane lanes[RACE_MAX];
	unsigned int count, begun, lost;
	int family;
	struct event *next;		/* time for the next address; all lost: time to say so */
	struct event *limit;
	race_done *done;
	void *arg;
};

static void lane_close(struct lane *lane)
{
	if (lane->event)
		event_free(lane->event);
	lane->event = NULL;
	if (lane->fd >= 0)
		close(lane->fd);
	lane->fd = -1;
}

void race_cancel(struct race *race)
{
	unsigned int i;

	if (!race)
		return;
	for (i = 0; i < race->count; i++)
		lane_close(&race->lanes[i]);
	if (race->next)
		event_free(race->next);
	if (race->limit)
		event_free(race->limit);
	free(race);
}

static void race_won(struct race *race, struct lane *lane)
{
	struct endpoint reached = lane->target;
	race_done *done = race->done;
	void *arg = race->arg;
	int fd = lane->fd;

	event_free(lane->event);	/* before the descriptor changes hands */
	lane->event = NULL;
	lane->fd = -1;
	race_cancel(race);
	done(arg, fd, &reached, 0, "");
}

static void race_failed(struct race *race, int error)
{
	char text[512] = "", where[ENDPOINT_TEXT_SIZE];
	race_done *done = race->done;
	void *arg = race->arg;
	size_t used = 0;
	unsigned int i;

	if (!race->count)
		used = (size_t)snprintf(text, sizeof(text), "no address of the right family");
	for (i = 0; i < race->count && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s: %s", i ? ", " : "",
					 endpoint_format(&race->lanes[i].target, where),
					 race->lanes[i].error ? strerror(-race->lanes[i].error) : "no answer");
	race_cancel(race);
	done(arg, -1, NULL, error, text);
}

static void lane_lost(struct lane *lane, int error)
{
	lane->error = error;
	lane_close(lane);
	lane->race->lost++;
	timer_set(lane->race->next, 0);	/* RFC 8305, 5: a failure does not wait for the delay */
}

/* TCP may connect a loopback port to itself (RFC 9293, 3.5): nobody is there */
static bool is_self(int fd)
{
	struct endpoint local, remote;

	return !endpoint_local(fd, &local) && !endpoint_remote(fd, &remote) &&
	       endpoint_equal(&local, &remote);
}

static void on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct lane *lane = arg;
	socklen_t size = sizeof(int);
	int error = 0;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		error = errno;
	if (!error && is_self(fd))
		error = ECONNREFUSED;
	if (error)
		lane_lost(lane, -error);
	else
		race_won(lane->race, lane);
}

static int lane_begin(struct lane *lane)
{
	int off = 0, family = lane->race->family ? lane->race->family : lane->target.family;
	int err;

	lane->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (lane->fd < 0)
		return -errno;
	if (family == AF_INET6)		/* bindv6only may be set on this host */
		setsockopt(lane->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	err = syn_connect(lane->fd, family, &lane->target);
	if (err)
		return err;
	lane->event = event_new(lane->race->base, lane->fd, EV_WRITE, on_connected, lane);
	if (!lane->event || event_add(lane->event, NULL))
		return -ENOMEM;
	return 0;
}

static void on_next(evutil_socket_t fd, short what, void *arg)
{
	struct race *race = arg;
	struct lane *lane;
	int error;

	(void)fd;
	(void)what;
	if (race->lost == race->count) {
		race_failed(race, race->count ? race->lanes[race->count - 1].error : -EAFNOSUPPORT);
		return;
	}
	if (race->begun == race->count)
		return;
	lane = &race->lanes[race->begun++];
	timer_set(race->next, RACE_STAGGER);
	error = lane_begin(lane);
	if (error)
		lane_lost(lane, error);
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	race_failed(arg, -ETIMEDOUT);
}

struct race *race_new(struct event_base *base, const struct endpoint *targets, unsigned int count,
		      int family, uint64_t limit_us, race_done *done, void *arg)
{
	struct race *race = calloc(1, sizeof(*race));
	struct sockaddr_storage ss;
	unsigned int i;

	if (!race)
		return NULL;
	*race = (struct race){ .base = base, .family = family, .done = done, .arg = arg };
	for (i = 0; i < count && race->count < RACE_MAX; i++)
		if (endpoint_is_unicast(&targets[i]) && targets[i].port &&
		    endpoint_to_sockaddr(&targets[i], family ? family : targets[i].family, &ss) > 0)
			race->lanes[race->count++] =
				(struct lane){ .race = race, .target = targets[i], .fd = -1 };
	race->next = evtimer_new(base, on_next, race);
	race->limit = evtimer_new(base, on_limit, race);
	if (!race->next || !race->limit || timer_set(race->next, 0) || timer_set(race->limit, limit_us)) {
		race_cancel(race);
		return NULL;
	}
	return race;
}
