/* SPDX-License-Identifier: MIT */
/*
 * node.h - INTERFACE - what all parts of one resolver share
 *
 * One resolver process is one node: one identity, one configuration, one
 * event loop, one thread.  Each part keeps its own state behind an opaque
 * pointer here; nobody looks into another's.
 */
#ifndef PUNCH_NODE_H
#define PUNCH_NODE_H

#include <stdbool.h>
#include <event2/event.h>

#include "common/key.h"
#include "common/local.h"
#include "common/quick.h"
#include "conf/conf.h"
#include "resolver/memory.h"
#include "resolver/nearest.h"

#define NODE_UPLINKS CONF_SERVERS

struct node {
	struct event_base *base;
	struct local_config config;	/* which configuration this process serves */
	bool quick_mode;
	struct quick quick;		/* quick mode */
	/* quick mode without a server: the other side's; in config. NULL: there is one */
	const char *quick_address;
	struct conf_node conf;		/* file mode; in quick mode name and rendezvous are filled from config */
	struct conf_node *next;		/* a changed file, in force when nothing is under way; owned by life; or NULL */
	struct key key;			/* own identity; quick mode without --as: random */
	uint8_t token[LOCAL_TOKEN];
	uint64_t started;		/* clock_now() at start */

	struct dns *dns;
	struct uplink *uplinks[NODE_UPLINKS];
	unsigned int uplink_count;
	struct ports *ports;
	struct sessions *sessions;
	struct inlets *inlets;		/* NULL with port-mapping = no or rendezvous = none */
	struct serverless *serverless;	/* NULL unless [node] rendezvous = none */
	struct services *services;
	struct names *names;
	struct doorbells *doorbells;
	struct connections *connections;
	struct crypts *crypts;
	struct local *local;
	struct parked *parked;
	struct splices *splices;
	struct drains *drains;
	struct state *state;
	struct memory memory;		/* what worked between networks */
	struct nearest nearest;		/* how near direct paths' far ends were */
	struct life *life;
	uint64_t awaited_until;		/* listen() of programs waits for the rendezvous so long; 0: none came yet */
	struct netwatch *netwatch;	/* NULL where rtnetlink is not to be had */
};

/** node_receives() - does this node offer services, so that it wants invitations? */
bool node_receives(const struct node *node);

/** node_busy() - something is under way or published: do not leave for idleness */
bool node_busy(const struct node *node);

#endif
