/* SPDX-License-Identifier: MIT */
/*
 * meets.c - the side that is met without a server: it holds places
 *
 * Theory of operation
 *
 * Both nodes know each other's key and public address, and share a secret by their keys (common/meeting.h).  In each
 * bucket of 10 s it gives, for each port that this node serves to the peer, the pair of ports where a
 * connection can be made.  The side that serves *holds* it: a socket from its port to the peer's, in SYN_SENT, which keeps its
 * own NAT open for exactly that peer; and a listener on the same port, for a peer who comes from another port where no NAT
 * is in between.  That is ordered opening (plan.c) with the opener always there: the caller connects whenever it wants, and
 * waits for no instant.  Clocks may differ: a place is held from 2 s before its bucket to 2 s after it.
 *
 *	WAITING --due--> OPENING --connected--> ENGAGED --good Invite--> (used, freed)
 *	   ^                |                      |
 *	   `--RST, ICMP-----+                      `--no Invite--> WAITING
 *
 * The SYN has a low TTL where the distance of our outermost NAT is known, lest the peer's NAT refuse it.  The kernel
 * repeats it with the system's TTL after 1 s and later; where that is refused, it is renewed.
 *
 * A connection that was made says nothing: the caller speaks first, and is heard only if its words are sealed for this very
 * place.  A stranger who hits the port, someone who replays what he saw, and one who knows both addresses
 * but no key, all hear nothing, and use nothing up.  When a place is used the next one is held,
 * before the caller is answered; so he may come again at once.
 */
#include "resolver/meets_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "resolver/dns.h"
#include "resolver/hops.h"
#include "resolver/services_internal.h"
#include "resolver/timer.h"

#define MEETS_TICK	(500 * MS)	/* of MEETING_MARGIN; 1.5 s of it stay */
#define MEETS_SPOTS	64		/* peers x ports x buckets; two SYNs in 10 s each at least, eight at most */
#define MEETS_AHEAD	4		/* places held beyond one that is engaged */
#define MEETS_LOOKUP	(60 * SECOND)	/* names of peers are looked up again after this: dynamic DNS has such lifetimes */
#define MEETS_HOPS	(600 * SECOND)	/* how far the NAT is, is asked anew after this */

static_assert(MEETING_PLACES == 64, "a bit for each in struct spot");

uint64_t meets_bucket(uint64_t *left)
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

static void on_addresses(void *arg, int error, const char *text, const struct endpoint *results,
			 unsigned int count)
{
	struct pal *pal = arg;
	unsigned int i;

	pal->query = NULL;
	if (error || !count) {
		snprintf(pal->problem, sizeof(pal->problem), "%s", text);
		log_warn("[peer %s] address = %s: %s", pal->peer.name, pal->host, text);
		return;
	}
	pal->problem[0] = '\0';
	/* IPv4 where there is any: programs with IPv4 sockets reach nothing else */
	for (i = 0; i < count && results[i].family != AF_INET; i++)
		;
	pal->address = results[i < count ? i : 0];
	pal->address.port = 0;
}

static void pal_look_up(struct pal *pal)
{
	struct node *node = pal->meets->node;

	if (endpoint_parse(&pal->address, pal->host, 0) == 0)
		return;
	if (pal->query || (pal->asked && clock_now() - pal->asked < MEETS_LOOKUP))
		return;
	pal->asked = clock_now();
	/* Any port: it keeps the look-up from asking for SRV records */
	pal->query = dns_lookup(node->dns, pal->host, 1, on_addresses, pal);
}

struct pal *meets_pal(struct meets *meets, const uint8_t key[KEY_SIZE])
{
	unsigned int i;

	for (i = 0; i < meets->pal_count; i++) {
		if (meets->node->quick_mode || memcmp(meets->pals[i].peer.key, key, KEY_SIZE) == 0) {
			pal_look_up(&meets->pals[i]);
			return &meets->pals[i];
		}
	}
	return NULL;
}

static int pals_make(struct meets *meets)
{
	struct node *node = meets->node;
	unsigned int i;
	int rc;

	meets->pals = calloc(node->conf.peer_count + 1, sizeof(*meets->pals));
	if (!meets->pals)
		return -ENOMEM;
	if (node->quick_mode) {
		meets->pals->meets = meets;
		meets->pals->host = node->quick_address;
		snprintf(meets->pals->peer.name, sizeof(meets->pals->peer.name), "the other side");
		meets->pal_count = 1;
		pal_look_up(meets->pals);
		return quick_meeting(&node->quick, meets->pals->meeting.key);
	}
	for (i = 0; i < node->conf.peer_count; i++) {
		const struct conf_peer *conf = &node->conf.peers[i];
		struct pal *pal = &meets->pals[meets->pal_count];
		uint8_t key[KEY_SIZE];

		if (!conf->address[0] || key_parse(key, conf->key) || peer_by_key(node, key, &pal->peer))
			continue;
		rc = meeting_make(&pal->meeting, &node->key, key);
		if (rc) {
			log_error("[peer %s] key: cannot be used to meet it without a rendezvous: %s", conf->name, strerror(-rc));
			continue;
		}
		pal->meets = meets;
		pal->host = conf->address;
		meets->pal_count++;
		pal_look_up(pal);
	}
	return 0;
}

struct turns *meets_turns(struct meets *meets)
{
	return &meets->turns;
}

/* ------------------------------------------------------------ places of a bucket */

static struct hold *hold_find(struct spot *spot, unsigned int place)
{
	struct hold *hold;

	TAILQ_FOREACH(hold, &spot->holds, link)
		if (hold->place == place)
			return hold;
	return NULL;
}

void spot_tend(struct spot *spot)
{
	unsigned int place, ahead = 0;

	for (place = 0; place < MEETING_PLACES && ahead < MEETS_AHEAD; place++) {
		struct hold *hold;

		if (spot->used >> place & 1)
			continue;
		hold = hold_find(spot, place);
		if (!hold)
			hold = hold_new(spot, place);
		if (!hold || hold->state != HOLD_ENGAGED)
			return;
		ahead++;
	}
}

static void spot_free(struct spot *spot)
{
	struct hold *hold;

	while ((hold = TAILQ_FIRST(&spot->holds)))
		hold_free(hold);
	TAILQ_REMOVE(&spot->meets->spots, spot, link);
	spot->meets->spot_count--;
	free(spot);
}

static void spot_need(struct meets *meets, struct pal *pal, uint16_t port, int family, uint64_t bucket)
{
	static struct log_limit limit;
	struct spot *spot;

	TAILQ_FOREACH(spot, &meets->spots, link)
		if (spot->pal == pal && spot->port == port && spot->bucket == bucket)
			return;
	if (meets->spot_count == MEETS_SPOTS) {
		if (log_limited(&limit))
			log_warn("more than %d pairs of peer and port to meet without a rendezvous: %s cannot reach port %u",
				 MEETS_SPOTS / 2, pal->peer.name, port);
		return;
	}
	spot = calloc(1, sizeof(*spot));
	if (!spot)
		return;
	*spot = (struct spot){ .meets = meets, .pal = pal, .port = port, .family = family, .bucket = bucket };
	TAILQ_INIT(&spot->holds);
	TAILQ_INSERT_TAIL(&meets->spots, spot, link);
	meets->spot_count++;
	spot_tend(spot);
}

static void on_hops(void *arg, unsigned int hops)
{
	struct meets *meets = arg;

	meets->hops = NULL;
	meets->distance = hops;
	log_debug("meetings: outermost NAT is %u hops away", hops);
}

/* Each published port, once, and port 0 for pings, for @pal in @bucket */
static void pal_need(struct meets *meets, struct pal *pal, uint64_t bucket)
{
	struct node *node = meets->node;
	const struct service *listed;
	struct service service;
	unsigned int i;

	for (i = 0; (listed = services_get(node, i)); i++)
		/* An IPv4 listener cannot be given a connection of IPv6 */
		if (services_admit(node, listed->port, &pal->peer, &service) == 0 &&
		    (service.family == AF_INET6 || pal->address.family == AF_INET))
			spot_need(meets, pal, service.port, service.family, bucket);
	spot_need(meets, pal, 0, pal->address.family, bucket);
}

static void pals_need(struct meets *meets, uint64_t first, uint64_t last)
{
	struct endpoint target;
	unsigned int i;

	for (i = 0; i < meets->pal_count; i++) {
		struct pal *pal = &meets->pals[i];

		pal_look_up(pal);
		if (!pal->address.family)
			continue;
		if (!meets->hops && pal->address.family == AF_INET &&
		    (!meets->hops_at || clock_now() - meets->hops_at > MEETS_HOPS)) {
			target = pal->address;
			target.port = MEETING_PORT_LOW;
			meets->hops_at = clock_now();
			meets->hops = hops_start(meets->node->base, &target, on_hops, meets);
		}
		pal_need(meets, pal, first);
		if (last != first)
			pal_need(meets, pal, last);
	}
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	const uint64_t margin = MEETING_MARGIN * SECOND, length = MEETING_BUCKET * SECOND;
	struct meets *meets = arg;
	uint64_t left, now = meets_bucket(&left), first = now, last = now;
	struct spot *spot, *next;

	(void)fd;
	(void)what;
	if (left < margin)
		last++;
	else if (length - left < margin)
		first--;
	for (spot = TAILQ_FIRST(&meets->spots); spot; spot = next) {
		next = TAILQ_NEXT(spot, link);
		if (spot->bucket < first || spot->bucket > last)
			spot_free(spot);
	}
	if (services_count(meets->node))
		pals_need(meets, first, last);
	timer_set(meets->tick, MEETS_TICK);
}

/* What is held leaves by the old network. Which places are used is no matter of networks: callers go to the next one */
void meets_on_network(struct meets *meets)
{
	struct spot *spot;
	struct hold *hold;

	hops_cancel(meets->hops);
	meets->hops = NULL;
	meets->hops_at = 0;
	meets->distance = 0;
	TAILQ_FOREACH(spot, &meets->spots, link) {
		while ((hold = TAILQ_FIRST(&spot->holds)))
			hold_free(hold);
		spot_tend(spot);
	}
	timer_set(meets->tick, 0);
}

bool meets_view(const struct meets *meets, unsigned int i, struct meeting_view *view)
{
	const struct spot *spot;
	const struct hold *hold;

	TAILQ_FOREACH(spot, &meets->spots, link)
		TAILQ_FOREACH(hold, &spot->holds, link) {
			if (i--)
				continue;
			*view = (struct meeting_view){
				.peer = spot->pal->peer.name, .port = spot->port, .state = hold_state_name(hold->state),
				.local = hold->where.callee_port, .remote = spot->pal->address, .since = hold->made,
			};
			view->remote.port = hold->where.caller_port;
			return true;
		}
	return false;
}

unsigned int meets_files(const struct meets *meets)
{
	return 2 * meets->hold_count + meets->guest_count;
}

struct meets *meets_new(struct node *node)
{
	struct meets *meets = calloc(1, sizeof(*meets));

	if (!meets)
		return NULL;
	meets->node = node;
	TAILQ_INIT(&meets->spots);
	TAILQ_INIT(&meets->guests);
	meets->tick = evtimer_new(node->base, on_tick, meets);
	if (!meets->tick || timer_set(meets->tick, 0) || pals_make(meets)) {
		meets_free(meets);
		return NULL;
	}
	return meets;
}

void meets_free(struct meets *meets)
{
	struct spot *spot;
	unsigned int i;

	if (!meets)
		return;
	while ((spot = TAILQ_FIRST(&meets->spots)))
		spot_free(spot);
	guests_free(meets);
	for (i = 0; i < meets->pal_count; i++) {
		dns_cancel(meets->pals[i].query);
		meeting_wipe(&meets->pals[i].meeting);
	}
	hops_cancel(meets->hops);
	if (meets->tick)
		event_free(meets->tick);
	free(meets->pals);
	free(meets);
}
