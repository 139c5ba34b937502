/* SPDX-License-Identifier: MIT */
/*
 * mptcp.c - a plain TCP socket in the place of one of MPTCP (RFC 8684)
 *
 * Peers' sockets are plain TCP: MPTCP never completes a simultaneous open, and what a NAT lets
 * through is one path.  Programs ask for it all the same: each listener of Go since 1.24, unless told
 * otherwise, and everything under mptcpize.
 */
#include <netinet/in.h>

#include "shim/carry.h"
#include "shim/mptcp.h"
#include "shim/raw.h"
#include "shim/swap.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif

bool mptcp_is(int fd)
{
	return raw_sockopt_int(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_MPTCP;
}

static int plain_like(int fd)
{
	return raw_socket(raw_sockopt_int(fd, SOL_SOCKET, SO_DOMAIN), SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
}

int mptcp_leave(int fd)
{
	int plain = plain_like(fd);

	return plain < 0 ? plain : swap_socket(fd, plain);
}

/* Where @fd itself is bound still. For two that do not listen SO_REUSEADDR of both allows that
 * (inet_csk_bind_conflict()) */
static int bind_beside(int fd, int plain)
{
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	int rc, on = 1;

	carry_for_bind(fd, plain);
	rc = raw_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (rc == 0)
		rc = raw_setsockopt(plain, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (rc == 0)
		rc = raw_getsockname(fd, &ss, &size);
	return rc < 0 ? rc : raw_bind(plain, &ss, size);
}

int mptcp_leave_listening(int fd, int backlog)
{
	int reuse = raw_sockopt_int(fd, SOL_SOCKET, SO_REUSEADDR);
	int plain = plain_like(fd), rc;

	if (plain < 0)
		return plain;
	rc = bind_beside(fd, plain);
	if (rc == 0)
		rc = raw_listen(plain, backlog);	/* now: behind @fd it must not be found deaf */
	if (rc == 0)
		rc = swap_socket(fd, plain);
	else
		raw_close(plain);
	if (reuse == 0)
		raw_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
	return rc;
}
