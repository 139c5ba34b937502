/* SPDX-License-Identifier: MIT */
/*
 * uplink_tls.h - INTERFACE - messages over TLS 1.3 on a connected socket
 *
 * The I/O under uplink.c: knows frames and TLS, nothing of states.
 */
#ifndef PUNCH_UPLINK_TLS_H
#define PUNCH_UPLINK_TLS_H

#include <event2/event.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"
#include "common/punch.pb-c.h"

struct uplink_tls;

/**
 * struct uplink_tls_events - all are called from the event loop only
 * @secure:	the handshake is done, the far end proved @key
 * @message:	one whole message; freed after the call.  Return: false when the callback has
 *		freed the connection
 * @closed:	nothing more will come, @why is for people; the connection is still to be freed
 */
struct uplink_tls_events {
	void (*secure)(void *arg, const uint8_t key[KEY_SIZE]);
	bool (*message)(void *arg, const Punch__Message *message);
	void (*closed)(void *arg, const char *why);
};

/**
 * uplink_tls_new() - begin the handshake as client
 * @fd:		connected, non-blocking; taken over in any case; gets TCP_NODELAY and TCP_USER_TIMEOUT
 * Return: NULL when out of memory
 */
struct uplink_tls *uplink_tls_new(struct event_base *base, SSL_CTX *context, int fd,
				  const struct uplink_tls_events *events, void *arg);
void uplink_tls_free(struct uplink_tls *tls);

/** uplink_tls_send() - queue one message. Return: 0, -EMSGSIZE, -ENOMEM (also: too much is queued) */
int uplink_tls_send(struct uplink_tls *tls, const Punch__Message *message);

/** uplink_tls_fd() - the socket, still owned here */
int uplink_tls_fd(const struct uplink_tls *tls);

#endif
