/* SPDX-License-Identifier: MIT */
/*
 * probe.c - STUN over TCP: tells a node the address and port that it is seen under
 *
 * A connection stays open as long as the client wants: it keeps the NAT's mapping alive.  That goes for one that has
 * asked: until its first request, and within each, there is a time that ends however many bytes come.
 * Requests are answered one at a time; an answer is below 200 bytes and a client that does not
 * read them has its connection closed as soon as one does not fit.
 *
 * A request with CONNECT-BACK is one of a node that wants to know what its NAT lets in, see callback.c: RESERVE
 * names the port that we would come from, GO is answered when the outcome is known, and nothing is read before that.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/bucket.h"
#include "common/log.h"
#include "common/places.h"
#include "common/sources.h"
#include "common/stun.h"
#include "rendezvous/callback.h"
#include "rendezvous/limits.h"
#include "rendezvous/listeners.h"
#include "rendezvous/probe.h"

struct probe {
	int fd;
	struct event *event;	/* readable, or idle for too long */
	struct endpoint from;
	struct place place;		/* among the strangers, from its first request on among the regulars */
	uint64_t deadline;		/* of the request that has begun; 0: none has */
	struct bucket requests, backs;
	struct callback *callback;	/* reserved, or under way; NULL none */
	struct place back_place;	/* its */
	struct event *back_kept;	/* until a reservation is given up; NULL none */
	struct stun_back back;		/* of it */
	bool waiting;			/* the first request is answered by its outcome, or after a silence */
	struct event *silence;		/* its end; NULL none */
	size_t have;
	LIST_ENTRY(probe) all;
	uint8_t request[STUN_MAX];
};

struct probe_stats probe_stats;
static LIST_HEAD(, probe) probes = LIST_HEAD_INITIALIZER(probes);
static struct event_base *probe_base;
static struct listeners *probe_listeners;
static struct sources *probe_sources;
static struct places *strangers, *regulars, *backs;
static struct endpoint probe_own[CONF_LIST];	/* addresses that we listen on by name */
static unsigned int probe_own_count;
static const struct timeval *probe_idle;	/* RDV_PROBE_IDLE, as libevent wants many equal timeouts */

static void back_end(struct probe *probe)
{
	callback_free(probe->callback);
	probe->callback = NULL;
	places_leave(&probe->back_place);
	if (probe->back_kept)
		event_free(probe->back_kept);
	probe->back_kept = NULL;
}

static void probe_end(struct probe *probe)
{
	LIST_REMOVE(probe, all);
	places_leave(&probe->place);
	probe_stats.strangers = places_taken(strangers);
	back_end(probe);
	if (probe->silence)
		event_free(probe->silence);
	sources_release(probe_sources, &probe->from, clock_now());
	event_free(probe->event);
	close(probe->fd);
	free(probe);
	probe_stats.now--;
}

static bool probe_answer(struct probe *probe);

/* A place, maybe that of another one, which ends. Return: false when there is none */
static bool probe_place(struct probe *probe, struct places *places)
{
	struct place *loser;
	int err;

	places_leave(&probe->place);
	err = places_take(places, &probe->place, &probe->from, clock_now(), &loser);
	if (loser) {
		probe_stats.crowded++;
		probe_end((struct probe *)(void *)((char *)loser - offsetof(struct probe, place)));
	}
	probe_stats.strangers = places_taken(strangers);
	return !err;
}

/* A whole request is here. Return: false when there is no place for one that has asked */
static bool probe_asked(struct probe *probe)
{
	probe->deadline = 0;
	if (probe->place.table == strangers)
		return probe_place(probe, regulars);
	places_renew(&probe->place, clock_now());
	return true;
}

/* Wait for a request, or for the rest of one: not longer for each byte. Return: 0 or -1 */
static int probe_wait(struct probe *probe)
{
	uint64_t now = clock_now(), in;
	struct timeval tv;

	if (!probe->deadline && probe->have)
		probe->deadline = now + RDV_PROBE_TIME;
	if (!probe->deadline || probe->silence)
		return event_add(probe->event, probe_idle);
	in = probe->deadline > now ? probe->deadline - now : 0;
	tv = (struct timeval){ .tv_sec = (time_t)(in / SECOND), .tv_usec = (suseconds_t)(in % SECOND) };
	return event_add(probe->event, &tv);
}

/* Nothing is read until the connection back is made or not */
static bool is_going_back(const struct probe *probe)
{
	return probe->waiting && !probe->silence;
}

/* An address of ours, of the same family, that is not @own; NULL when there is none */
static const struct endpoint *other_address(const struct endpoint *own)
{
	unsigned int i;

	for (i = 0; i < probe_own_count; i++)
		if (probe_own[i].family == own->family && !endpoint_same_address(&probe_own[i], own))
			return &probe_own[i];
	return NULL;
}

static void on_back(void *arg, int outcome);

static void on_back_kept(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	back_end(arg);
}

/* Maybe the place of another one, whose client hears that it cannot be done. Return: false when there is none */
static bool back_take_place(struct probe *probe)
{
	static const struct timeval kept = { .tv_sec = RDV_BACK_KEPT / SECOND };
	struct place *loser;
	struct probe *other;
	int err = places_take(backs, &probe->back_place, &probe->from, clock_now(), &loser);

	if (loser) {
		other = (struct probe *)(void *)((char *)loser - offsetof(struct probe, back_place));
		if (is_going_back(other))
			on_back(other, STUN_OUTCOME_UNAVAILABLE);
		else
			back_end(other);
	}
	if (err)
		return false;
	probe->back_kept = evtimer_new(probe_base, on_back_kept, probe);
	return probe->back_kept && !evtimer_add(probe->back_kept, &kept);
}

/* Prepare to connect back: @back becomes the answer */
static void back_reserve(struct probe *probe, struct stun_back *back)
{
	static const struct rate rate = RDV_BACK_RATE;
	const struct endpoint *other = NULL;
	struct endpoint own;

	back_end(probe);
	back->what = STUN_OUTCOME_UNAVAILABLE;
	back->port = 0;
	if (endpoint_local(probe->fd, &own) || !bucket_take(&probe->backs, &rate, clock_now()))
		return;
	if (back->scope == STUN_SCOPE_ADDRESS)
		other = other_address(&own);
	if ((back->scope == STUN_SCOPE_PORT || other) && back_take_place(probe))
		probe->callback = callback_new(probe_base, &own, other, &back->port);
	if (probe->callback)
		back->what = STUN_OUTCOME_RESERVED;
	else
		back_end(probe);
}

static void on_back(void *arg, int outcome)
{
	struct probe *probe = arg;

	back_end(probe);
	probe->back.what = (uint8_t)outcome;
	if (!probe_answer(probe) || (!is_going_back(probe) && probe_wait(probe)))
		probe_end(probe);
}

static void on_silence(evutil_socket_t fd, short what, void *arg)
{
	struct probe *probe = arg;

	(void)fd;
	(void)what;
	event_free(probe->silence);
	probe->silence = NULL;
	if (!probe_answer(probe) || (!is_going_back(probe) && probe_wait(probe)))
		probe_end(probe);
}

/* A NAT is to show whether it remembers a silent connection. Return: false when it cannot be done */
static bool begin_silence(struct probe *probe, unsigned int seconds)
{
	const struct timeval silence = { .tv_sec = (time_t)seconds };

	if (!seconds || seconds > RDV_WAIT_MOST)
		return false;
	probe->silence = evtimer_new(probe_base, on_silence, probe);
	return probe->silence && !evtimer_add(probe->silence, &silence);
}

/* What the request at hand wants beside the address. Return: false when its answer has to wait */
static bool back_take(struct probe *probe, size_t size, struct stun_back *back, bool *has)
{
	*has = stun_get_back(probe->request, size, back);
	if (!*has)
		return true;
	if (probe->waiting) {
		probe->waiting = false;
		*back = probe->back;
	} else if (back->what == STUN_STEP_RESERVE) {
		back_reserve(probe, back);
		probe->back = *back;
	} else if (back->what == STUN_STEP_WAIT && begin_silence(probe, back->port)) {
		probe->waiting = true;
		probe->back = *back;
		probe->back.what = STUN_OUTCOME_RESERVED;
		return false;
	} else if (back->what == STUN_STEP_GO && probe->callback) {
		probe->waiting = true;
		event_del(probe->event);
		evtimer_del(probe->back_kept);
		callback_go(probe->callback, &probe->from, on_back, probe);
		return false;
	} else {
		back->what = STUN_OUTCOME_UNAVAILABLE;
	}
	return true;
}

/* Answer all whole requests that are here. Return: false to end the connection */
static bool probe_answer(struct probe *probe)
{
	static const struct rate rate = RDV_STUN_RATE;
	uint8_t answer[STUN_MAX];
	struct stun_back back;
	ssize_t whole, size;
	bool has = false;

	while ((whole = stun_size(probe->request, probe->have)) != 0) {
		if (whole > 0 && (size_t)whole > probe->have)
			break;
		if (whole > 0 && !probe_asked(probe)) {
			probe_stats.limited++;
			return false;
		}
		if (whole > 0 && !back_take(probe, (size_t)whole, &back, &has))
			break;
		size = whole < 0 ? whole :
		       stun_answer(probe->request, (size_t)whole, &probe->from, has ? &back : NULL, answer);
		if (size < 0) {
			probe_stats.malformed++;
			return false;
		}
		if (!bucket_take(&probe->requests, &rate, clock_now())) {
			probe_stats.limited++;
			return false;
		}
		if (send(probe->fd, answer, (size_t)size, MSG_NOSIGNAL) != size)
			return false;
		probe_stats.answers++;
		probe->have -= (size_t)whole;
		memmove(probe->request, probe->request + whole, probe->have);
	}
	return true;
}

static void probe_ready(evutil_socket_t fd, short what, void *arg)
{
	struct probe *probe = arg;
	ssize_t n;

	if (what & EV_TIMEOUT) {
		probe_stats.slow += probe->deadline != 0;
		probe_end(probe);
		return;
	}
	n = recv(fd, probe->request + probe->have, sizeof(probe->request) - probe->have, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		probe_end(probe);
		return;
	}
	probe->have += (size_t)n;
	/* It asked for silence: whoever fills the buffer meanwhile is no client of ours */
	if (probe->silence ? probe->have == sizeof(probe->request) : !probe_answer(probe))
		probe_end(probe);
	else if (!is_going_back(probe) && probe_wait(probe))
		probe_end(probe);
}

static void probe_accepted(void *ctx, unsigned int index, int fd, const struct endpoint *from)
{
	struct probe *probe = NULL;

	(void)ctx;
	(void)index;
	probe_stats.accepted++;
	if (sources_admit(probe_sources, from, clock_now())) {
		probe_stats.limited++;
		close(fd);
		return;
	}
	probe = calloc(1, sizeof(*probe));
	if (probe)
		probe->from = *from;
	if (probe && probe_place(probe, strangers))
		probe->event = event_new(probe_base, fd, EV_READ | EV_PERSIST, probe_ready, probe);
	if (!probe || !probe->event) {
		if (probe)
			places_leave(&probe->place);
		probe_stats.limited++;
		free(probe);
		close(fd);
		sources_release(probe_sources, from, clock_now());
		return;
	}
	probe->fd = fd;
	probe->deadline = clock_now() + RDV_PROBE_TIME;
	LIST_INSERT_HEAD(&probes, probe, all);
	probe_stats.now++;
	if (probe_wait(probe))
		probe_end(probe);
}

int probes_open(struct event_base *base, struct endpoint *eps, unsigned int count, unsigned int descriptors)
{
	const unsigned int most = places_fit(RDV_PROBES, descriptors, RDV_PROBES_FIT);
	const unsigned int most_strangers = places_fit(RDV_PROBE_STRANGERS, descriptors, RDV_PROBE_STRANGERS_FIT);
	const unsigned int most_backs = places_fit(RDV_BACKS, descriptors, RDV_BACKS_FIT);
	const struct timeval idle = { .tv_sec = RDV_PROBE_IDLE / SECOND };
	static const struct rate rate = RDV_PROBE_RATE;
	int err = -EADDRNOTAVAIL, open = 0;
	char why[512];

	probe_base = base;
	probe_idle = event_base_init_common_timeout(base, &idle);
	probe_listeners = listeners_new(base, probe_accepted, NULL);
	probe_sources = sources_new(RDV_SOURCES, RDV_PROBES_PER_SOURCE, &rate);
	strangers = places_new(most_strangers,
			       places_fit(RDV_PROBE_STRANGERS_SHARE, most_strangers, STRANGERS_SHARE_FIT),
			       RDV_STRANGER_TIME);
	regulars = places_new(most, places_fit(RDV_PROBES_PER_SOURCE, most, 1), NEVER);
	backs = places_new(most_backs, places_fit(RDV_BACKS_SHARE, most_backs, STRANGERS_SHARE_FIT), RDV_BACK_TIME);
	if (!probe_idle || !probe_listeners || !probe_sources || !strangers || !regulars || !backs)
		return -ENOMEM;
	for (unsigned int i = 0; i < count; i++) {
		err = listeners_add(probe_listeners, &eps[i], why, sizeof(why));
		if (!err) {
			open++;
			if (!endpoint_is_any(&eps[i]) && probe_own_count < CONF_LIST)
				probe_own[probe_own_count++] = eps[i];
			continue;
		}
		/* No IPv6 on this host is no news */
		if (eps[i].family == AF_INET6 && endpoint_is_any(&eps[i]) &&
		    (err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL))
			log_info("probe: %s", why);
		else
			log_warn("probe: %s", why);
		eps[i].family = 0;
	}
	return open ? open : err;
}

void probes_close(void)
{
	struct probe *probe;

	while ((probe = LIST_FIRST(&probes)))
		probe_end(probe);
	probe_own_count = 0;
	listeners_free(probe_listeners);
	sources_free(probe_sources);
	places_free(strangers);
	places_free(regulars);
	places_free(backs);
	strangers = regulars = backs = NULL;
	probe_listeners = NULL;
	probe_sources = NULL;
}
