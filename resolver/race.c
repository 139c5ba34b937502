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

/* One address, tried */
struct contender {
	struct race *race;
	struct endpoint target;
	int fd;				/* -1: not begun, or over */
	struct event *event;
	int error;			/* 0, or the -errno it ended with */
};

struct race {
	struct event_base *base;
	struct contender contenders[RACE_MAX];
	unsigned int count, begun, lost;
	int family;
	struct event *next;		/* time for the next address; all lost: time to say so */
	struct event *limit;
	race_done *done;
	void *arg;
};

static void contender_close(struct contender *contender)
{
	if (contender->event)
		event_free(contender->event);
	contender->event = NULL;
	if (contender->fd >= 0)
		close(contender->fd);
	contender->fd = -1;
}

void race_cancel(struct race *race)
{
	unsigned int i;

	if (!race)
		return;
	for (i = 0; i < race->count; i++)
		contender_close(&race->contenders[i]);
	if (race->next)
		event_free(race->next);
	if (race->limit)
		event_free(race->limit);
	free(race);
}

static void race_won(struct race *race, struct contender *contender)
{
	struct endpoint reached = contender->target;
	race_done *done = race->done;
	void *arg = race->arg;
	int fd = contender->fd;

	event_free(contender->event);	/* before the descriptor changes hands */
	contender->event = NULL;
	contender->fd = -1;
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
					 endpoint_format(&race->contenders[i].target, where),
					 race->contenders[i].error ?
					 strerror(-race->contenders[i].error) : "no answer");
	race_cancel(race);
	done(arg, -1, NULL, error, text);
}

static void contender_lost(struct contender *contender, int error)
{
	contender->error = error;
	contender_close(contender);
	contender->race->lost++;
	timer_set(contender->race->next, 0);	/* RFC 8305, 5: a failure does not wait for the delay */
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
	struct contender *contender = arg;
	socklen_t size = sizeof(int);
	int error = 0;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		error = errno;
	if (!error && is_self(fd))
		error = ECONNREFUSED;
	if (error)
		contender_lost(contender, -error);
	else
		race_won(contender->race, contender);
}

static int contender_begin(struct contender *contender)
{
	int off = 0, family = contender->race->family ? contender->race->family : contender->target.family;
	int err;

	contender->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (contender->fd < 0)
		return -errno;
	if (family == AF_INET6)		/* bindv6only may be set on this host */
		setsockopt(contender->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	err = syn_connect(contender->fd, family, &contender->target);
	if (err)
		return err;
	contender->event = event_new(contender->race->base, contender->fd, EV_WRITE, on_connected, contender);
	if (!contender->event || event_add(contender->event, NULL))
		return -ENOMEM;
	return 0;
}

static void on_next(evutil_socket_t fd, short what, void *arg)
{
	struct race *race = arg;
	struct contender *contender;
	int error;

	(void)fd;
	(void)what;
	if (race->lost == race->count) {
		race_failed(race, race->count ? race->contenders[race->count - 1].error : -EAFNOSUPPORT);
		return;
	}
	if (race->begun == race->count)
		return;
	contender = &race->contenders[race->begun++];
	timer_set(race->next, RACE_STAGGER);
	error = contender_begin(contender);
	if (error)
		contender_lost(contender, error);
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
			race->contenders[race->count++] =
				(struct contender){ .race = race, .target = targets[i], .fd = -1 };
	race->next = evtimer_new(base, on_next, race);
	race->limit = evtimer_new(base, on_limit, race);
	if (!race->next || !race->limit || timer_set(race->next, 0) || timer_set(race->limit, limit_us)) {
		race_cancel(race);
		return NULL;
	}
	return race;
}
