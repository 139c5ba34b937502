/* SPDX-License-Identifier: MIT */
/*
 * services_internal.h - the local side's view of the published listeners
 */
#ifndef PUNCH_SERVICES_INTERNAL_H
#define PUNCH_SERVICES_INTERNAL_H

#include "resolver/services.h"

/* listeners at one time; a program with one per worker (SO_REUSEPORT) has up to some dozens */
#define SERVICES_MAX	256

/** services_new(), services_free() - Return: NULL when out of memory */
struct services *services_new(struct node *node);
void services_free(struct services *services);

/**
 * services_listen() - LOCAL_LISTEN: publish a program's listening socket
 * @fd:		the socket; stays the caller's
 * @port:	to publish instead of the socket's own, 0 none
 * @reply:	status, error and text are filled in
 */
void services_listen(struct node *node, int fd, uint16_t port, struct local_reply *reply);

/**
 * services_restore() - a saved listener: taken back when the kernel still knows it
 * Return: 0, -ENOENT (gone, or no [service] of that port any more), -ENOSPC
 */
int services_restore(struct node *node, const struct service *saved);

/** services_get() - iterate. Return: NULL past the end */
const struct service *services_get(const struct node *node, unsigned int i);

/**
 * service_alive() - does the kernel still have exactly this listener?
 * Return: true when port, address, uid and cookie are the registered ones
 */
bool service_alive(const struct service *service);

/** service_holder() - the process that has the listener, and its name. Return: 0 when that cannot be found out */
pid_t service_holder(const struct service *service, char *name, size_t size);

#endif
