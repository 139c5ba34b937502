/* SPDX-License-Identifier: MIT */
/*
 * locate.h - where the store is: its URL, and its address by now
 */
#ifndef RENDEZVOUS_LOCATE_H
#define RENDEZVOUS_LOCATE_H

#include <stdint.h>
#include <event2/event.h>

#include "common/limits.h"

struct place {
	char host[LIMIT_HOST];	/* name or literal address */
	uint16_t port;
	int database;
};

/** locate_parse() - redis://HOST[:PORT][/DATABASE]. Return: 0 or -EINVAL */
int locate_parse(struct place *place, const char *url);

struct locator;

/**
 * locator_new() - looks names up without stopping the loop
 * Return: locator_free(), or NULL without memory or /etc/resolv.conf
 */
struct locator *locator_new(struct event_base *base);
void locator_free(struct locator *locator);

/**
 * locate() - look a place's host up
 * @found:	gets the address as text, or NULL and why; may be called before locate() returns
 */
void locate(struct locator *locator, const struct place *place,
	    void (*found)(void *ctx, const char *address, const char *why), void *ctx);

#endif
