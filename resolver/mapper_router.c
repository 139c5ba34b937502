/* SPDX-License-Identifier: MIT */
/*
 * mapper_router.c - which IPv6 router lets our packets to the Internet through, and from which own address?
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "resolver/mapper_internal.h"
#include "resolver/reach.h"

int mapper_router(struct endpoint *router, struct endpoint *own)
{
	int err = reach_source(AF_INET6, own);

	memset(router, 0, sizeof(*router));
	if (!err && (endpoint_is_private(own) || own->family != AF_INET6))
		err = -ENETUNREACH;
	return err ? err : reach_router(AF_INET6, router);
}
