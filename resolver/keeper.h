/* SPDX-License-Identifier: MIT */
/*
 * keeper.h - the process that holds the resolver's name and starts it again when it dies
 */
#ifndef PUNCH_KEEPER_H
#define PUNCH_KEEPER_H

#include <stddef.h>
#include <sys/types.h>

#include "common/local.h"
#include "resolver/process.h"

/* Where descriptors lie over exec, hidden options --keeper and --listener */
#define KEEPER_LISTENER_FD	PROCESS_FD
#define KEEPER_LINK_FD		(PROCESS_FD + 1)

/*
 * Words on the link, one byte each.  End of file without one: the other process died.
 */
#define KEEPER_STOP	's'	/* worker: I leave for good; keeper: leave */
#define KEEPER_RESTART	'r'	/* worker: I leave, start the next one at once */

/**
 * keeper_bind() - take the first free name of this configuration, and listen
 * @why:	one line for people on failure
 * Return: non-blocking listening socket; -EALREADY when a resolver of this user and
 * configuration runs; -EADDRINUSE all names are taken by others; -ETIMEDOUT a resolver of ours hangs; or -errno
 */
int keeper_bind(const struct local_config *config, char *why, size_t size);

/**
 * keeper_run() - be the keeper
 * @listener:	from keeper_bind()
 * @link:	to a worker that runs already, or -1: one is started
 *
 * Returns in each new worker only: its end of the link.  The keeper itself exits in here.
 */
int keeper_run(int listener, int link);

/**
 * keeper_renew() - called by a worker whose keeper died: start another one, by exec
 * @listener:	stays the worker's
 * @pid:	of the new keeper
 * Return: our end of the link, or -errno
 */
int keeper_renew(int listener, pid_t *pid);

#endif
