/* SPDX-License-Identifier: MIT */
/*
 * stunlist.h - other people's STUN servers ([node] stun), as addresses
 */
#ifndef PUNCH_STUNLIST_H
#define PUNCH_STUNLIST_H

#include "common/endpoint.h"
#include "resolver/node.h"

#define STUNLIST_MAX	CONF_SERVERS

struct stunlist;

/**
 * stunlist_new() - look the servers of node->conf.stun up; those that fail again after a minute
 * @changed:	called when an address was found that is not the one before; never from inside
 * Return: NULL when out of memory
 */
struct stunlist *stunlist_new(struct node *node, void (*changed)(void *arg), void *arg);
void stunlist_free(struct stunlist *list);

/** stunlist_refresh() - the network has changed, or no answer came: look up again, soon */
void stunlist_refresh(struct stunlist *list);

/** stunlist_get() - IPv4 addresses found so far, in the order of the setting. Return: count, at most @max */
unsigned int stunlist_get(const struct stunlist *list, struct endpoint *out, unsigned int max);

#endif
