/* SPDX-License-Identifier: MIT */
/*
 * fuzz_relayleg.c - what a relay, or whoever listens in its place, says to a side that shows its ticket
 *
 * Each chunk is sent at one time.  Its head: 1 as a RelayReply in a frame, else as it is; 2 byte by byte; 4 the
 * connection ends after it.  Promises: it is done at most once; a socket is given out only after a
 * whole JOINED, and not a byte behind that is read.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/frame.h"
#include "common/log.h"
#include "common/punch.pb-c.h"
#include "resolver/dns.h"
#include "resolver/relayleg.h"
#include "tests/fuzz/fuzz.h"

enum { FRAMED = 1, SLOWLY = 2, LAST = 4 };

#define STREAM	8192	/* bytes sent at most */

static const struct endpoint server = { .family = AF_INET, .port = 4430, .address = { 127, 0, 0, 1 } };
static const uint8_t ticket[100] = "a ticket";
static struct node node;
static uint16_t port;
static int listener;

struct scene {
	struct relayleg *leg;
	int relay, given;
	bool done;
	uint8_t sent[STREAM];
	size_t size;
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_init("fuzz", "error", NULL);
	node.base = event_base_new();
	node.dns = dns_new(node.base);
	MUST(node.base && node.dns);
	listener = fuzz_listen(1, &port);
	return 0;
}

static void on_done(void *arg, int fd, int error, const char *text)
{
	struct scene *scene = arg;

	MUST(!scene->done && (fd >= 0) == (error == 0) && (error == 0) == (*text == '\0'));
	scene->done = true;
	scene->given = fd;
}

static void begin(struct scene *scene)
{
	uint8_t hello[512];
	ssize_t n;
	int i;

	scene->relay = scene->given = -1;
	scene->leg = relayleg_new(&node, &server, "127.0.0.1", port, AF_INET, ticket, sizeof(ticket), on_done, scene);
	MUST(scene->leg);
	for (i = 0; i < 20 && scene->relay < 0; i++) {
		fuzz_turn(node.base, 1);
		scene->relay = fuzz_accept(listener);
	}
	MUST(scene->relay >= 0);
	fuzz_turn(node.base, 3);
	n = recv(scene->relay, hello, sizeof(hello), MSG_DONTWAIT);
	MUST(n > (ssize_t)sizeof(ticket) && frame_size(hello, (size_t)n) == n);
}

static void say(struct scene *scene, const struct chunk *chunk)
{
	uint8_t *at = scene->sent + scene->size;
	size_t size = chunk->size, some, i;

	if (scene->size + size + FRAME_HEADER > STREAM)
		return;
	if (chunk->head & FRAMED) {
		memcpy(at, (uint8_t []){ 0, 0, (uint8_t)(size >> 8), (uint8_t)size }, FRAME_HEADER);
		memcpy(at + FRAME_HEADER, chunk->data, size);
		size += FRAME_HEADER;
	} else {
		memcpy(at, chunk->data, size);
	}
	some = chunk->head & SLOWLY ? 1 : size;
	for (i = 0; i < size && send(scene->relay, at + i, some, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)some; i += some)
		fuzz_turn(node.base, 1);
	scene->size += i;
	if (chunk->head & LAST)
		shutdown(scene->relay, SHUT_WR);
	fuzz_turn(node.base, 2);
}

/* The first thing that was sent is a frame with JOINED; all behind it waits in the socket */
static void check_given(const struct scene *scene)
{
	ssize_t whole = frame_size(scene->sent, scene->size);
	Punch__RelayReply *reply;
	int left;

	MUST(whole > 0 && (size_t)whole <= scene->size);
	reply = (Punch__RelayReply *)frame_unpack(&punch__relay_reply__descriptor, scene->sent, (size_t)whole);
	MUST(reply && reply->status == PUNCH__RELAY_STATUS__RELAY_JOINED);
	protobuf_c_message_free_unpacked(&reply->base, NULL);
	MUST(ioctl(scene->given, FIONREAD, &left) == 0 && (size_t)left == scene->size - (size_t)whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct scene scene;
	struct chunk chunk;

	memset(&scene, 0, sizeof(scene));
	begin(&scene);
	while (!scene.done && fuzz_chunk(&data, &size, &chunk))
		say(&scene, &chunk);
	if (!scene.done)
		relayleg_cancel(scene.leg);
	if (scene.given >= 0) {
		check_given(&scene);
		close(scene.given);
	}
	close(scene.relay);
	fuzz_turn(node.base, 1);
	return 0;
}
