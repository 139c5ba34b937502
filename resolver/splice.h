/* SPDX-License-Identifier: MIT */
/*
 * splice.h - join two connected sockets where a program could not be given the real one
 */
#ifndef PUNCH_SPLICE_H
#define PUNCH_SPLICE_H

#include "resolver/node.h"

#define SPLICES_MAX	1024	/* pairs at one time: two descriptors each, of 65,536 at most */

/**
 * splices_new(), splices_free() - the node's table; freeing closes all pairs
 * Return: NULL when out of memory
 */
struct splices *splices_new(struct node *node);
void splices_free(struct splices *splices);

/** splices_count() - pairs that are joined now */
unsigned int splices_count(const struct splices *splices);

/**
 * splice_start() - copy both ways until both directions have ended
 *
 * An end of file is passed on when all bytes before it are (shutdown()). A socket that breaks has the other one
 * reset, once that has what came before.
 *
 * @a, @b:	connected stream sockets; owned from here on in any case, made non-blocking
 * Return: 0, -EUSERS (SPLICES_MAX), -ENOMEM, -ENOBUFS (cannot be waited for); on error both are closed, which is logged
 */
int splice_start(struct splices *splices, int a, int b);

#endif
