/* SPDX-License-Identifier: MIT */
/*
 * opinion.h - ask one STUN server from one local port, and keep the connection
 */
#ifndef PUNCH_OPINION_H
#define PUNCH_OPINION_H

#include <event2/event.h>

#include "common/endpoint.h"

struct opinion;

/**
 * opinion_start() - connect and ask
 * @number:	local port, shared with port_socket()
 * @done:	called at most once, from the loop: @mapped is where the server sees us, family 0: it did not say
 * Return: opinion_free(), or NULL when it cannot be tried
 */
struct opinion *opinion_start(struct event_base *base, uint16_t number, const struct endpoint *server,
			      void (*done)(void *arg, const struct endpoint *mapped), void *arg);

/** opinion_free() - close the connection; @opinion may be NULL */
void opinion_free(struct opinion *opinion);

#endif
