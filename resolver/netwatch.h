/* SPDX-License-Identifier: MIT */
/*
 * netwatch.h - INTERFACE - notice that this host's network has changed
 *
 * main.c makes it after the uplinks and the ports and frees it before them.
 */
#ifndef PUNCH_NETWATCH_H
#define PUNCH_NETWATCH_H

#include "resolver/node.h"

struct netwatch;

/**
 * netwatch_new() - listen to rtnetlink (links, addresses, routes)
 * A change wakes the uplinks that are not READY, checks the READY ones with a quick Ping
 * and has the ports probed again.
 * Return: NULL when the kernel gives no such socket (the reason is logged): the node works on
 * without it, keepalives find a dead path later
 */
struct netwatch *netwatch_new(struct node *node);

/** netwatch_free() - @watch may be NULL */
void netwatch_free(struct netwatch *watch);

#endif
