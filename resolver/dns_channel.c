/* SPDX-License-Identifier: MIT */
/*
 * dns_channel.c - a c-ares channel on a libevent loop
 *
 * c-ares 1.18 (Debian 12) reads neither `timeout:` nor `attempts:` of resolv.conf. An answer lost is only
 * made good by its next try, and it doubles the wait with each: the first has to be short. A question asked
 * twice keeps its id and its socket, so that a name server slower than DNS_TRY_MS gets some questions
 * twice, and its first answer counts. SERVFAIL, NOTIMP and REFUSED use up tries, too: with one name
 * server it asks again at once, and waits for that answer as long as for a try after as many lost ones.
 */
#include <stdlib.h>

#include "resolver/dns_channel.h"

/* first wait for a name server: those of a network answer in tens of ms, and Linux takes 200 ms as TCP's least */
#define DNS_TRY_MS	250
/* at 0, 0.25, 0.75, 1.75 and 3.75 s: two lost cost less than dns.c's DNS_GRACE, four do within its DNS_LIMIT */
#define DNS_TRIES	5

struct dns_watch {
	struct dns_watch *next;
	int fd;
	struct event *event;
};

void dns_channel_arm(struct dns_channel *channel)
{
	struct timeval buffer, *next = ares_timeout(channel->ares, NULL, &buffer);

	if (next)
		evtimer_add(channel->timer, next);
	else
		evtimer_del(channel->timer);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct dns_channel *channel = arg;

	(void)fd;
	(void)what;
	ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	dns_channel_arm(channel);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct dns_channel *channel = arg;	/* not the watch: c-ares may close the socket below */

	ares_process_fd(channel->ares, what & EV_READ ? fd : ARES_SOCKET_BAD,
			what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	dns_channel_arm(channel);
}

static void watch_free(struct dns_watch *w)
{
	if (w->event)
		event_free(w->event);
	free(w);
}

/* ARES_OPT_SOCK_STATE_CB: which events c-ares wants of a socket; none: it is about to close it */
static void socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct dns_channel *channel = arg;
	struct dns_watch **at, *w;

	for (at = &channel->watches; *at && (*at)->fd != fd; at = &(*at)->next)
		;
	w = *at;
	if (w) {
		*at = w->next;
		watch_free(w);
	}
	if (!readable && !writable)
		return;
	w = calloc(1, sizeof(*w));
	if (!w)
		return;		/* the socket stays silent, c-ares's timeouts end what is asked */
	w->event = event_new(channel->base, fd, (short)((readable ? EV_READ : 0) |
			     (writable ? EV_WRITE : 0) | EV_PERSIST), on_socket, channel);
	if (!w->event || event_add(w->event, NULL)) {
		watch_free(w);
		return;
	}
	w->fd = fd;
	w->next = channel->watches;
	channel->watches = w;
}

int dns_channel_open(struct dns_channel *channel, struct event_base *base)
{
	struct ares_options options = {
		.timeout = DNS_TRY_MS,
		.tries = DNS_TRIES,
		.sock_state_cb = socket_state,
		.sock_state_cb_data = channel,
	};
	int status;

	channel->base = base;
	channel->timer = evtimer_new(base, on_timer, channel);
	if (!channel->timer)
		return ARES_ENOMEM;
	status = ares_init_options(&channel->ares, &options,
				   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
	if (status != ARES_SUCCESS) {
		channel->ares = NULL;
		event_free(channel->timer);
		channel->timer = NULL;
	}
	return status;
}

void dns_channel_close(struct dns_channel *channel)
{
	struct dns_watch *w;

	if (!channel->ares)
		return;
	ares_destroy(channel->ares);	/* closes its sockets by way of socket_state() */
	channel->ares = NULL;
	while ((w = channel->watches)) {
		channel->watches = w->next;
		watch_free(w);
	}
	event_free(channel->timer);
	channel->timer = NULL;
}
