/* SPDX-License-Identifier: MIT */
/*
 * state.h - what a resolver that was killed must find again
 */
#ifndef PUNCH_STATE_H
#define PUNCH_STATE_H

#include "resolver/node.h"

/**
 * state_load() - fill node->names, node->services and node->memory from the disk
 *
 * Services are taken only when the kernel still knows their listeners.  Without a
 * folder (no HOME, full disk) the node works on without memory; the reason is logged.
 */
void state_load(struct node *node);

/** state_save() - write now, atomically; nothing worth keeping: the file is removed */
void state_save(struct node *node);

/** state_changed() - write within STATE_DELAY */
void state_changed(struct node *node);

/** state_connected() - a connection was made: write within STATE_SLOW_S, and when the process leaves */
void state_connected(struct node *node);

/** state_free() - write what is not yet written, forget the file's name */
void state_free(struct node *node);

#endif
