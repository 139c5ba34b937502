/* SPDX-License-Identifier: MIT */
/*
 * status.h - punchctl status
 */
#ifndef PUNCH_STATUS_H
#define PUNCH_STATUS_H

#include "resolver/node.h"

/**
 * status_text() - node, rendezvous, services, peers, meetings, connections as they are now
 * Return: malloc()ed text that ends with a newline, or NULL when out of memory
 */
char *status_text(struct node *node, bool as_json);

#endif
