/* SPDX-License-Identifier: MIT */
/*
 * callback.h - connect back to a client of a probe port, so that it learns what its NAT lets in
 */
#ifndef RENDEZVOUS_CALLBACK_H
#define RENDEZVOUS_CALLBACK_H

#include <event2/event.h>

#include "common/endpoint.h"
#include "common/stun.h"

struct callback;

/**
 * callback_new() - bind a socket of a port that the client has not contacted
 * @own:	our end of the client's connection
 * @other:	for STUN_SCOPE_ADDRESS: another address of ours; else NULL
 * @port:	gets its port
 * Return: NULL when it cannot be had
 */
struct callback *callback_new(struct event_base *base, const struct endpoint *own, const struct endpoint *other,
			      uint16_t *port);

/**
 * callback_go() - connect
 * @to:		the client's end of its connection, never anything else
 * @done:	called once, from the loop, with an enum stun_outcome; not after callback_free()
 */
void callback_go(struct callback *callback, const struct endpoint *to, void (*done)(void *arg, int outcome), void *arg);

/** callback_free() - @callback may be NULL */
void callback_free(struct callback *callback);

#endif
