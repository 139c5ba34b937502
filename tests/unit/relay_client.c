/* SPDX-License-Identifier: MIT */
/*
 * relay_client.c - the two sides of a relayed connection
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <openssl/evp.h>

#include "common/clock.h"
#include "common/secret.h"
#include "tests/unit/relay_client.h"

#define STREAMS 2

void relay_start(struct relay *relay, unsigned int descriptors)
{
	relay_start_with(relay, descriptors, NULL, NULL);
}

void relay_start_with(struct relay *relay, unsigned int descriptors, char *option, char *value)
{
	char listen[32], metrics[32], secret[] = "--secret", path[256], why[256];
	char name[] = "punch-relay", dash_l[] = "--listen", dash_m[] = "--metrics", dash_v[] = "-vv";
	char *argv[] = { name, dash_v, dash_l, listen, dash_m, metrics, secret, path, option, value, NULL };

	live_folder(relay->folder);
	snprintf(path, sizeof(path), "%s/relay.secret", relay->folder);
	if (ticket_secret_load(relay->secret, path, 1, why, sizeof(why)))
		abort();
	relay->port = live_port();
	relay->metrics = live_port();
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", relay->port);
	snprintf(metrics, sizeof(metrics), "127.0.0.1:%u", relay->metrics);
	if (!live_start(&relay->program, name, argv, relay->folder, "listening", descriptors))
		abort();
}

int relay_stop(struct relay *relay)
{
	int status = live_stop(&relay->program);

	live_folder_remove(relay->folder);
	return status;
}

struct ticket relay_ticket(uint8_t session, enum ticket_side side)
{
	struct ticket ticket = { .side = side };

	memset(ticket.session, session, sizeof(ticket.session));
	memset(ticket.caller_key, 1, sizeof(ticket.caller_key));
	memset(ticket.callee_key, 2, sizeof(ticket.callee_key));
	ticket.expires_s = (uint64_t)time(NULL) + TICKET_LIFETIME_S;
	secret_random(ticket.nonce, sizeof(ticket.nonce));
	return ticket;
}

int relay_hello(const struct relay *relay, const struct ticket *ticket)
{
	return relay_hello_from(NULL, relay, ticket);
}

int relay_hello_from(const char *from, const struct relay *relay, const struct ticket *ticket)
{
	Punch__RelayHello hello = PUNCH__RELAY_HELLO__INIT;
	int fd = live_connect_from(from, "127.0.0.1", relay->port);
	uint8_t sealed[TICKET_MAX];
	int size = ticket_seal(ticket, relay->secret, sealed);

	if (fd < 0 || size < 0)
		abort();
	hello.ticket = convert_bytes(sealed, (size_t)size);
	if (!live_send(fd, &hello.base))
		abort();
	return fd;
}

int relay_status(int fd)
{
	Punch__RelayReply *reply;
	int status;

	reply = (Punch__RelayReply *)live_recv(fd, &punch__relay_reply__descriptor);
	status = reply ? (int)reply->status : -1;
	if (reply)
		protobuf_c_message_free_unpacked(&reply->base, NULL);
	return status;
}

bool relay_pair(const struct relay *relay, int *caller, int *callee)
{
	struct ticket ticket = relay_ticket(0, TICKET_CALLER);

	secret_random(ticket.session, sizeof(ticket.session));
	*caller = relay_hello(relay, &ticket);
	secret_random(ticket.nonce, sizeof(ticket.nonce));
	ticket.side = TICKET_CALLEE;
	*callee = relay_hello(relay, &ticket);
	return relay_status(*caller) == PUNCH__RELAY_STATUS__RELAY_JOINED &&
	       relay_status(*callee) == PUNCH__RELAY_STATUS__RELAY_JOINED;
}

static void fill(struct stream *stream, uint64_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		stream->out_state ^= stream->out_state << 13;
		stream->out_state ^= stream->out_state >> 7;
		stream->out_state ^= stream->out_state << 17;
		words[i] = stream->out_state;
	}
}

/* The generator runs ahead of a short send: so keep what was not sent */
static bool stream_send(struct stream *stream, uint64_t *block, size_t *left, size_t size)
{
	const uint8_t *bytes = (const uint8_t *)block;
	ssize_t n;

	if (!*left) {
		*left = stream->total - stream->sent < size ? (size_t)(stream->total - stream->sent) : size;
		fill(stream, block, size / sizeof(*block));
		EVP_DigestUpdate(stream->out_hash, block, *left);
	}
	n = send(stream->from, bytes + (stream->sent % size), *left, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN;
	stream->sent += (uint64_t)n;
	*left -= (size_t)n;
	if (stream->sent == stream->total) {
		stream->out_closed = true;
		return !shutdown(stream->from, SHUT_WR);
	}
	return true;
}

static bool stream_recv(struct stream *stream)
{
	static uint8_t block[1 << 18];
	ssize_t n = recv(stream->to, block, sizeof(block), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN;
	stream->in_closed = n == 0;
	stream->received += (uint64_t)n;
	return EVP_DigestUpdate(stream->in_hash, block, (size_t)n) == 1;
}

static bool hashes_equal(struct stream *stream)
{
	unsigned char out[EVP_MAX_MD_SIZE], in[EVP_MAX_MD_SIZE];
	unsigned int size = 0, in_size = 0;

	EVP_DigestFinal_ex(stream->out_hash, out, &size);
	EVP_DigestFinal_ex(stream->in_hash, in, &in_size);
	EVP_MD_CTX_free(stream->out_hash);
	EVP_MD_CTX_free(stream->in_hash);
	return stream->received == stream->total && size == in_size && !memcmp(out, in, size);
}

bool streams_run(struct stream *streams, unsigned int count)
{
	static uint64_t blocks[STREAMS][1 << 13];
	uint64_t deadline = clock_now() + 4 * LIVE_WAIT_S * SECOND;
	size_t left[STREAMS] = { 0 };
	struct pollfd pfds[2 * STREAMS];
	bool ok = count <= STREAMS, open = true;

	for (unsigned int i = 0; i < count; i++) {
		streams[i].out_state = 88172645463325252ULL + i;
		streams[i].out_hash = EVP_MD_CTX_new();
		streams[i].in_hash = EVP_MD_CTX_new();
		EVP_DigestInit_ex(streams[i].out_hash, EVP_sha256(), NULL);
		EVP_DigestInit_ex(streams[i].in_hash, EVP_sha256(), NULL);
	}
	while (ok && open && clock_now() < deadline) {
		for (unsigned int i = 0; i < count; i++) {
			pfds[2 * i] = (struct pollfd){ streams[i].out_closed ? -1 : streams[i].from, POLLOUT, 0 };
			pfds[2 * i + 1] = (struct pollfd){ streams[i].in_closed ? -1 : streams[i].to, POLLIN, 0 };
		}
		poll(pfds, 2 * count, 1000);
		open = false;
		for (unsigned int i = 0; i < count && ok; i++) {
			if (pfds[2 * i].revents)
				ok = stream_send(&streams[i], blocks[i], &left[i], sizeof(blocks[i]));
			if (ok && pfds[2 * i + 1].revents)
				ok = stream_recv(&streams[i]);
			open |= !streams[i].in_closed;
		}
	}
	for (unsigned int i = 0; i < count; i++)
		ok &= hashes_equal(&streams[i]);
	return ok;
}
