/* SPDX-License-Identifier: MIT */
/*
 * dns.c - names of servers to addresses; the only file that knows c-ares
 *
 * Theory of operation
 *
 * Each look-up has a c-ares channel of its own.  That costs one reading of
 * /etc/resolv.conf and /etc/hosts (about 0.1 ms), and buys two things: a look-up can be
 * cancelled alone (c-ares can only cancel a whole channel), and a host that
 * roams never asks the name servers of the network it has left.
 *
 * A look-up of HOST:PORT asks for HOST's addresses.  A look-up of HOST alone asks for
 * `_punch._tcp.HOST` SRV and for HOST's addresses at the same time, so that a domain without SRV
 * costs no second round trip; SRV wins where it exists.  Name servers that never
 * answer SRV are real (home routers): once the addresses are there, the SRV
 * answer gets DNS_SRV_GRACE and no more.  A name that stands in /etc/hosts is meant as it
 * stands there, and is not looked for in SRV.
 *
 * c-ares calls back from inside ares_process_fd(), and for /etc/hosts from
 * inside ares_getaddrinfo() itself.  Its callbacks therefore only write down what they
 * got and set the `finish` timer to zero; everything that may destroy the
 * channel or call the owner happens in that timer, straight from the event loop.
 */
#include <ares.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/limits.h"
#include "resolver/dns.h"
#include "resolver/srv.h"
#include "resolver/timer.h"

#define DNS_LIMIT	(5 * SECOND)	/* for a whole look-up: uplinks try again, and PUNCH_TIMEOUT is 15 s */
#define DNS_TRY_MS	1000		/* first wait for a name server; c-ares doubles it */
#define DNS_TRIES	3		/* 1 + 2 + 4 s, cut by DNS_LIMIT */
#define DNS_SRV_GRACE	(1 * SECOND)	/* for SRV once the addresses are there: one lost packet */
#define DNS_RECORDS	32		/* SRV records looked at */
#define DNS_TARGETS	8		/* of them resolved, the first in order: the rest are spares of spares */
#define DNS_PER_FAMILY	8		/* addresses kept of one target and family */
#define DNS_SERVICE	"_punch._tcp."

struct watch {
	struct watch *next;
	struct dns_query *query;
	int fd;
	struct event *event;
};

/* one host whose addresses are asked for: HOST itself, or an SRV target */
struct target {
	struct dns_query *query;
	char host[LIMIT_HOST];
	uint16_t port;
	bool done;
	int status;			/* ARES_* */
	struct endpoint v6[DNS_PER_FAMILY], v4[DNS_PER_FAMILY];
	unsigned int v6_count, v4_count;
};

enum srv_state {
	SRV_NONE,		/* not asked: the port was given, or the name stands in /etc/hosts */
	SRV_ASKED,
	SRV_ABSENT,		/* no such records, or no answer in time */
	SRV_FOUND,		/* targets[1 ..] count, targets[0] does not */
	SRV_REFUSED,		/* the single target "." (RFC 2782): decidedly no such service here */
};

struct dns_query {
	struct dns *dns;
	struct dns_query *next, **link;
	char text[LIMIT_HOST + 16];
	ares_channel channel;		/* NULL for literals and malformed names */
	struct event *timer;		/* c-ares's own timeouts */
	struct event *limit;		/* of the whole look-up */
	struct event *finish;		/* zero: all is known; or the SRV grace */
	struct watch *watches;
	enum srv_state srv;
	struct target targets[1 + DNS_TARGETS];
	unsigned int target_count;
	int error;			/* found before anything was asked */
	const char *problem;
	struct endpoint literal;
	dns_done *done;
	void *arg;
};

struct dns {
	struct event_base *base;
	struct dns_query *queries;
};

struct dns *dns_new(struct event_base *base)
{
	struct dns *dns;

	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		return NULL;
	dns = calloc(1, sizeof(*dns));
	if (!dns) {
		ares_library_cleanup();
		return NULL;
	}
	dns->base = base;
	return dns;
}

void dns_free(struct dns *dns)
{
	if (!dns)
		return;
	while (dns->queries)
		dns_cancel(dns->queries);
	free(dns);
	ares_library_cleanup();
}

/* --- c-ares on libevent */

static void timer_arm(struct dns_query *q)
{
	struct timeval buffer, *next = ares_timeout(q->channel, NULL, &buffer);

	if (next)
		evtimer_add(q->timer, next);
	else
		evtimer_del(q->timer);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct dns_query *q = arg;

	(void)fd;
	(void)what;
	ares_process_fd(q->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	timer_arm(q);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct dns_query *q = arg;	/* not the watch: c-ares may close the socket below */

	ares_process_fd(q->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
			what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	timer_arm(q);
}

/* ARES_OPT_SOCK_STATE_CB: which events c-ares wants of a socket; none: it is about to close it */
static void socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct dns_query *q = arg;
	struct watch **at, *w;

	for (at = &q->watches; *at && (*at)->fd != fd; at = &(*at)->next)
		;
	w = *at;
	if (w) {
		event_free(w->event);
		*at = w->next;
		free(w);
	}
	if (!readable && !writable)
		return;
	w = calloc(1, sizeof(*w));
	if (!w)
		return;		/* the socket stays silent, DNS_LIMIT ends the look-up */
	w->event = event_new(q->dns->base, fd, (short)((readable ? EV_READ : 0) |
			     (writable ? EV_WRITE : 0) | EV_PERSIST), on_socket, q);
	if (!w->event || event_add(w->event, NULL)) {
		if (w->event)
			event_free(w->event);
		free(w);
		return;
	}
	w->fd = fd;
	w->next = q->watches;
	q->watches = w;
}

/* --- what was learnt */

/* Is everything known that the answer needs?  Then finish, from the loop */
static void query_settle(struct dns_query *q)
{
	unsigned int i;

	if (q->srv == SRV_REFUSED) {
		timer_set(q->finish, 0);
		return;
	}
	for (i = q->srv == SRV_FOUND ? 1 : 0; i < q->target_count; i++)
		if (!q->targets[i].done)
			return;
	if (q->srv != SRV_ASKED)
		timer_set(q->finish, 0);
	else if (q->targets[0].v6_count + q->targets[0].v4_count)
		timer_set(q->finish, DNS_SRV_GRACE);
}

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct target *t = arg;
	struct ares_addrinfo_node *node;
	struct endpoint ep;

	(void)timeouts;
	if (status == ARES_EDESTRUCTION)
		return;		/* query_free() is at work */
	t->done = true;
	t->status = status;
	for (node = status == ARES_SUCCESS ? info->nodes : NULL; node; node = node->ai_next) {
		if (endpoint_from_sockaddr(&ep, node->ai_addr, (socklen_t)node->ai_addrlen))
			continue;
		ep.port = t->port;
		if (ep.family == AF_INET6 && t->v6_count < DNS_PER_FAMILY)
			t->v6[t->v6_count++] = ep;
		else if (ep.family == AF_INET && t->v4_count < DNS_PER_FAMILY)
			t->v4[t->v4_count++] = ep;
	}
	ares_freeaddrinfo(info);
	query_settle(t->query);
}

static void ask_addresses(struct target *t)
{
	struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };

	ares_getaddrinfo(t->query->channel, t->host, NULL, &hints, on_addresses, t);
}

static uint32_t random_below(uint32_t n)
{
	uint32_t r = 0;

	/* Spreads load, guards nothing: the bias of % and a failure that gives 0 do no harm */
	return getrandom(&r, sizeof(r), GRND_NONBLOCK) == sizeof(r) && n ? r % n : 0;
}

static void srv_take(struct dns_query *q, const struct ares_srv_reply *list)
{
	const struct ares_srv_reply *r;
	struct srv found[DNS_RECORDS];
	unsigned int n = 0, i;
	struct target *t;

	for (r = list; r && n < DNS_RECORDS; r = r->next) {
		if (!r->port || !*r->host || !strcmp(r->host, ".") || strlen(r->host) >= LIMIT_HOST)
			continue;
		found[n] = (struct srv){ .port = r->port, .priority = r->priority, .weight = r->weight };
		strcpy(found[n++].host, r->host);
	}
	q->srv = n ? SRV_FOUND : SRV_REFUSED;
	evtimer_del(q->finish);		/* the grace, should it run */
	srv_order(found, n, random_below);
	for (i = 0; i < n && i < DNS_TARGETS; i++) {
		t = &q->targets[q->target_count++];
		t->query = q;
		strcpy(t->host, found[i].host);
		t->port = found[i].port;
	}
	for (i = 1; i < q->target_count; i++)
		ask_addresses(&q->targets[i]);
}

static void on_srv(void *arg, int status, int timeouts, unsigned char *answer, int size)
{
	struct dns_query *q = arg;
	struct ares_srv_reply *list = NULL;

	(void)timeouts;
	if (status == ARES_EDESTRUCTION || q->srv != SRV_ASKED)
		return;
	q->srv = SRV_ABSENT;
	if (status == ARES_SUCCESS && ares_parse_srv_reply(answer, size, &list) == ARES_SUCCESS && list)
		srv_take(q, list);
	ares_free_data(list);	/* NULL does no harm */
	query_settle(q);
}

/* --- the end of a look-up */

static void query_free(struct dns_query *q)
{
	struct event *events[] = { q->timer, q->limit, q->finish };
	struct watch *w;
	unsigned int i;

	*q->link = q->next;
	if (q->next)
		q->next->link = q->link;
	if (q->channel)
		ares_destroy(q->channel);	/* closes its sockets by way of socket_state() */
	while ((w = q->watches)) {
		q->watches = w->next;
		event_free(w->event);
		free(w);
	}
	for (i = 0; i < 3; i++)
		if (events[i])
			event_free(events[i]);
	free(q);
}

void dns_cancel(struct dns_query *query)
{
	if (query)
		query_free(query);
}

static unsigned int collect(const struct dns_query *q, struct endpoint results[DNS_RESULTS])
{
	unsigned int i, j, n = 0, end = q->srv == SRV_FOUND ? q->target_count : 1;

	if (q->literal.family) {
		results[0] = q->literal;
		return 1;
	}
	if (q->error || q->srv == SRV_REFUSED)
		return 0;
	for (i = q->srv == SRV_FOUND ? 1 : 0; i < end; i++) {
		const struct target *t = &q->targets[i];

		for (j = 0; j < DNS_PER_FAMILY; j++) {	/* RFC 8305, 4 */
			if (j < t->v6_count && n < DNS_RESULTS)
				results[n++] = t->v6[j];
			if (j < t->v4_count && n < DNS_RESULTS)
				results[n++] = t->v4[j];
		}
	}
	return n;
}

/* Why are there no addresses? */
static int explain(const struct dns_query *q, char *text, size_t size)
{
	unsigned int i, first = q->srv == SRV_FOUND ? 1 : 0;
	int status = ARES_ETIMEOUT, error = -ETIMEDOUT;

	if (q->error) {
		snprintf(text, size, "%s: %s", q->text, q->problem);
		return q->error;
	}
	if (q->srv == SRV_REFUSED) {
		snprintf(text, size, "%s: its DNS says that it has no punch service (SRV target \".\")", q->text);
		return -ENOENT;
	}
	for (i = first; i < q->target_count; i++)
		if (q->targets[i].done)
			status = q->targets[i].status;
	if (status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_SUCCESS)
		error = -ENOENT;
	else if (status != ARES_ETIMEOUT)
		error = -EIO;
	if (error == -ENOENT)
		snprintf(text, size, "%s: no such host in DNS or /etc/hosts", q->text);
	else if (error == -ETIMEDOUT)
		snprintf(text, size, "%s: no name server answered within %llu s; see /etc/resolv.conf",
			 q->text, DNS_LIMIT / SECOND);
	else
		snprintf(text, size, "%s: name look-up failed: %s; see /etc/resolv.conf", q->text,
			 ares_strerror(status));
	return error;
}

/* finish and limit both end here: with what there is */
static void on_finish(evutil_socket_t fd, short what, void *arg)
{
	struct dns_query *q = arg;
	struct endpoint results[DNS_RESULTS];
	char text[512] = "";
	unsigned int count = collect(q, results);
	int error = count ? 0 : explain(q, text, sizeof(text));
	dns_done *done = q->done;
	void *owner = q->arg;

	(void)fd;
	(void)what;
	query_free(q);		/* first: the owner may call dns_free() */
	done(owner, error, text, results, count);
}

/* --- the start of a look-up */

/* Does the name stand in /etc/hosts? */
static bool in_hosts_file(ares_channel channel, const char *host)
{
	struct hostent *entry = NULL;
	bool found = ares_gethostbyname_file(channel, host, AF_INET, &entry) == ARES_SUCCESS;

	if (!found)
		found = ares_gethostbyname_file(channel, host, AF_INET6, &entry) == ARES_SUCCESS;
	if (found)
		ares_free_hostent(entry);
	return found;
}

/* HOST[:PORT]. Return: 0, 1 (it has a port) or -EINVAL with q->problem */
static int text_split(struct dns_query *q, const char *text, uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : strlen(text);
	unsigned long number;
	char *end;

	if (!length || length >= LIMIT_HOST || memchr(text, ':', length)) {
		q->problem = "is no HOST, HOST:PORT, IPv4 address or [IPv6 address]:PORT";
		return -EINVAL;
	}
	memcpy(q->targets[0].host, text, length);
	if (!colon)
		return 0;
	number = strtoul(colon + 1, &end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *end || !number || number > UINT16_MAX) {
		q->problem = "the port must be a number from 1 to 65535";
		return -EINVAL;
	}
	*port = (uint16_t)number;
	return 1;
}

static int channel_open(struct dns_query *q)
{
	struct ares_options options = {
		.timeout = DNS_TRY_MS,
		.tries = DNS_TRIES,
		.sock_state_cb = socket_state,
		.sock_state_cb_data = q,
	};
	int status = ares_init_options(&q->channel, &options,
				       ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);

	if (status == ARES_SUCCESS)
		return 0;
	q->channel = NULL;
	q->problem = ares_strerror(status);
	return -EIO;
}

static void query_start(struct dns_query *q, const char *text, uint16_t port)
{
	char service[sizeof(DNS_SERVICE) + LIMIT_HOST];
	struct target *t = &q->targets[0];
	int has_port;

	if (!endpoint_parse(&q->literal, text, port)) {
		timer_set(q->finish, 0);
		return;
	}
	q->literal.family = 0;
	t->query = q;
	t->port = port;
	q->target_count = 1;
	has_port = text_split(q, text, &t->port);
	q->error = has_port < 0 ? has_port : channel_open(q);
	if (q->error) {
		timer_set(q->finish, 0);
		return;
	}
	timer_set(q->limit, DNS_LIMIT);
	if (!has_port && !in_hosts_file(q->channel, t->host)) {
		snprintf(service, sizeof(service), DNS_SERVICE "%s", t->host);
		q->srv = SRV_ASKED;
		ares_query(q->channel, service, ns_c_in, ns_t_srv, on_srv, q);
	}
	ask_addresses(t);
	timer_arm(q);
}

struct dns_query *dns_lookup(struct dns *dns, const char *text, uint16_t port, dns_done *done, void *arg)
{
	struct dns_query *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->dns = dns;
	q->done = done;
	q->arg = arg;
	snprintf(q->text, sizeof(q->text), "%s", text);
	q->next = dns->queries;
	q->link = &dns->queries;
	if (q->next)
		q->next->link = &q->next;
	dns->queries = q;
	q->timer = evtimer_new(dns->base, on_timer, q);
	q->limit = evtimer_new(dns->base, on_finish, q);
	q->finish = evtimer_new(dns->base, on_finish, q);
	if (q->timer && q->limit && q->finish) {
		query_start(q, text, port);
		return q;
	}
	query_free(q);
	return NULL;
}
