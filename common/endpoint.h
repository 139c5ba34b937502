/* SPDX-License-Identifier: MIT */
/*
 * endpoint.h - INTERFACE - an IP address with a port
 *
 * Pure (libc only).  IPv4 is always held as AF_INET, never as a v4-mapped
 * IPv6 address; endpoint_to_sockaddr() maps it where the socket needs that.
 */
#ifndef PUNCH_ENDPOINT_H
#define PUNCH_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/**
 * struct endpoint
 * @family:	AF_INET, AF_INET6, or 0 for "none"
 * @port:	host order, 0 for "none"
 * @address:	network order; 4 bytes used for AF_INET, the rest zero
 * @scope:	interface index of an IPv6 link-local address, else 0
 */
struct endpoint {
	uint16_t family;
	uint16_t port;
	uint8_t address[16];
	uint32_t scope;
};

#define ENDPOINT_TEXT_SIZE 64	/* "[ipv6%scope]:port" with its NUL */

/** endpoint_from_sockaddr() - v4-mapped becomes AF_INET. Return: 0 or -EAFNOSUPPORT/-EINVAL (short @len) */
int endpoint_from_sockaddr(struct endpoint *ep, const struct sockaddr *sa, socklen_t len);

/**
 * endpoint_to_sockaddr() - for a socket of the given family
 * @family:	AF_INET or AF_INET6; AF_INET endpoints become v4-mapped for AF_INET6
 * Return: length to pass to connect()/bind(), or -EAFNOSUPPORT (IPv6 endpoint, AF_INET socket)
 */
int endpoint_to_sockaddr(const struct endpoint *ep, int family, struct sockaddr_storage *ss);

/** endpoint_local() - getsockname() as endpoint. Return: 0 or -errno */
int endpoint_local(int fd, struct endpoint *ep);

/** endpoint_remote() - getpeername() as endpoint. Return: 0 or -errno */
int endpoint_remote(int fd, struct endpoint *ep);

/**
 * endpoint_parse() - "1.2.3.4:80", "[::1]:80", "1.2.3.4", "::1", "[::1]"
 * @port:	port where the text has none
 * Return: 0, or -EINVAL (not a literal address: names are not looked up)
 */
int endpoint_parse(struct endpoint *ep, const char *text, uint16_t port);

/** endpoint_format() - into a caller's buffer of ENDPOINT_TEXT_SIZE. Return: @text */
const char *endpoint_format(const struct endpoint *ep, char text[ENDPOINT_TEXT_SIZE]);

/** endpoint_format_address() - the same without the port */
const char *endpoint_format_address(const struct endpoint *ep, char text[ENDPOINT_TEXT_SIZE]);

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
bool endpoint_same_address(const struct endpoint *a, const struct endpoint *b);

bool endpoint_is_loopback(const struct endpoint *ep);
bool endpoint_is_any(const struct endpoint *ep);

/**
 * endpoint_may_refer() - may a server at @server send a node to @target?
 * Not to where only the node gets: its loopback, its private networks; unless the server is there itself. A public
 * server that could would have every node talk to what listens on its host or in its LAN.
 */
bool endpoint_may_refer(const struct endpoint *server, const struct endpoint *target);

/**
 * endpoint_keep_referred() - those of @list for which it may, in their order. @kept: room for @count. Return: how many
 */
unsigned int endpoint_keep_referred(const struct endpoint *server, const struct endpoint *list, unsigned int count,
				    struct endpoint *kept);

/** endpoint_is_private() - RFC 1918, RFC 6598 (100.64/10), link-local, ULA (fc00::/7), loopback */
bool endpoint_is_private(const struct endpoint *ep);

/** endpoint_is_unicast() - an address one may send a SYN to: not any, multicast, broadcast, or 0/8, 240/4 */
bool endpoint_is_unicast(const struct endpoint *ep);

#endif
