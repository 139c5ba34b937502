/* SPDX-License-Identifier: MIT */
/*
 * hops.h - how many hops away is the outermost NAT?
 */
#ifndef PUNCH_HOPS_H
#define PUNCH_HOPS_H

#include <event2/event.h>

#include "common/endpoint.h"

#define HOPS_MAX	8	/* a home NAT and a carrier's are within 2 to 6 hops; 16 SYNs would look like a scan */

struct hops;

/**
 * hops_done - result
 * @hops:	of the last router with a private address before the first one
 *		with a public address: the outermost NAT; 0 when it could not be told
 */
typedef void hops_done(void *arg, unsigned int hops);

/**
 * hops_start() - send SYNs with TTL 1 .. HOPS_MAX towards @target and listen for ICMP time-exceeded
 * @target:	IPv4, a port that answers (the rendezvous's probe port)
 * @done:	called once, never from inside; not after hops_cancel()
 * Return: NULL when out of memory or no socket could be had
 */
struct hops *hops_start(struct event_base *base, const struct endpoint *target, hops_done *done, void *arg);
void hops_cancel(struct hops *hops);

/**
 * hops_judge() - pure part: hops to the outermost NAT from the routers' answers
 * @routers:	address of the router that answered TTL i + 1, family 0 when silent
 * @count:	how many TTLs were tried
 * @reached:	least TTL at which the target itself answered, 0 none
 */
unsigned int hops_judge(const struct endpoint *routers, unsigned int count, unsigned int reached);

#endif
