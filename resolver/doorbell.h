/* SPDX-License-Identifier: MIT */
/*
 * doorbell.h - INTERFACE - wake a listening program and hand it a punched socket
 */
#ifndef PUNCH_DOORBELL_H
#define PUNCH_DOORBELL_H

#include "resolver/connections.h"
#include "resolver/services.h"

/**
 * doorbell_ring() - connect to the program's listener from a pool address;
 * its accept hook claims @fd; after DOORBELL_CLAIM (1 s) unclaimed, splice
 * @service:	where; checked against the kernel once more before ringing
 * @peer:	who comes
 * @fd:		nominated, proven socket; taken over in any case (closed on failure)
 * @track:	of the path that it stands for
 * @path:	for status
 * @setup_us:	for status
 */
void doorbell_ring(struct node *node, const struct service *service, const struct peer *peer,
		   int fd, const struct track *track, enum local_path path, uint32_t setup_us);

#endif
