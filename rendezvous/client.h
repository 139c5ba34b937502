/* SPDX-License-Identifier: MIT */
/*
 * client.h - one TLS connection of a node: handshake, frames, limits, leaving
 */
#ifndef RENDEZVOUS_CLIENT_H
#define RENDEZVOUS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <event2/event.h>
#include <openssl/ssl.h>

#include "common/endpoint.h"
#include "common/punch.pb-c.h"
#include "rendezvous/limits.h"

struct client;

/**
 * struct client_ops - what a client tells its owner
 * @may:	there is a message of an active client: false lets it wait for RDV_MESSAGE_WAIT
 * @message:	a whole message came; it is the client's
 * @gone:	the connection has ended; the client is freed after the call
 */
struct client_ops {
	bool (*may)(const struct client *client);
	void (*message)(struct client *client, const Punch__Message *message);
	void (*gone)(struct client *client);
};

/**
 * struct client_stats - clients now, those of them before their Hello; since the start
 * @crowded:	made room for another one, see common/places.h
 */
struct client_stats {
	unsigned int now, strangers;
	uint64_t crowded, accepted, handshake_failed, slow, silent, flooded, overflowed, malformed;
};

extern struct client_stats client_stats;

/**
 * clients_open()
 * @base:	the loop of all clients
 * @descriptors:	that this process may have
 * Return: 0 or -ENOMEM
 */
int clients_open(struct event_base *base, unsigned int descriptors);

/** clients_close() - after the last client */
void clients_close(void);

/**
 * client_new() - serve an accepted descriptor, which it takes in every case
 * An older client may end for it, see common/places.h.
 * Return: the client, which ends with ops->gone, or NULL without memory or place for it
 */
struct client *client_new(struct event_base *base, SSL_CTX *tls, int fd,
			  const struct endpoint *from, const struct client_ops *ops);

/** client_key() - the key that the node proved; valid from the first message on */
const uint8_t *client_key(const struct client *client);

/** client_from() - the node's address as we see it */
const struct endpoint *client_from(const struct client *client);

/** client_local() - our address that it reached. Return: 0 or -errno */
int client_local(const struct client *client, struct endpoint *local);

/** client_rtt_us() - smallest recent round-trip time of the connection, 0 unknown */
uint32_t client_rtt_us(const struct client *client);

/** client_describe() - "ADDRESS key 0a1b2c3d", in one of four static buffers, taken in turn */
const char *client_describe(const struct client *client);

/** client_set_data(), client_data() - one pointer of the owner's */
void client_set_data(struct client *client, void *data);
void *client_data(const struct client *client);

/** client_is_active() - has client_activate() been called, and client_close() not? */
bool client_is_active(const struct client *client);

/** client_activate() - its Hello was good */
void client_activate(struct client *client);

/** client_send() - queue an answer to the node; does nothing on a client that leaves. Never calls ops */
void client_send(struct client *client, const Punch__Message *message);

/** client_send_unasked() - the same of a message that somebody else has caused */
void client_send_unasked(struct client *client, const Punch__Message *message);

/** client_waiting() - bytes that were sent to it and are not in the kernel's hands yet */
size_t client_waiting(const struct client *client);

/** client_fail() - send Failed about the connection and leave. Never calls ops */
void client_fail(struct client *client, Punch__FailReason reason, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** client_close() - leave after what was sent. Never calls ops */
void client_close(struct client *client);

/** clients_each() - call @fn for every client; it may end that client, but no other */
void clients_each(void (*fn)(struct client *client, void *arg), void *arg);

/** client_abort() - end now, with ops->gone */
void client_abort(struct client *client);

#endif
