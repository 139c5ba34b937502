/* SPDX-License-Identifier: MIT */
/*
 * endpoint.c - an IP address with a port
 *
 * Linked into the shim: getsockname() and getpeername() go straight to the
 * kernel, because the latter is one of the shim's own hooks.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/endpoint.h"

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/* IPv4 address in host order */
static uint32_t v4(const struct endpoint *ep)
{
	const uint8_t *a = ep->address;

	return (uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 | (uint32_t)a[2] << 8 | a[3];
}

static bool v4_in(const struct endpoint *ep, uint32_t net, unsigned int bits)
{
	return ep->family == AF_INET && (v4(ep) ^ net) >> (32 - bits) == 0;
}

int endpoint_from_sockaddr(struct endpoint *ep, const struct sockaddr *sa, socklen_t len)
{
	struct sockaddr_in6 sin6;
	struct sockaddr_in sin;
	sa_family_t family;

	memset(ep, 0, sizeof(*ep));
	if (!sa || len < (socklen_t)sizeof(family))
		return -EINVAL;
	memcpy(&family, sa, sizeof(family));

	if (family == AF_INET) {
		if (len < (socklen_t)sizeof(sin))
			return -EINVAL;
		memcpy(&sin, sa, sizeof(sin));
		ep->family = AF_INET;
		ep->port = ntohs(sin.sin_port);
		memcpy(ep->address, &sin.sin_addr, 4);
		return 0;
	}
	if (family != AF_INET6)
		return -EAFNOSUPPORT;
	if (len < (socklen_t)sizeof(sin6))
		return -EINVAL;
	memcpy(&sin6, sa, sizeof(sin6));
	ep->port = ntohs(sin6.sin6_port);
	if (memcmp(&sin6.sin6_addr, mapped_prefix, sizeof(mapped_prefix)) == 0) {
		ep->family = AF_INET;
		memcpy(ep->address, sin6.sin6_addr.s6_addr + 12, 4);
		return 0;
	}
	ep->family = AF_INET6;
	memcpy(ep->address, &sin6.sin6_addr, 16);
	/* Linux fills scope_id for link-local addresses alone, but programs pass anything */
	if (IN6_IS_ADDR_LINKLOCAL(&sin6.sin6_addr))
		ep->scope = sin6.sin6_scope_id;
	return 0;
}

int endpoint_to_sockaddr(const struct endpoint *ep, int family, struct sockaddr_storage *ss)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(ep->port) };
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(ep->port) };

	memset(ss, 0, sizeof(*ss));
	if (family == AF_INET && ep->family == AF_INET) {
		memcpy(&sin.sin_addr, ep->address, 4);
		memcpy(ss, &sin, sizeof(sin));
		return (int)sizeof(sin);
	}
	if (family != AF_INET6)
		return -EAFNOSUPPORT;
	if (ep->family == AF_INET) {
		memcpy(&sin6.sin6_addr, mapped_prefix, sizeof(mapped_prefix));
		memcpy(sin6.sin6_addr.s6_addr + 12, ep->address, 4);
	} else if (ep->family == AF_INET6) {
		memcpy(&sin6.sin6_addr, ep->address, 16);
		sin6.sin6_scope_id = ep->scope;
	} else {
		return -EAFNOSUPPORT;
	}
	memcpy(ss, &sin6, sizeof(sin6));
	return (int)sizeof(sin6);
}

static int endpoint_of(long call, int fd, struct endpoint *ep)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int saved = errno, rc;

	memset(ep, 0, sizeof(*ep));
	if (syscall(call, fd, &ss, &len) < 0) {
		rc = -errno;
		errno = saved;
		return rc;
	}
	return endpoint_from_sockaddr(ep, (const struct sockaddr *)&ss, len);
}

int endpoint_local(int fd, struct endpoint *ep)
{
	return endpoint_of(SYS_getsockname, fd, ep);
}

int endpoint_remote(int fd, struct endpoint *ep)
{
	return endpoint_of(SYS_getpeername, fd, ep);
}

/* "%eth0" or "%2" after a link-local address. Return: index, 0 when unknown */
static uint32_t scope_parse(const char *text)
{
	unsigned long n;
	char *end;

	if (!*text)
		return 0;
	n = strtoul(text, &end, 10);
	if (!*end && *text >= '0' && *text <= '9')
		return n <= UINT32_MAX ? (uint32_t)n : 0;
	return if_nametoindex(text);
}

/* An address without port or brackets */
static int address_parse(struct endpoint *ep, const char *text)
{
	char copy[ENDPOINT_TEXT_SIZE], *percent;
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, ep->address) == 1) {
		ep->family = AF_INET;
		return 0;
	}
	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, text);
	percent = strchr(copy, '%');
	if (percent)
		*percent = '\0';
	if (inet_pton(AF_INET6, copy, &sin6.sin6_addr) != 1)
		return -EINVAL;
	if (percent) {
		sin6.sin6_scope_id = scope_parse(percent + 1);
		if (!sin6.sin6_scope_id || !IN6_IS_ADDR_LINKLOCAL(&sin6.sin6_addr))
			return -EINVAL;
	}
	return endpoint_from_sockaddr(ep, (const struct sockaddr *)&sin6, sizeof(sin6));
}

/* Decimal digits only: no sign, no space, no zero before it. Return: 1..65535, or 0 */
static uint16_t port_parse(const char *text)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < 5 && text[i]; i++) {
		if (text[i] < '0' || text[i] > '9' || *text == '0')
			return 0;
		n = n * 10 + (unsigned int)(text[i] - '0');
	}
	return text[i] || n > UINT16_MAX ? 0 : (uint16_t)n;
}

int endpoint_parse(struct endpoint *ep, const char *text, uint16_t port)
{
	char copy[ENDPOINT_TEXT_SIZE], *end = NULL, *host = copy;
	size_t len = strlen(text);
	int rc;

	memset(ep, 0, sizeof(*ep));
	if (len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, len + 1);

	if (copy[0] == '[') {
		host = copy + 1;
		end = strchr(host, ']');
		if (!end || !strchr(host, ':') || strchr(host, ':') > end)
			return -EINVAL;
		*end++ = '\0';
		if (!*end)
			end = NULL;
		else if (*end++ != ':')
			return -EINVAL;
	} else {
		end = strchr(copy, ':');
		if (end && strchr(end + 1, ':'))
			end = NULL;		/* two colons: a bare IPv6 address */
		else if (end)
			*end++ = '\0';
	}
	if (end) {
		port = port_parse(end);
		if (!port)
			return -EINVAL;
	}
	rc = address_parse(ep, host);
	if (rc < 0) {
		memset(ep, 0, sizeof(*ep));
		return rc;
	}
	ep->port = port;
	return 0;
}

/* With its brackets where a port follows. Return: bytes */
static int address_format(const struct endpoint *ep, char *text, size_t size, bool brackets)
{
	char address[INET6_ADDRSTRLEN] = "";

	if (ep->family != AF_INET && ep->family != AF_INET6)
		return snprintf(text, size, "none");
	if (!inet_ntop(ep->family, ep->address, address, sizeof(address)))
		address[0] = '\0';
	if (ep->family == AF_INET)
		return snprintf(text, size, "%s", address);
	if (ep->scope)
		return snprintf(text, size, "%s%s%%%u%s", brackets ? "[" : "", address, ep->scope,
				brackets ? "]" : "");
	return snprintf(text, size, "%s%s%s", brackets ? "[" : "", address, brackets ? "]" : "");
}

const char *endpoint_format(const struct endpoint *ep, char text[ENDPOINT_TEXT_SIZE])
{
	int size = address_format(ep, text, ENDPOINT_TEXT_SIZE, true);

	if (ep->family && size > 0 && size < ENDPOINT_TEXT_SIZE)
		snprintf(text + size, (size_t)(ENDPOINT_TEXT_SIZE - size), ":%u", ep->port);
	return text;
}

const char *endpoint_format_address(const struct endpoint *ep, char text[ENDPOINT_TEXT_SIZE])
{
	address_format(ep, text, ENDPOINT_TEXT_SIZE, false);
	return text;
}

bool endpoint_same_address(const struct endpoint *a, const struct endpoint *b)
{
	size_t size = a->family == AF_INET ? 4 : 16;

	return a->family == b->family && a->scope == b->scope && memcmp(a->address, b->address, size) == 0;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && endpoint_same_address(a, b);
}

bool endpoint_is_loopback(const struct endpoint *ep)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (ep->family == AF_INET6)
		return memcmp(ep->address, one, 16) == 0;
	return v4_in(ep, 0x7f000000, 8);
}

bool endpoint_is_any(const struct endpoint *ep)
{
	static const uint8_t zero[16];

	return ep->family && memcmp(ep->address, zero, ep->family == AF_INET ? 4 : 16) == 0;
}

bool endpoint_is_private(const struct endpoint *ep)
{
	const uint8_t *a = ep->address;

	if (endpoint_is_loopback(ep))
		return true;
	if (ep->family == AF_INET6)	/* fe80::/10 link-local, fc00::/7 unique local (RFC 4193) */
		return (a[0] == 0xfe && (a[1] & 0xc0) == 0x80) || (a[0] & 0xfe) == 0xfc;
	return v4_in(ep, 0x0a000000, 8) || v4_in(ep, 0xac100000, 12) || v4_in(ep, 0xc0a80000, 16) ||
	       v4_in(ep, 0x64400000, 10) || v4_in(ep, 0xa9fe0000, 16);
}

bool endpoint_is_unicast(const struct endpoint *ep)
{
	if (ep->family == AF_INET6)
		return !endpoint_is_any(ep) && ep->address[0] != 0xff;
	if (ep->family != AF_INET)
		return false;
	/* 224/4 multicast; 240/4 reserved with the broadcast address; 0/8 "this network" */
	return !v4_in(ep, 0x00000000, 8) && !v4_in(ep, 0xe0000000, 3);
}

bool endpoint_may_refer(const struct endpoint *server, const struct endpoint *target)
{
	if (!endpoint_is_unicast(target) || !target->port)
		return false;
	if (endpoint_is_loopback(target))
		return endpoint_is_loopback(server);
	return !endpoint_is_private(target) || endpoint_is_private(server);
}

unsigned int endpoint_keep_referred(const struct endpoint *server, const struct endpoint *list, unsigned int count,
				    struct endpoint *kept)
{
	unsigned int n = 0, i;

	for (i = 0; i < count; i++) {
		if (endpoint_may_refer(server, &list[i]))
			kept[n++] = list[i];
	}
	return n;
}
