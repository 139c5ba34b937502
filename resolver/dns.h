/* SPDX-License-Identifier: MIT */
/*
 * dns.h - INTERFACE - names of servers to addresses, by c-ares on the node's loop
 */
#ifndef PUNCH_DNS_H
#define PUNCH_DNS_H

#include <event2/event.h>

#include "common/endpoint.h"

#define DNS_RESULTS 16

struct dns;

struct dns *dns_new(struct event_base *base);
void dns_free(struct dns *dns);

/**
 * dns_done - result of a look-up, never called from inside dns_lookup()
 * @error:	0, or -errno: -ENOENT no such name, -ETIMEDOUT, -EIO
 * @text:	for people on failure
 */
typedef void dns_done(void *arg, int error, const char *text,
		      const struct endpoint *results, unsigned int count);

/**
 * dns_lookup() - HOST[:PORT], literal or name
 * Without a port, SRV records _punch._tcp.HOST are asked first (RFC 2782 order), then addresses with @port.
 * @port: 0: only addresses are wanted, so SRV records are not asked for
 * /etc/hosts counts.  Addresses of both families alternate, IPv6 first (RFC 8305).
 * Return: handle for dns_cancel(), or NULL when out of memory
 */
struct dns_query *dns_lookup(struct dns *dns, const char *text, uint16_t port, dns_done *done, void *arg);
void dns_cancel(struct dns_query *query);

#endif
