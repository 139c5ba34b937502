/* SPDX-License-Identifier: MIT */
/*
 * sockdiag.h - what the kernel knows of TCP sockets in this network namespace
 *
 * NETLINK_SOCK_DIAG, unprivileged: answers come from the kernel inside the
 * send, so the calls do not block the loop (5 to 20 us for one socket).
 */
#ifndef PUNCH_SOCKDIAG_H
#define PUNCH_SOCKDIAG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/endpoint.h"

/**
 * struct sockdiag_socket - one TCP socket
 * @family:	AF_INET or AF_INET6 (also when the addresses are IPv4)
 * @state:	TCP_ESTABLISHED, TCP_LISTEN ... of netinet/tcp.h
 * @uid:	who made it
 * @cookie:	as SO_COOKIE gives it
 * @bytes_in:	payload received, from TCP_INFO
 * @bytes_out:	payload sent, each byte once
 */
struct sockdiag_socket {
	int family;
	uint8_t state;
	uid_t uid;
	uint32_t inode;
	uint64_t cookie;
	struct endpoint local;
	struct endpoint remote;
	uint64_t bytes_in;
	uint64_t bytes_out;
};

/** sockdiag_seen - one socket of a dump. Return: true to be shown more */
typedef bool sockdiag_seen(void *arg, const struct sockdiag_socket *socket);

/**
 * sockdiag_listeners() - every listening TCP socket on a port
 * @port:	1 .. 65535
 * Return: 0 or -errno (-EOPNOTSUPP: the kernel has no inet_diag)
 */
int sockdiag_listeners(uint16_t port, sockdiag_seen *seen, void *arg);

/**
 * sockdiag_find() - the one socket with exactly these two ends
 * Return: 0, -ENOENT, or -errno
 */
int sockdiag_find(const struct endpoint *local, const struct endpoint *remote, struct sockdiag_socket *socket);

/**
 * sockdiag_destroy() - abort a connection, whoever has it (SOCK_DESTROY, CAP_NET_ADMIN): RST to
 * the far end, ECONNABORTED to the program
 * @cookie:	as SO_COOKIE: no other socket than that one
 * Return: 0, -ENOENT (it is gone), -EPERM, -EOPNOTSUPP (not in this kernel), or -errno
 */
int sockdiag_destroy(const struct endpoint *local, const struct endpoint *remote, uint64_t cookie);

/** sockdiag_cookie() - SO_COOKIE of a descriptor. Return: 0 or -errno */
int sockdiag_cookie(int fd, uint64_t *cookie);

/**
 * sockdiag_is_ours() - does the socket belong to this process's network namespace?
 *
 * Addresses prove nothing without this: a namespace of one's own makes any
 * pair of loopback addresses and ports.
 */
bool sockdiag_is_ours(int fd);

/** sockdiag_same_network() - are both sockets, of whatever kind, of one network namespace? */
bool sockdiag_same_network(int fd, int other);

#endif
