/* SPDX-License-Identifier: MIT */
/*
 * serverless.h - peers that are met without a server ([node] rendezvous = none)
 */
#ifndef PUNCH_SERVERLESS_H
#define PUNCH_SERVERLESS_H

#include "common/meeting.h"
#include "resolver/peers.h"
#include "resolver/turns.h"

struct dns_query;

/**
 * struct pal - a [peer] with an address; in quick mode there is one, for all who know the word
 * @address:	of the last look-up, port 0; family 0: none yet
 * @failures:	of look-ups in a row
 * @problem:	of the last look-up, "" none
 */
struct pal {
	struct serverless *serverless;
	struct peer peer;
	struct meeting meeting;
	const char *host;
	struct endpoint address;
	struct dns_query *query;
	uint64_t asked;
	unsigned int failures;
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

/** serverless_view() - the @i-th place that we hold for a peer. Return: false: there are not so many */
bool serverless_view(const struct serverless *serverless, unsigned int i, struct meeting_view *view);

/**
 * sessions_meeting() - the @i-th of our own connections that is on its way to a meeting. Return: as serverless_view()
 */
bool sessions_meeting(const struct sessions *sessions, unsigned int i, struct meeting_view *view);

/** serverless_new() - start holding places for whoever is allowed. Return: NULL when out of memory */
struct serverless *serverless_new(struct node *node);
void serverless_free(struct serverless *serverless);

/**
 * serverless_pal() - the peer with this key, its address being looked up if need be. Return:
 * NULL when it has no address
 */
struct pal *serverless_pal(struct serverless *serverless, const uint8_t key[KEY_SIZE]);

/**
 * serverless_look_up() - of its name, if it is time for it
 * @wanted:	somebody is on the way to it
 */
void serverless_look_up(struct pal *pal, bool wanted);

/** serverless_turns() - of this node's own connections */
struct turns *serverless_turns(struct serverless *serverless);

/** serverless_on_network() - addresses or routes have changed: what is held is not reachable any more */
void serverless_on_network(struct serverless *serverless);

/** serverless_files() - descriptors in use */
unsigned int serverless_files(const struct serverless *serverless);

/** serverless_bucket() - which one it is by this host's clock. @left: microseconds to the next, may be NULL */
uint64_t serverless_bucket(uint64_t *left);

#endif
