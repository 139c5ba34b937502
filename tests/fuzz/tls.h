/* SPDX-License-Identifier: MIT */
/*
 * tls.h - the far end of a TLS connection with the code under test, which the input plays
 */
#ifndef PUNCH_TESTS_FUZZ_TLS_H
#define PUNCH_TESTS_FUZZ_TLS_H

#include <openssl/ssl.h>
#include <protobuf-c/protobuf-c.h>

#include "common/punch.pb-c.h"
#include "tests/fuzz/fuzz.h"

#define FAR_ROOM 65536

/**
 * struct far - zeroed before far_open()
 * @in, @have: decrypted bytes that make no whole frame yet
 */
struct far {
	SSL *ssl;
	int fd;			/* owned; -1 closed */
	uint8_t in[FAR_ROOM];
	size_t have;
};

/**
 * far_open() - handshake, @base turns meanwhile
 * @fd:		connected, non-blocking; owned from here on
 * @server:	our role
 * Return: false when it was not completed
 */
bool far_open(struct far *far, struct event_base *base, SSL_CTX *ctx, int fd, bool server);
void far_close(struct far *far);

/** far_say() - bytes as they are; what does not fit is lost */
void far_say(struct far *far, const uint8_t *data, size_t size);

/** far_frame() - @size bytes as the body of a frame */
void far_frame(struct far *far, const uint8_t *data, size_t size);

/** far_hear() - read what came; each message must be a good frame of type Message. Calls @on for each */
void far_hear(struct far *far, void (*on)(void *arg, const Punch__Message *message), void *arg);

#endif
