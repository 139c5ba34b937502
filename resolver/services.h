/* SPDX-License-Identifier: MIT */
/*
 * services.h - INTERFACE - the listening sockets of this host's programs that are published
 *
 * No descriptor of them is kept.  Whether a listener still lives is asked of
 * the kernel (NETLINK_SOCK_DIAG) when it matters: port, address, uid and
 * SO_COOKIE must be those of the socket that was registered, so that another
 * user's program on the same port never gets a peer.  The list is saved on
 * disk (common/punch.proto, SavedState), so that a resolver that was killed publishes
 * again by itself.
 */
#ifndef PUNCH_SERVICES_H
#define PUNCH_SERVICES_H

#include "resolver/node.h"
#include "resolver/peers.h"

struct service {
	char name[LIMIT_NAME];		/* of [service]; quick mode: the port as text */
	uint16_t port;
	struct endpoint listener;	/* bound address: where the doorbell rings (any: loopback) */
	int family;			/* of the listening socket: the punched one must have it too */
	bool v6only;
	uint64_t cookie;
	uid_t uid;
	enum conf_encrypt encrypt;
};

/**
 * services_admit() - may this caller reach that port?
 * Return: 0 and a copy of the service, whose listener lives right now;
 * -ENOENT nothing (alive) is published there; -EACCES not for this caller
 */
int services_admit(struct node *node, uint16_t port, const struct peer *caller, struct service *service);

/** services_count() - published listeners */
unsigned int services_count(const struct node *node);

#endif
