/* SPDX-License-Identifier: MIT */
/*
 * locate.h - where the store is: its URL, and its address by now
 */
#ifndef RENDEZVOUS_LOCATE_H
#define RENDEZVOUS_LOCATE_H

#include <stdint.h>
#include <event2/event.h>

#include "common/limits.h"

/** struct store_address - what a store's URL says */
struct store_address {
	char host[LIMIT_HOST];	/* name or literal address */
	uint16_t port;
	int database;
};

/** locate_parse() - redis://HOST[:PORT][/DATABASE]. Return: 0 or -EINVAL */
int locate_parse(struct store_address *address, const char *url);

struct locator;

/**
 * locator_new() - looks names up without stopping the loop
 * Return: locator_free(), or NULL without memory or /etc/resolv.conf
 */
struct locator *locator_new(struct event_base *base);
void locator_free(struct locator *locator);

/**
 * locate() - look an address's host up
 * @found:	gets the numeric address, or NULL and why; may be called before locate() returns
 */
void locate(struct locator *locator, const struct store_address *address,
	    void (*found)(void *ctx, const char *numeric, const char *why), void *ctx);

#endif
