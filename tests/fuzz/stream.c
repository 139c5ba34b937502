/* SPDX-License-Identifier: MIT */
/*
 * stream.c - for targets whose input comes in pieces, over connections
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <event2/event.h>

#include "tests/fuzz/fuzz.h"

#define HEAD	3	/* bytes before those of a chunk */

bool fuzz_chunk(const uint8_t **data, size_t *size, struct chunk *chunk)
{
	const uint8_t *at = *data;
	size_t left;

	if (*size < HEAD)
		return false;
	left = *size - HEAD;
	chunk->head = at[0];
	chunk->size = (size_t)at[1] << 8 | at[2];
	if (chunk->size > left)
		chunk->size = left;
	chunk->data = at + HEAD;
	*data += HEAD + chunk->size;
	*size -= HEAD + chunk->size;
	return true;
}

void fuzz_turn(struct event_base *base, int turns)
{
	while (turns--)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

int fuzz_listen(uint8_t host, uint16_t *port)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(0x7f000000u + host),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	socklen_t size = sizeof(sin);

	MUST(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
	MUST(bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 && listen(fd, 64) == 0);
	MUST(getsockname(fd, (struct sockaddr *)&sin, &size) == 0);
	*port = ntohs(sin.sin_port);
	return fd;
}

/* No port stays in TIME_WAIT, and what is said at one time comes at that time */
static void set_options(int fd)
{
	const struct linger reset = { .l_onoff = 1 };
	const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int fuzz_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		set_options(fd);
	return fd;
}

int fuzz_connect(const struct endpoint *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	int length = endpoint_to_sockaddr(to, AF_INET, &ss);

	MUST(fd >= 0 && length > 0);
	set_options(fd);
	connect(fd, (struct sockaddr *)&ss, (socklen_t)length);
	return fd;
}

int fuzz_pass(uint8_t kind, uint16_t port)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd;

	switch (kind % 6) {
	case 1:		/* for PARK */
		return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case 2:
		return socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	case 3:		/* for LISTEN */
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
			listen(fd, 1);
		return fd;
	case 4:
		return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	case 5:
		return dup(0);
	default:
		return -1;
	}
}
