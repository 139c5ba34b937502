/* SPDX-License-Identifier: MIT */
/*
 * worker.h - the process that does the resolver's work
 */
#ifndef PUNCH_WORKER_H
#define PUNCH_WORKER_H

#include "resolver/life.h"

/**
 * worker_run() - load, start all parts, serve until there is a reason to leave
 * @listener:	bound, listening; taken over and set to -1; after LIFE_END_RESTART in the foreground open again
 * @link:	to the keeper, owned from here on; -1: foreground, SIGINT and SIGTERM end it in order
 * @token:	given to clients of our uid
 * @end:	why it ended, when 0 is returned
 * Return: 0, or a status for exit()
 */
int worker_run(int *listener, int link, const struct local_config *config, const uint8_t token[LOCAL_TOKEN],
	       enum life_end *end);

#endif
