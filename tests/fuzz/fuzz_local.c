/* SPDX-License-Identifier: MIT */
/*
 * fuzz_local.c - the resolver's local socket: any program of this host can connect to it
 *
 * The resolver's local side runs in this very process (tests/unit/local_side.h), so that its coverage is seen.  An
 * input is a few packets, each with a head of 4 bytes: kind of descriptor that comes along, flags, length (16 bits).
 * Flag 1: the packet is laid over a good request, so that magic, size and configuration need not be guessed; flag 2: on
 * a connection of its own.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/local_side.h"
#include "tests/unit/scratch.h"

#define PACKETS	6	/* of one input */
#define HEAD	4
#define TURNS	6	/* of the loop after each packet: accept, read, answer, and what that set off */

static struct event_base *base;

static void remove_scratch(void)
{
	scratch_teardown(NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	MUST(scratch_setup(NULL) == 0);
	atexit(remove_scratch);
	base = side_here(scratch);
	return 0;
}

static void turn(void)
{
	int i;

	for (i = 0; i < TURNS; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static size_t packet(int socket, const uint8_t *data, size_t size)
{
	struct local_request request;
	size_t want = (size_t)data[2] << 8 | data[3], i;
	const uint8_t *bytes = data + HEAD;
	uint8_t *laid = (uint8_t *)&request;
	int pass = fuzz_pass(data[0], data[0] & 64 ? SIDE_SERVICE : SIDE_OPEN);

	if (want > size - HEAD)
		want = size - HEAD;
	if (data[1] & 1) {
		side_request(&request, LOCAL_STATUS);
		for (i = 0; i < want && i < sizeof(request); i++)
			laid[i] ^= bytes[i];
		if (request.kind == LOCAL_STOP || request.kind == LOCAL_YIELD)	/* would end this process */
			request.kind = LOCAL_NAME;
		local_send(socket, laid, sizeof(request), pass);
	} else if (want) {
		local_send(socket, bytes, want, pass);
	}
	if (pass >= 0)
		close(pass);
	turn();
	return HEAD + want;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct local_reply reply;
	int socket = -1, count, pass;
	size_t used;

	for (count = 0; count < PACKETS && size > HEAD; count++) {
		if (socket < 0 || (data[1] & 2)) {
			if (socket >= 0)
				close(socket);
			socket = side_connect();
		}
		used = packet(socket, data, size);
		while (recv(socket, &reply, 0, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC) > 0 &&
		       local_recv(socket, &reply, sizeof(reply), &pass) != 0) {
			if (pass >= 0)
				close(pass);
		}
		data += used;
		size -= used;
	}
	if (socket >= 0)
		close(socket);
	turn();
	/* Whatever came, it still answers others */
	socket = side_connect();
	{
		struct local_request request;

		side_request(&request, LOCAL_NAME);
		snprintf(request.peer, sizeof(request.peer), "bob");
		MUST(local_send(socket, &request, sizeof(request), -1) == 0);
		turn();
		MUST(local_recv(socket, &reply, sizeof(reply), &pass) == (ssize_t)sizeof(reply));
		MUST(reply.magic == LOCAL_MAGIC && reply.status == LOCAL_OK && pass < 0);
	}
	close(socket);
	turn();
	return 0;
}
