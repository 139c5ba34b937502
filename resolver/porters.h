/* SPDX-License-Identifier: MIT */
/*
 * porters.h - which porter gets which user's connection (porter.h)
 */
#ifndef PUNCH_PORTERS_H
#define PUNCH_PORTERS_H

#include <sys/types.h>

#include "resolver/node.h"

struct porters;

/** porters_new() - none is started before somebody comes. Return: NULL when out of memory */
struct porters *porters_new(struct node *node);

/** porters_free() - and end them */
void porters_free(struct porters *porters);

/**
 * porters_take() - a connection of another user; what he asks for comes by local_handed_in(), if he may
 * @uid:	his
 * @fd:		owned from here on; nothing was read from it
 */
void porters_take(struct porters *porters, uid_t uid, int fd);

#endif
