/* SPDX-License-Identifier: MIT */
/*
 * state_internal.h - the connections in the saved state
 */
#ifndef PUNCH_STATE_INTERNAL_H
#define PUNCH_STATE_INTERNAL_H

#include "common/punch.pb-c.h"
#include "resolver/node.h"

/** state_take_connection() - into node->connections, when it is well-formed and the kernel knows its socket */
void state_take_connection(struct node *node, const Punch__SavedConnection *saved);

/**
 * state_draw_connections() - all that are open
 * @state:	gets the messages; state_wipe_connections() frees them. They point into node->connections
 * Return: 0 or -ENOMEM
 */
int state_draw_connections(struct node *node, Punch__SavedState *state);
void state_wipe_connections(Punch__SavedState *state);

#endif
