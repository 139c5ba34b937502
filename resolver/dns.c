/* SPDX-License-Identifier: MIT */
/*
 * dns.c - names of servers to addresses
 *
 * Theory of operation
 *
 * Each look-up has a c-ares channel of its own.  That costs one reading of
 * /etc/resolv.conf and /etc/hosts (about 0.1 ms), and buys two things: a look-up can be
 * cancelled alone (c-ares can only cancel a whole channel), and a host that
 * roams never asks the name servers of the network it has left.
 *
 * A look-up of HOST:PORT asks for HOST's addresses, and so does one that wants no port.  A look-up of HOST
 * alone asks for `_punch._tcp.HOST` SRV and for HOST's addresses at the same time, so that a domain without SRV
 * costs no second round trip; SRV wins where it exists, and a target that is HOST itself is not asked
 * for again.  A name that stands in /etc/hosts is meant as it stands there, and is not looked for in SRV.
 *
 * No record holds up the others for long.  A packet may be lost, and name servers that never
 * answer SRV or AAAA, or refuse them, are real (home routers): once there is an address to go to, what is missing
 * gets a grace and no more (query_settle()).  For this A and AAAA have to be asked apart: ares_getaddrinfo()
 * for both tells nothing before the slower one has come, or all its tries are over.
 *
 * c-ares calls back from inside ares_process_fd(), and for /etc/hosts from
 * inside ares_getaddrinfo() itself.  Its callbacks therefore only write down what they
 * got and set the `finish` timer to zero; everything that may destroy the
 * channel or call the owner happens in that timer, straight from the event loop.
 */
#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "common/limits.h"
#include "resolver/dns.h"
#include "resolver/dns_channel.h"
#include "resolver/srv.h"
#include "resolver/timer.h"

#define DNS_LIMIT	(5 * SECOND)	/* for a whole look-up: uplinks try again, and PUNCH_TIMEOUT is 15 s */
/* for SRV, A, or a target without any address: two lost packets (dns_channel.c) */
#define DNS_GRACE	(1 * SECOND)
/* RFC 8305, 8: Resolution Delay; the other way round IPv4 is waited for, IPv6 alone is too often broken */
#define DNS_AAAA_GRACE	(50 * MS)
#define DNS_RECORDS	32		/* SRV records looked at */
#define DNS_TARGETS	8		/* of them resolved, the first in order: the rest are spares of spares */
#define DNS_PER_FAMILY	8		/* addresses kept of one host and family */
#define DNS_SERVICE	"_punch._tcp."

/* what is known of one host's addresses of one family */
struct record {
	struct host *host;
	bool done;
	int status;			/* ARES_* */
	struct endpoint list[DNS_PER_FAMILY];	/* without a port */
	unsigned int count;
};

/* one host whose addresses are asked for: HOST itself, or SRV targets */
struct host {
	struct dns_query *query;
	char name[LIMIT_HOST];
	bool together;			/* both families by one question to c-ares */
	struct record v6, v4;
};

struct target {
	struct host *host;
	uint16_t port;
};

enum srv_state {
	SRV_NONE,		/* not asked: the port was given or not wanted, or the name stands in /etc/hosts */
	SRV_ASKED,
	SRV_ABSENT,		/* no such records */
	SRV_FOUND,		/* they are the targets */
	SRV_REFUSED,		/* the single target "." (RFC 2782): decidedly no such service here */
};

struct dns_query {
	struct dns *dns;
	struct dns_query *next, **link;
	char text[LIMIT_HOST + 16];
	struct dns_channel channel;	/* not open for literals and malformed names */
	struct event *limit;		/* of the whole look-up */
	struct event *finish;		/* zero: all is known; or the grace */
	uint64_t finish_at;		/* 0: not set */
	enum srv_state srv;
	struct host hosts[1 + DNS_TARGETS];	/* [0]: HOST */
	struct target targets[DNS_TARGETS];	/* HOST with the port, until there is SRV */
	unsigned int host_count, target_count;
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

/* --- what was learnt */

static bool host_done(const struct host *h)
{
	return h->v6.done && h->v4.done;
}

/* Finish after @grace, or when it was to be before */
static void finish_within(struct dns_query *q, uint64_t grace)
{
	uint64_t at = clock_now() + grace;

	if (q->finish_at && q->finish_at <= at)
		return;
	q->finish_at = at;
	timer_set(q->finish, grace);
}

/* Is everything known that the answer needs?  Then finish, from the loop; is it enough to go on with, soon */
static void query_settle(struct dns_query *q)
{
	bool complete = q->srv != SRV_ASKED, some = false;
	bool missing = !complete;	/* what is probably there */
	unsigned int i;

	for (i = 0; i < q->target_count; i++) {
		const struct host *h = q->targets[i].host;

		complete &= host_done(h);
		some |= h->v6.count || h->v4.count;
		missing |= !h->v4.done;
	}
	if (complete || q->srv == SRV_REFUSED)
		finish_within(q, 0);
	else if (some)
		finish_within(q, missing ? DNS_GRACE : DNS_AAAA_GRACE);
}

static void ask_together(struct host *h);

static bool is_none(const struct record *r)
{
	return r->status == ARES_ENOTFOUND || r->status == ARES_ENODATA;
}

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct record *r = arg, *of;
	struct host *h = r->host;
	struct ares_addrinfo_node *node;
	struct endpoint ep;

	(void)timeouts;
	if (status == ARES_EDESTRUCTION)
		return;		/* query_free() is at work */
	for (node = status == ARES_SUCCESS ? info->nodes : NULL; node; node = node->ai_next) {
		if (endpoint_from_sockaddr(&ep, node->ai_addr, (socklen_t)node->ai_addrlen))
			continue;
		of = ep.family == AF_INET6 ? &h->v6 : &h->v4;
		if (of->count < DNS_PER_FAMILY)
			of->list[of->count++] = ep;
	}
	ares_freeaddrinfo(info);
	r->done = true;
	r->status = status;
	if (h->together) {
		h->v6.done = h->v4.done = true;
		h->v6.status = h->v4.status = status;
	} else if (h == h->query->hosts && host_done(h) && is_none(&h->v6) && is_none(&h->v4)) {
		ask_together(h);
	}
	query_settle(h->query);
}

/* Does the name stand in /etc/hosts? */
static bool in_hosts_file(struct dns_query *q, const char *host)
{
	struct hostent *entry = NULL;
	bool found = ares_gethostbyname_file(q->channel.ares, host, AF_INET, &entry) == ARES_SUCCESS;

	if (!found)
		found = ares_gethostbyname_file(q->channel.ares, host, AF_INET6, &entry) == ARES_SUCCESS;
	if (found)
		ares_free_hostent(entry);
	return found;
}

/* By all that c-ares knows: /etc/hosts, and the search list of resolv.conf for one family as for the other */
static void ask_together(struct host *h)
{
	struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };

	h->together = true;
	h->v6.done = h->v4.done = false;
	ares_getaddrinfo(h->query->channel.ares, h->name, NULL, &hints, on_addresses, &h->v4);
}

static void ask_addresses(struct host *h)
{
	struct ares_addrinfo_hints hints = { .ai_socktype = SOCK_STREAM };
	size_t length = strlen(h->name);
	char whole[LIMIT_HOST + 2];

	if (!strchr(h->name, '.') || in_hosts_file(h->query, h->name)) {
		ask_together(h);
		return;
	}
	/* The dot: as it stands, for a family without addresses must not lead into the search list */
	snprintf(whole, sizeof(whole), "%s%s", h->name, h->name[length - 1] == '.' ? "" : ".");
	hints.ai_family = AF_INET;
	ares_getaddrinfo(h->query->channel.ares, whole, NULL, &hints, on_addresses, &h->v4);
	hints.ai_family = AF_INET6;
	ares_getaddrinfo(h->query->channel.ares, whole, NULL, &hints, on_addresses, &h->v6);
}

/* @name: shorter than LIMIT_HOST */
static struct host *host_add(struct dns_query *q, const char *name)
{
	struct host *h;
	unsigned int i;

	for (i = 0; i < q->host_count; i++)
		if (!strcasecmp(q->hosts[i].name, name))
			return &q->hosts[i];
	h = &q->hosts[q->host_count++];
	h->query = q;
	h->v6.host = h->v4.host = h;
	strcpy(h->name, name);
	return h;
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
	unsigned int n = 0, i, known = q->host_count;

	for (r = list; r && n < DNS_RECORDS; r = r->next) {
		if (!r->port || !*r->host || !strcmp(r->host, ".") || strlen(r->host) >= LIMIT_HOST)
			continue;
		found[n] = (struct srv){ .port = r->port, .priority = r->priority, .weight = r->weight };
		strcpy(found[n++].host, r->host);
	}
	q->srv = n ? SRV_FOUND : SRV_REFUSED;
	evtimer_del(q->finish);		/* the grace, should it run: it was for SRV */
	q->finish_at = 0;
	q->target_count = 0;
	srv_order(found, n, random_below);
	for (i = 0; i < n && i < DNS_TARGETS; i++)
		q->targets[q->target_count++] = (struct target){ host_add(q, found[i].host), found[i].port };
	for (i = known; i < q->host_count; i++)
		ask_addresses(&q->hosts[i]);
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
	*q->link = q->next;
	if (q->next)
		q->next->link = q->link;
	dns_channel_close(&q->channel);
	if (q->limit)
		event_free(q->limit);
	if (q->finish)
		event_free(q->finish);
	free(q);
}

void dns_cancel(struct dns_query *query)
{
	if (query)
		query_free(query);
}

static unsigned int collect(const struct dns_query *q, struct endpoint results[DNS_RESULTS])
{
	unsigned int i, j, n = 0, most;

	if (q->literal.family) {
		results[0] = q->literal;
		return 1;
	}
	if (q->error || q->srv == SRV_REFUSED)
		return 0;
	for (i = 0; i < q->target_count; i++) {
		const struct target *t = &q->targets[i];

		/* A host with many addresses leaves room for the targets after it */
		most = (i + 1) * (DNS_RESULTS / q->target_count);
		for (j = 0; j < 2 * DNS_PER_FAMILY && n < most; j++) {	/* alternating: RFC 8305, 4 */
			const struct record *r = j % 2 ? &t->host->v4 : &t->host->v6;

			if (j / 2 >= r->count)
				continue;
			results[n] = r->list[j / 2];
			results[n++].port = t->port;
		}
	}
	return n;
}

/* Why are there no addresses? */
static int explain(const struct dns_query *q, char *text, size_t size)
{
	int status = ARES_ETIMEOUT, error = -ETIMEDOUT;
	unsigned int i;

	if (q->error) {
		snprintf(text, size, "%s: %s", q->text, q->problem);
		return q->error;
	}
	if (q->srv == SRV_REFUSED) {
		snprintf(text, size, "%s: its DNS says that it has no punch service (SRV target \".\")", q->text);
		return -ENOENT;
	}
	for (i = 0; i < q->target_count; i++) {
		const struct host *h = q->targets[i].host;

		if (h->v6.done || h->v4.done)
			status = h->v4.done ? h->v4.status : h->v6.status;
	}
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

/* HOST[:PORT]. Return: 0, 1 (it has a port) or -EINVAL with q->problem */
static int text_split(struct dns_query *q, const char *text, char host[LIMIT_HOST], uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : strlen(text);
	unsigned long number;
	char *end;

	if (!length || length >= LIMIT_HOST || memchr(text, ':', length)) {
		q->problem = "is no HOST, HOST:PORT, IPv4 address or [IPv6 address]:PORT";
		return -EINVAL;
	}
	memcpy(host, text, length);
	host[length] = '\0';
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

static void query_start(struct dns_query *q, const char *text, uint16_t port)
{
	char service[sizeof(DNS_SERVICE) + LIMIT_HOST], host[LIMIT_HOST];
	int has_port, status;

	if (!endpoint_parse(&q->literal, text, port)) {
		timer_set(q->finish, 0);
		return;
	}
	q->literal.family = 0;
	has_port = text_split(q, text, host, &port);
	q->error = has_port < 0 ? has_port : 0;
	status = q->error ? ARES_SUCCESS : dns_channel_open(&q->channel, q->dns->base);
	if (status != ARES_SUCCESS) {
		q->problem = ares_strerror(status);
		q->error = -EIO;
	}
	if (q->error) {
		timer_set(q->finish, 0);
		return;
	}
	q->targets[q->target_count++] = (struct target){ host_add(q, host), port };
	timer_set(q->limit, DNS_LIMIT);
	if (!has_port && port && !in_hosts_file(q, host)) {
		snprintf(service, sizeof(service), DNS_SERVICE "%s", host);
		q->srv = SRV_ASKED;
		ares_query(q->channel.ares, service, ns_c_in, ns_t_srv, on_srv, q);
	}
	ask_addresses(&q->hosts[0]);
	dns_channel_arm(&q->channel);
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
	q->limit = evtimer_new(dns->base, on_finish, q);
	q->finish = evtimer_new(dns->base, on_finish, q);
	if (q->limit && q->finish) {
		query_start(q, text, port);
		return q;
	}
	query_free(q);
	return NULL;
}
