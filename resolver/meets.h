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
