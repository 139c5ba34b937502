/* SPDX-License-Identifier: MIT */
/*
 * meets.h - peers that are met without a server ([node] rendezvous = none)
 */
#ifndef PUNCH_MEETS_H
#define PUNCH_MEETS_H

#include "common/meeting.h"
#include "resolver/peers.h"
#include "resolver/turns.h"

struct dns_query;

/**
 * struct pal - a [peer] with an address; in quick mode there is one, for all who know the word
 * @address:	of the last look-up, port 0; family 0: none yet
 * @problem:	of the last look-up, "" none
 */
struct pal {
	struct meets *meets;
	struct peer peer;
	struct meeting meeting;
	const char *host;
	struct endpoint address;
	struct dns_query *query;
	uint64_t asked;
	char problem[128];
};

/**
 * struct meeting_view - a meeting that is awaited or under way, for punchctl status
 * @state:	one word
 * @local:	port of ours, 0: not chosen yet
 * @remote:	where the peer is to be; port 0: not chosen yet; family 0: its address is not known
 * @since:	clock_now() when it was begun
 */
struct meeting_view {
	const char *peer;	/* owned by the node's configuration or the session */
	uint16_t port;		/* of the service, 0: a ping */
	const char *state;
	uint16_t local;
	struct endpoint remote;
	uint64_t since;
};

/** meets_view() - the @i-th place that we hold for a peer. Return: false: there are not so many */
bool meets_view(const struct meets *meets, unsigned int i, struct meeting_view *view);

/** sessions_meeting() - the @i-th of our own connections that is on its way to a meeting. Return: as meets_view() */
bool sessions_meeting(const struct sessions *sessions, unsigned int i, struct meeting_view *view);

/** meets_new() - start holding places for whoever is allowed. Return: NULL when out of memory */
struct meets *meets_new(struct node *node);
void meets_free(struct meets *meets);

/** meets_pal() - the peer with this key, its address being looked up if need be. Return: NULL when it has no address */
struct pal *meets_pal(struct meets *meets, const uint8_t key[KEY_SIZE]);

/** meets_turns() - of this node's own connections */
struct turns *meets_turns(struct meets *meets);

/** meets_on_network() - addresses or routes have changed: what is held is not reachable any more */
void meets_on_network(struct meets *meets);

/** meets_files() - descriptors in use */
unsigned int meets_files(const struct meets *meets);

/** meets_bucket() - which one it is by this host's clock. @left: microseconds to the next, may be NULL */
uint64_t meets_bucket(uint64_t *left);

#endif
