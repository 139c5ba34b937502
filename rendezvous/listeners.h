/* SPDX-License-Identifier: MIT */
/*
 * listeners.h - listening sockets in libevent's loop, which pause when descriptors run out
 */
#ifndef RENDEZVOUS_LISTENERS_H
#define RENDEZVOUS_LISTENERS_H

#include <stddef.h>
#include <event2/event.h>

#include "common/endpoint.h"
#include "conf/conf.h"

struct listeners;

/**
 * listeners_new() - a group without sockets yet
 * @accepted:	given each new descriptor, which it owns then; @index: of the socket, in order of listeners_add()
 * Return: listeners_free(), or NULL without memory
 */
struct listeners *listeners_new(struct event_base *base,
				void (*accepted)(void *ctx, unsigned int index, int fd,
						 const struct endpoint *from),
				void *ctx);
void listeners_free(struct listeners *group);

/**
 * listeners_add() - listen on one more endpoint, at most CONF_LIST
 * @ep:		gets the port that was bound
 * @why:	one line for people on failure
 * Return: 0 or -errno
 */
int listeners_add(struct listeners *group, struct endpoint *ep, char *why, size_t size);

#endif
