/* SPDX-License-Identifier: MIT */
/*
 * race.h - INTERFACE - one TCP connection to whichever of several addresses answers first
 *
 * RFC 8305, 5: the addresses are tried in their order, the next one RACE_STAGGER
 * after the one before it or as soon as that one has failed; the first that is
 * established wins, the others are closed.
 */
#ifndef PUNCH_RACE_H
#define PUNCH_RACE_H

#include <event2/event.h>

#include "common/endpoint.h"

#define RACE_MAX	16	/* addresses in one race, = DNS_RESULTS */

struct race;

/**
 * race_done - called once, from the event loop, never from inside race_new(); the race is freed then
 * @fd:		connected, non-blocking, close-on-exec, no option changed; owned by the callee; -1 on failure
 * @reached:	the address that won, NULL on failure
 * @error:	0 or -errno: -ETIMEDOUT, -EAFNOSUPPORT (no address fits @family), else the last address's error
 * @text:	for people on failure: each address with its error
 */
typedef void race_done(void *arg, int fd, const struct endpoint *reached, int error, const char *text);

/**
 * race_new() - start connecting
 * @targets:	copied; those that endpoint_is_unicast() refuses are left out
 * @count:	at most RACE_MAX count
 * @family:	0: a socket of each address's own family; AF_INET: IPv4 sockets, so IPv4 addresses only;
 *		AF_INET6: IPv6 sockets, v4-mapped for IPv4 addresses
 * @limit_us:	for the whole race, microseconds
 * Return: NULL when out of memory
 */
struct race *race_new(struct event_base *base, const struct endpoint *targets, unsigned int count,
		      int family, uint64_t limit_us, race_done *done, void *arg);

/** race_cancel() - close everything without calling back; @race may be NULL */
void race_cancel(struct race *race);

#endif
