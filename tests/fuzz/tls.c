/* SPDX-License-Identifier: MIT */
/*
 * tls.c - the far end of a TLS connection with the code under test, which the input plays
 */
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include <openssl/err.h>

#include "common/frame.h"
#include "tests/fuzz/tls.h"

#define SHAKES	20	/* turns of either end, which do where the processor is ours */
#define LATE	200	/* more of them, each with up to a millisecond for what the kernel has not delivered yet */

bool far_open(struct far *far, struct event_base *base, SSL_CTX *ctx, int fd, bool server)
{
	struct pollfd answer = { .fd = fd, .events = POLLIN };
	int i, rc = 0;

	far->fd = fd;
	far->have = 0;
	far->ssl = SSL_new(ctx);
	MUST(far->ssl && SSL_set_fd(far->ssl, fd) == 1);
	for (i = 0; i < SHAKES + LATE && rc != 1; i++) {
		ERR_clear_error();
		rc = server ? SSL_accept(far->ssl) : SSL_connect(far->ssl);
		if (rc != 1 && SSL_get_error(far->ssl, rc) != SSL_ERROR_WANT_READ)
			break;
		if (i >= SHAKES)
			poll(&answer, 1, 1);
		fuzz_turn(base, 2);
	}
	return rc == 1;
}

void far_close(struct far *far)
{
	SSL_free(far->ssl);
	far->ssl = NULL;
	if (far->fd >= 0)
		close(far->fd);
	far->fd = -1;
	ERR_clear_error();
}

void far_say(struct far *far, const uint8_t *data, size_t size)
{
	if (far->ssl && size)
		SSL_write(far->ssl, data, (int)size);
	ERR_clear_error();
}

void far_frame(struct far *far, const uint8_t *data, size_t size)
{
	static uint8_t frame[FRAME_HEADER + FAR_ROOM];

	MUST(size <= FAR_ROOM);
	frame[0] = 0;
	frame[1] = (uint8_t)(size >> 16);
	frame[2] = (uint8_t)(size >> 8);
	frame[3] = (uint8_t)size;
	memcpy(frame + FRAME_HEADER, data, size);
	far_say(far, frame, FRAME_HEADER + size);
}

static void next(struct far *far, ssize_t size, void (*on)(void *arg, const Punch__Message *message), void *arg)
{
	Punch__Message *message;

	message = (Punch__Message *)frame_unpack(&punch__message__descriptor, far->in, (size_t)size);
	MUST(message);
	far->have -= (size_t)size;
	memmove(far->in, far->in + size, far->have);
	on(arg, message);
	punch__message__free_unpacked(message, NULL);
}

void far_hear(struct far *far, void (*on)(void *arg, const Punch__Message *message), void *arg)
{
	ssize_t size;
	int n;

	while (far->ssl) {
		n = SSL_read(far->ssl, far->in + far->have, (int)(FAR_ROOM - far->have));
		if (n <= 0)
			break;
		far->have += (size_t)n;
		while ((size = frame_size(far->in, far->have)) > 0 && (size_t)size <= far->have)
			next(far, size, on, arg);
		MUST(size >= 0);
	}
	ERR_clear_error();
}
