/* SPDX-License-Identifier: MIT */
/*
 * relay_client.h - the two sides of a relayed connection, for the test_relay_*_live programs
 */
#ifndef TESTS_RELAY_CLIENT_H
#define TESTS_RELAY_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/unit/live.h"

/** struct relay - a running punch-relay */
struct relay {
	struct program program;
	char folder[64];
	uint16_t port, metrics;
	uint8_t secret[RELAY_SECRET_SIZE];
};

/** relay_start() - with a secret of its own. @descriptors: its limit, 0: ours. Aborts on failure */
void relay_start(struct relay *relay, unsigned int descriptors);

/** relay_start_with() - the same with one more option and its value */
void relay_start_with(struct relay *relay, unsigned int descriptors, char *option, char *value);

/** relay_stop() - Return: its exit status */
int relay_stop(struct relay *relay);

/** relay_ticket() - a good ticket; change it to make a bad one */
struct ticket relay_ticket(uint8_t session, enum ticket_side side);

/** relay_hello() - connect and present a ticket. Return: socket */
int relay_hello(const struct relay *relay, const struct ticket *ticket);

/** relay_hello_from() - the same from another address, see live_connect_from() */
int relay_hello_from(const char *from, const struct relay *relay, const struct ticket *ticket);

/** relay_status() - the RelayReply on a socket, -1 when there is none */
int relay_status(int fd);

/** relay_pair() - two joined sockets of a fresh session. Return: false on failure */
bool relay_pair(const struct relay *relay, int *caller, int *callee);

/** struct stream - one direction of a test's traffic: pseudo-random bytes and their hashes */
struct stream {
	int from, to;
	uint64_t total, sent, received;
	uint64_t out_state;		/* generator */
	void *out_hash, *in_hash;	/* EVP_MD_CTX */
	bool out_closed, in_closed;
};

/** streams_run() - move both streams until all bytes arrived; closes the sending sides at the end. Return: false on timeout or difference */
bool streams_run(struct stream *streams, unsigned int count);

#endif
