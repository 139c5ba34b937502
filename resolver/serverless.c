/* SPDX-License-Identifier: MIT */
/*
 * serverless.c - the side that is met without a server: it holds places
 *
 * Theory of operation
 *
 * Both nodes know each other's key and public address, and share a secret by their keys (common/meeting.h).  In each
 * bucket of 10 s it gives, for each port that this node serves to the peer, the pair of ports where a
 * connection can be made.  The side that serves *holds* it: a socket from its port to the peer's,
 * in SYN_SENT, which keeps its own NAT open for exactly that peer; and a listener on the same
 * port, for a peer who comes from another port where no NAT is in between.  That is ordered
 * opening (plan.c) with the opener always there: the caller connects whenever it wants, and waits
 * for no instant.  Clocks may differ: a place is held from 2 s before its bucket to 2 s after it.
 *
 *	WAITING --due--> OPENING --connected--> ENGAGED --good Invite--> (used, freed)
 *	   ^                |                      |
 *	   `--RST, ICMP-----+                      `--no Invite--> WAITING
 *
 * The SYN has a low TTL where the distance of our outermost NAT is known, lest the peer's NAT refuse it.  The kernel
 * repeats it with the system's TTL after 1 s and later; where that is refused, it is renewed.
 *
 * A connection that was made says nothing: the caller speaks first, and is heard only if its words
 * are sealed for this very place.  A stranger who hits the port, someone who replays what he saw,
 * and one who knows both addresses but no key, all hear nothing, and use nothing up.  When a place
 * is used the next one is held, before the caller is answered; so he may come again at once.
 */
#include "resolver/serverless_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "resolver/dns.h"
#include "resolver/hops.h"
#include "resolver/reach.h"
#include "resolver/services_internal.h"
#include "resolver/timer.h"

#define SERVERLESS_TICK	(500 * MS)	/* of MEETING_MARGIN; 1.5 s of it stay */
/* peers x ports x buckets; two SYNs in 10 s each at least, eight at most */
#define SERVERLESS_AWAITED	64
#define SERVERLESS_AHEAD	4		/* places held beyond one that is engaged */
/* names of peers are looked up again after this: dynamic DNS has such lifetimes */
#define SERVERLESS_LOOKUP	(60 * SECOND)
/* ... and after this where that failed; while nobody wants to go there the pause grows up to SERVERLESS_LOOKUP */
#define SERVERLESS_AGAIN	(2 * SECOND)
#define SERVERLESS_HOPS	(600 * SECOND)	/* how far the NAT is, is asked anew after this */

static_assert(MEETING_PLACES == 64, "a bit for each in struct awaited");

uint64_t serverless_bucket(uint64_t *left)
{
	const uint64_t length = MEETING_BUCKET * SECOND;
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_REALTIME, &ts);
	now = (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec / 1000;
	if (left)
		*left = length - now % length;
	return now / length;
}

/* ------------------------------------------------------------ peers */

static void lookup_failed(struct pal *pal, const char *text)
{
	char problem[sizeof(pal->problem)];

	pal->failures++;
	snprintf(problem, sizeof(problem), "%s", text);
	if (strcmp(problem, pal->problem) != 0)
		log_warn("[peer %s] address = %s: %s", pal->peer.name, pal->host, text);
	memcpy(pal->problem, problem, sizeof(problem));
}

/* IPv4 first, for programs with IPv4 sockets reach nothing else; but what there is a route to before all others */
static const struct endpoint *choose_address(const struct endpoint *results, unsigned int count)
{
	static const int families[] = { AF_INET, AF_INET6 };
	unsigned int i, j;

	for (i = 0; i < 2; i++)
		for (j = 0; j < count; j++)
			if (results[j].family == families[i] && reach_routed(&results[j]))
				return &results[j];
	for (j = 0; j < count && results[j].family != AF_INET; j++)
		;
	return &results[j < count ? j : 0];
}

static void on_addresses(void *arg, int error, const char *text, const struct endpoint *results,
			 unsigned int count)
{
	struct pal *pal = arg;

	pal->query = NULL;
	if (error || !count) {
		lookup_failed(pal, text);
		return;
	}
	pal->failures = 0;
	pal->problem[0] = '\0';
	pal->address = *choose_address(results, count);
	pal->address.port = 0;
}

/* From one look-up to the next */
static uint64_t lookup_pause(const struct pal *pal, bool wanted)
{
	uint64_t pause = SERVERLESS_AGAIN;
	unsigned int i;

	if (!pal->failures)
		return SERVERLESS_LOOKUP;
	for (i = 1; i < pal->failures && pause < SERVERLESS_LOOKUP && !wanted; i++)
		pause *= 2;
	return clock_before(pause, SERVERLESS_LOOKUP);
}

void serverless_look_up(struct pal *pal, bool wanted)
{
	struct node *node = pal->serverless->node;
	struct endpoint literal;

	/* Not into the peer's entry: what is no literal clears it, and the name's last address is there */
	if (endpoint_parse(&literal, pal->host, 0) == 0) {
		pal->address = literal;
		return;
	}
	if (pal->query || (pal->asked && clock_now() - pal->asked < lookup_pause(pal, wanted)))
		return;
	pal->asked = clock_now();
	/* Port 0: SRV records of the name tell where servers are, not peers */
	pal->query = dns_lookup(node->dns, pal->host, 0, on_addresses, pal);
	if (!pal->query)
		lookup_failed(pal, strerror(ENOMEM));
}

struct pal *serverless_pal(struct serverless *serverless, const uint8_t key[KEY_SIZE])
{
	unsigned int i;

	for (i = 0; i < serverless->pal_count; i++) {
		if (serverless->node->quick_mode || memcmp(serverless->pals[i].peer.key, key, KEY_SIZE) == 0) {
			serverless_look_up(&serverless->pals[i], true);
			return &serverless->pals[i];
		}
	}
	return NULL;
}

static int pals_make(struct serverless *serverless)
{
	struct node *node = serverless->node;
	unsigned int i;
	int rc;

	serverless->pals = calloc(node->conf.peer_count + 1, sizeof(*serverless->pals));
	if (!serverless->pals)
		return -ENOMEM;
	if (node->quick_mode) {
		serverless->pals->serverless = serverless;
		serverless->pals->host = node->quick_address;
		snprintf(serverless->pals->peer.name, sizeof(serverless->pals->peer.name), "the other side");
		serverless->pal_count = 1;
		serverless_look_up(serverless->pals, false);
		return quick_meeting(&node->quick, serverless->pals->meeting.key);
	}
	for (i = 0; i < node->conf.peer_count; i++) {
		const struct conf_peer *conf = &node->conf.peers[i];
		struct pal *pal = &serverless->pals[serverless->pal_count];
		uint8_t key[KEY_SIZE];

		if (!conf->address[0] || key_parse(key, conf->key) || peer_by_key(node, key, &pal->peer))
			continue;
		rc = meeting_make(&pal->meeting, &node->key, key);
		if (rc) {
			log_error("[peer %s] key: cannot be used to meet it without a rendezvous: %s", conf->name,
				  strerror(-rc));
			continue;
		}
		pal->serverless = serverless;
		pal->host = conf->address;
		serverless->pal_count++;
		serverless_look_up(pal, false);
	}
	return 0;
}

struct turns *serverless_turns(struct serverless *serverless)
{
	return &serverless->turns;
}

/* ------------------------------------------------------------ places of a bucket */

static struct hold *hold_find(struct awaited *awaited, unsigned int place)
{
	struct hold *hold;

	TAILQ_FOREACH(hold, &awaited->holds, link)
		if (hold->place == place)
			return hold;
	return NULL;
}

void awaited_tend(struct awaited *awaited)
{
	unsigned int place, ahead = 0;

	for (place = 0; place < MEETING_PLACES && ahead < SERVERLESS_AHEAD; place++) {
		struct hold *hold;

		if (awaited->used >> place & 1)
			continue;
		hold = hold_find(awaited, place);
		if (!hold)
			hold = hold_new(awaited, place);
		if (!hold || hold->state != HOLD_ENGAGED)
			return;
		ahead++;
	}
}

static void awaited_free(struct awaited *awaited)
{
	struct hold *hold;

	while ((hold = TAILQ_FIRST(&awaited->holds)))
		hold_free(hold);
	TAILQ_REMOVE(&awaited->serverless->awaited, awaited, link);
	awaited->serverless->awaited_count--;
	free(awaited);
}

/* Again what could not be had before, for want of descriptors, memory or its port: a bucket is long */
static void awaited_again(struct awaited *awaited)
{
	struct hold *hold;

	TAILQ_FOREACH(hold, &awaited->holds, link)
		hold_accept(hold);
	awaited_tend(awaited);
}

static void awaited_need(struct serverless *serverless, struct pal *pal, uint16_t port, int family, uint64_t bucket)
{
	static struct log_limit limit;
	struct awaited *awaited;

	TAILQ_FOREACH(awaited, &serverless->awaited, link)
		if (awaited->pal == pal && awaited->port == port && awaited->bucket == bucket) {
			awaited_again(awaited);
			return;
		}
	if (serverless->awaited_count == SERVERLESS_AWAITED) {
		if (log_limited(&limit))
			log_warn("more than %d pairs of peer and port to meet without a rendezvous: %s cannot reach "
				 "port %u",
				 SERVERLESS_AWAITED / 2, pal->peer.name, port);
		return;
	}
	awaited = calloc(1, sizeof(*awaited));
	if (!awaited)
		return;
	*awaited = (struct awaited){ .serverless = serverless,
				     .pal = pal,
				     .port = port,
				     .family = family,
				     .bucket = bucket };
	TAILQ_INIT(&awaited->holds);
	TAILQ_INSERT_TAIL(&serverless->awaited, awaited, link);
	serverless->awaited_count++;
	awaited_tend(awaited);
}

static void on_hops(void *arg, unsigned int hops)
{
	struct serverless *serverless = arg;

	serverless->hops = NULL;
	serverless->distance = hops;
	log_debug("meetings: outermost NAT is %u hops away", hops);
}

/* Each published port, once, and port 0 for pings, for @pal in @bucket */
static void pal_need(struct serverless *serverless, struct pal *pal, uint64_t bucket)
{
	struct node *node = serverless->node;
	const struct service *listed;
	struct service service;
	unsigned int i;

	for (i = 0; (listed = services_get(node, i)); i++)
		/* An IPv4 listener cannot be given a connection of IPv6 */
		if (services_admit(node, listed->port, &pal->peer, &service) == 0 &&
		    (service.family == AF_INET6 || pal->address.family == AF_INET))
			awaited_need(serverless, pal, service.port, service.family, bucket);
	awaited_need(serverless, pal, 0, pal->address.family, bucket);
}

static void pals_need(struct serverless *serverless, uint64_t first, uint64_t last)
{
	struct endpoint target;
	unsigned int i;

	for (i = 0; i < serverless->pal_count; i++) {
		struct pal *pal = &serverless->pals[i];

		serverless_look_up(pal, false);
		if (!pal->address.family)
			continue;
		if (!serverless->hops && pal->address.family == AF_INET &&
		    (!serverless->hops_at || clock_now() - serverless->hops_at > SERVERLESS_HOPS)) {
			target = pal->address;
			target.port = MEETING_PORT_LOW;
			serverless->hops_at = clock_now();
			serverless->hops = hops_start(serverless->node->base, &target, on_hops, serverless);
		}
		pal_need(serverless, pal, first);
		if (last != first)
			pal_need(serverless, pal, last);
	}
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	const uint64_t margin = MEETING_MARGIN * SECOND, length = MEETING_BUCKET * SECOND;
	struct serverless *serverless = arg;
	uint64_t left, now = serverless_bucket(&left), first = now, last = now;
	struct awaited *awaited, *next;

	(void)fd;
	(void)what;
	if (left < margin)
		last++;
	else if (length - left < margin)
		first--;
	for (awaited = TAILQ_FIRST(&serverless->awaited); awaited; awaited = next) {
		next = TAILQ_NEXT(awaited, link);
		if (awaited->bucket < first || awaited->bucket > last)
			awaited_free(awaited);
	}
	if (services_count(serverless->node))
		pals_need(serverless, first, last);
	timer_set(serverless->tick, SERVERLESS_TICK);
}

/* What is held leaves by the old network. Which places are used is no matter of networks: callers go to the next one */
void serverless_on_network(struct serverless *serverless)
{
	struct awaited *awaited;
	struct hold *hold;
	unsigned int i;

	for (i = 0; i < serverless->pal_count; i++) {
		dns_cancel(serverless->pals[i].query);
		serverless->pals[i].query = NULL;
		serverless->pals[i].asked = 0;
		serverless->pals[i].failures = 0;
	}
	hops_cancel(serverless->hops);
	serverless->hops = NULL;
	serverless->hops_at = 0;
	serverless->distance = 0;
	TAILQ_FOREACH(awaited, &serverless->awaited, link) {
		while ((hold = TAILQ_FIRST(&awaited->holds)))
			hold_free(hold);
		awaited_tend(awaited);
	}
	timer_set(serverless->tick, 0);
}

bool serverless_view(const struct serverless *serverless, unsigned int i, struct meeting_view *view)
{
	const struct awaited *awaited;
	const struct hold *hold;

	TAILQ_FOREACH(awaited, &serverless->awaited, link)
		TAILQ_FOREACH(hold, &awaited->holds, link) {
			if (i--)
				continue;
			*view = (struct meeting_view){
				.peer = awaited->pal->peer.name, .port = awaited->port,
				.state = hold_state_name(hold->state),
				.local = hold->where.callee_port, .remote = awaited->pal->address, .since = hold->made,
			};
			view->remote.port = hold->where.caller_port;
			return true;
		}
	return false;
}

unsigned int serverless_files(const struct serverless *serverless)
{
	return 2 * serverless->hold_count + serverless->comer_count;
}

struct serverless *serverless_new(struct node *node)
{
	struct serverless *serverless = calloc(1, sizeof(*serverless));

	if (!serverless)
		return NULL;
	serverless->node = node;
	TAILQ_INIT(&serverless->awaited);
	TAILQ_INIT(&serverless->comers);
	serverless->tick = evtimer_new(node->base, on_tick, serverless);
	if (!serverless->tick || timer_set(serverless->tick, 0) || pals_make(serverless)) {
		serverless_free(serverless);
		return NULL;
	}
	return serverless;
}

void serverless_free(struct serverless *serverless)
{
	struct awaited *awaited;
	unsigned int i;

	if (!serverless)
		return;
	while ((awaited = TAILQ_FIRST(&serverless->awaited)))
		awaited_free(awaited);
	comers_free(serverless);
	for (i = 0; i < serverless->pal_count; i++) {
		dns_cancel(serverless->pals[i].query);
		meeting_wipe(&serverless->pals[i].meeting);
	}
	hops_cancel(serverless->hops);
	if (serverless->tick)
		event_free(serverless->tick);
	free(serverless->pals);
	free(serverless);
}
