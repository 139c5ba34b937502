/* SPDX-License-Identifier: MIT */
/*
 * fuzz_relay.c - strangers and ticket holders at a relay: first bytes, tickets, pairs, ends, at any time
 *
 * The relay's own loop, lobby, list of used tickets and pump.  Each chunk is a step.  Its head: bits 0-1 which connection,
 * bits 2-4 what (enum step), bits 5-7 a number.  The relay's clocks are ours, so its limits of time are reached.
 * Promises: what it says first is one RelayReply; JOINED is said to pairs only, whose tickets were good; nothing is left
 * when all are gone.
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/convert.h"
#include "common/frame.h"
#include "common/secret.h"
#include "relay/carrier.h"
#include "relay/keys.h"
#include "relay/limits.h"
#include "relay/loop.h"
#include "relay/pump.h"
#include "relay/room.h"
#include "relay/stats.h"
#include "relay/visitor.h"
#include "tests/fuzz/fuzz.h"

enum step {
	STEP_BYTES,		/* as they are */
	STEP_HELLO,		/* a RelayHello with these bytes as its ticket */
	STEP_TICKET,		/* the same, these bytes as a Ticket with a good MAC */
	STEP_GOOD,		/* a good ticket; the number: bit 0 side, bit 1 session, bit 2 nonce used before. The bytes follow it */
	STEP_SHUT,
	STEP_CLOSE,
	STEP_READ,
	STEP_TIME,		/* 2 to the power of the number, in seconds */
};

#define SIDES	4
#define TURNS	3

static uint8_t secret[RELAY_SECRET_SIZE];
static unsigned int run;

static struct side {
	int fd;			/* -1: none */
	bool good;		/* a ticket with a good MAC was shown */
	bool heard;		/* the relay's reply */
} sides[SIDES];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);	/* as relay/main.c does */
	secret_random(secret, sizeof(secret));
	MUST(loop_open() == 0 && visitors_open(secret, 65536, 1024) == 0);
	/* One pair of a key, so that the second of two is refused; and a rate that some hundred bytes do not reach */
	MUST(keys_open(64, 1, 1 << 20) == 0);
	room_open(1 << 20);
	carrier_limit(4);
	pump_open(1024, visitor_released);
	return 0;
}

static void turn(void)
{
	int i;

	for (i = 0; i < TURNS; i++) {
		visitors_run(clock_now());
		pump_run(clock_now());
		MUST(loop_wait(0) == 0);
	}
}

static void arrive(struct side *side)
{
	struct endpoint from = { .family = AF_INET, .port = 40000, .address = { 203, 0, (uint8_t)(run >> 8), (uint8_t)run } };
	int fds[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	*side = (struct side){ .fd = fds[0] };
	visitor_new(fds[1], &from, clock_now());
}

static void leave(struct side *side)
{
	if (side->fd >= 0)
		close(side->fd);
	*side = (struct side){ .fd = -1 };
	turn();
}

static void say(const struct side *side, const uint8_t *data, size_t size)
{
	if (size)
		send(side->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void hello(const struct side *side, const uint8_t *ticket, size_t size)
{
	Punch__RelayHello message = PUNCH__RELAY_HELLO__INIT;
	uint8_t *frame;
	ssize_t n;

	message.ticket = convert_bytes(ticket, size);
	n = frame_pack(&message.base, &frame);
	if (n < 0)
		return;
	say(side, frame, (size_t)n);
	free(frame);
}

/* Its MAC as in common/ticket.c; whatever it says */
static void sealed(struct side *side, const uint8_t *ticket, size_t size)
{
	static const char context[] = "punch relay ticket v1";
	Punch__SealedTicket message = PUNCH__SEALED_TICKET__INIT;
	uint8_t covered[sizeof(context) + TICKET_MAX], mac[32], packed[TICKET_MAX + 64];

	if (size > TICKET_MAX)
		size = TICKET_MAX;
	memcpy(covered, context, sizeof(context));
	memcpy(covered + sizeof(context), ticket, size);
	MUST(secret_mac(secret, covered, sizeof(context) + size, mac) == 0);
	side->good = true;
	message.ticket = convert_bytes(ticket, size);
	message.mac = convert_bytes(mac, sizeof(mac));
	hello(side, packed, punch__sealed_ticket__pack(&message, packed));
}

static void good(struct side *side, unsigned int number)
{
	struct ticket ticket = { .side = number & 1 ? TICKET_CALLER : TICKET_CALLEE, .expires_s = (uint64_t)time(NULL) + 60 };
	uint8_t out[TICKET_MAX];
	int size;

	memcpy(ticket.session, &run, sizeof(run));
	ticket.session[8] = number >> 1 & 1;
	ticket.callee_key[0] = 1;
	memcpy(ticket.nonce, &run, sizeof(run));
	if (!(number & 4))
		secret_random(ticket.nonce + 8, 8);
	size = ticket_seal(&ticket, secret, out);
	MUST(size > 0);
	side->good = true;
	hello(side, out, (size_t)size);
}

/* What the relay says first is a reply of its own, whole and well formed */
static void hear(struct side *side)
{
	uint8_t bytes[4096];
	ssize_t n = recv(side->fd, bytes, sizeof(bytes), MSG_DONTWAIT), whole;
	Punch__RelayReply *reply;

	if (n <= 0 || side->heard)
		return;
	whole = frame_size(bytes, (size_t)n);
	MUST(whole > 0 && whole <= n);
	reply = (Punch__RelayReply *)frame_unpack(&punch__relay_reply__descriptor, bytes, (size_t)whole);
	MUST(reply && reply->status > 0 && reply->status <= PUNCH__RELAY_STATUS__RELAY_LIMIT);
	if (reply->status == PUNCH__RELAY_STATUS__RELAY_JOINED)
		MUST(side->good);
	else
		MUST(whole == n);	/* who is refused gets nothing of anybody */
	side->heard = true;
	protobuf_c_message_free_unpacked(&reply->base, NULL);
}

static void step(const struct chunk *chunk)
{
	struct side *side = &sides[chunk->head & 3];
	unsigned int number = chunk->head >> 5;

	if (side->fd < 0)
		arrive(side);
	switch ((enum step)(chunk->head >> 2 & 7)) {
	case STEP_BYTES:
		say(side, chunk->data, chunk->size);
		break;
	case STEP_HELLO:
		hello(side, chunk->data, chunk->size);
		break;
	case STEP_TICKET:
		sealed(side, chunk->data, chunk->size);
		break;
	case STEP_GOOD:
		good(side, number);
		say(side, chunk->data, chunk->size);
		break;
	case STEP_SHUT:
		shutdown(side->fd, SHUT_WR);
		break;
	case STEP_CLOSE:
		leave(side);
		break;
	case STEP_READ:
		hear(side);
		break;
	case STEP_TIME:
		fuzz_ahead += 1u << number;
	}
	turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct chunk chunk;
	unsigned int i;

	run++;
	for (i = 0; i < SIDES; i++)
		sides[i].fd = -1;
	while (fuzz_chunk(&data, &size, &chunk))
		step(&chunk);
	for (i = 0; i < SIDES; i++) {
		if (sides[i].fd >= 0)
			hear(&sides[i]);
		leave(&sides[i]);
	}
	fuzz_ahead += 120;	/* beyond all limits, and all tickets are forgotten */
	turn();
	MUST(stats.visitors_now == 0 && stats.pairs_now == 0);
	return 0;
}
