/* SPDX-License-Identifier: MIT */
/*
 * outbox.h - what the broker wants said, as messages to nodes and Forwards to servers
 */
#ifndef RENDEZVOUS_OUTBOX_H
#define RENDEZVOUS_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

#include "rendezvous/broker.h"
#include "rendezvous/client.h"
#include "rendezvous/store.h"

/** struct outbox - the broker's ctx */
struct outbox {
	struct store *store;
	char self[RDV_SERVER_ID];	/* this server's name */
};

/** struct relay_list - offers that came with another server's invitation */
struct relay_list {
	size_t count;
	Punch__RelayOffer **list;
};

/** outbox_ops - ctx is a struct outbox, each peer a struct client, relays a struct relay_list */
extern const struct broker_ops outbox_ops;

/**
 * outbox_welcome()
 * @probes:	as bound; those with family 0 are not there
 */
void outbox_welcome(struct client *client, const struct endpoint *probes, unsigned int count);

/** outbox_pong() - answer a Ping; @nonce is its own */
void outbox_pong(struct client *client, uint64_t nonce);

#endif
