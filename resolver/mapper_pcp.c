/* SPDX-License-Identifier: MIT */
/*
 * mapper_pcp.c - ask a gateway by PCP (RFC 6887)
 *
 * The socket is connected to the gateway, so that answers come from it alone, the kernel's choice of our
 * address is the one that the request must hold (8.1), and ICMP port unreachable is heard at once. An IPv6 router has a
 * link-local address, towards which the kernel would choose a link-local one of ours: the address that the pinhole
 * is for is bound before.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "resolver/mapper_internal.h"

/* RFC 6886 3.1's 250 ms, doubled, not RFC 6887 8.1.1's 3 s: a gateway in the house answers within ms,
 * and behind a silent one two more protocols wait for their turn */
#define WAIT_FIRST	(250 * MS)
#define TRIES		2

/* @own: to be bound, unless its family is 0 */
static int udp_to(const struct endpoint *gateway, const struct endpoint *own, struct endpoint *local)
{
	struct sockaddr_storage ss, from;
	int fd, length = endpoint_to_sockaddr(gateway, gateway->family, &ss), err = 0;

	if (length < 0)
		return length;
	fd = socket(gateway->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (own->family)
		err = endpoint_to_sockaddr(own, gateway->family, &from);
	if (err > 0)
		err = bind(fd, (struct sockaddr *)&from, (socklen_t)err) ? -errno : 0;
	if (!err)
		err = connect(fd, (struct sockaddr *)&ss, (socklen_t)length) ? -errno : endpoint_local(fd, local);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* Wait for the answer to @map. Return: 0, -ETIMEDOUT or another error */
static int await(int fd, const struct pcp_map *map, uint64_t until, struct endpoint *external, uint32_t *granted,
		 uint32_t *epoch)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint8_t in[PCP_MAX + 1];
	uint64_t now;
	ssize_t n;
	int err;

	while ((now = clock_now()) < until) {
		if (poll(&pfd, 1, (int)((until - now) / MS) + 1) < 1)
			continue;
		n = recv(fd, in, sizeof(in), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return -errno;
		err = pcp_response(in, (size_t)n, map, external, granted);
		if (!err)
			*epoch = pcp_epoch(in);
		if (err != -ENOMSG)
			return err;
	}
	return -ETIMEDOUT;
}

int mapper_pcp(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime)
{
	struct endpoint server = *gateway, external;
	struct pcp_map map = { .internal = lease->internal, .lifetime = lifetime };
	uint8_t request[PCP_MAP_SIZE];
	uint64_t wait = WAIT_FIRST;
	uint32_t granted = 0, epoch = 0;
	int fd, err = -ETIMEDOUT;
	unsigned int i;

	server.port = PCP_PORT;
	fd = udp_to(&server, &lease->own, &map.client);
	if (fd < 0)
		return fd;
	memcpy(map.nonce, lease->nonce, sizeof(map.nonce));
	map.suggested = lease->external;
	if (!map.suggested.port)
		map.suggested.port = lease->internal;
	pcp_request(request, &map);
	for (i = 0; i < TRIES && err == -ETIMEDOUT; i++, wait *= 2) {
		if (send(fd, request, sizeof(request), MSG_NOSIGNAL) < 0) {
			err = -errno;
			break;
		}
		err = await(fd, &map, clock_now() + wait, &external, &granted, &epoch);
	}
	close(fd);
	/* A firewall translates nothing. Peers are not to be sent to whatever address a gateway makes up */
	if (!err && lifetime && lease->own.family && !endpoint_same_address(&external, &lease->own))
		err = -EREMOTEIO;
	if (!err && lifetime) {
		lease->external = external;
		lease->granted = granted;
		lease->epoch = epoch;
		lease->told = true;
	}
	return err;
}
