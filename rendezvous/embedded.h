/* SPDX-License-Identifier: MIT */
/*
 * embedded.h - a punch-relay run by the rendezvous
 */
#ifndef RENDEZVOUS_EMBEDDED_H
#define RENDEZVOUS_EMBEDDED_H

#include <stdbool.h>
#include <stdint.h>
#include <event2/event.h>

#include "common/endpoint.h"

/**
 * embedded_open() - start punch-relay, found beside this program, and keep it running
 * @listen:	addresses of the rendezvous; the relay listens on the same ones, on PORT_RELAY;
 *		those with family 0 are left out
 * @secret:	path of the relay secret
 * @up:		told when it listens and when it has gone
 * Return: 0 or -errno (no such program); that it cannot listen shows later, in the log
 */
int embedded_open(struct event_base *base, const struct endpoint *listen, unsigned int count,
		  const char *secret, void (*up)(bool is_up));

/** embedded_close() - stop it and wait */
void embedded_close(void);

/** embedded_is_up() - does it listen? */
bool embedded_is_up(void);

/** embedded_starts() - how often it was started */
uint64_t embedded_starts(void);

#endif
