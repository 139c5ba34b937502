/* SPDX-License-Identifier: MIT */
/*
 * fuzz_talk.c - what is said on a connection that was made without a server; any stranger can make one
 *
 * Each chunk is sent at one time.  Its head: 1 sealed with the right key and framed, else as it is; 2 with one bit changed
 * (the first byte of the chunk says where); 4 byte by byte; 8 the far end says no more.  Promises: it is over at most
 * once; a message comes only if exactly what was sealed came first and unchanged; not a byte behind it is read; and we
 * say nothing.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <event2/event.h>

#include "common/convert.h"
#include "common/frame.h"
#include "common/meeting.h"
#include "common/secret.h"
#include "resolver/talk.h"
#include "tests/fuzz/fuzz.h"

enum { SEALED = 1, CHANGED = 2, SLOWLY = 4, LAST = 8 };

#define PLAIN_MOST	2048	/* bytes sealed at one time */

static struct event_base *base;
static uint8_t ours[32], theirs[32];	/* of this run: nothing in a corpus is sealed by them */

struct scene {
	struct talk *talk;
	int far;
	unsigned int events;
	bool heard;
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	base = event_base_new();
	MUST(base);
	secret_random(ours, sizeof(ours));
	secret_random(theirs, sizeof(theirs));
	return 0;
}

/* As session_callee.c and session_caller.c go on */
static void use(const Punch__Message *message)
{
	struct invitation invitation;
	struct answer answer;
	struct body body = { 0 };

	if (message->kind_case == PUNCH__MESSAGE__KIND_INVITE && message->invite->payload)
		invitation_open(message->invite->payload, &invitation, &body);
	else if (message->kind_case == PUNCH__MESSAGE__KIND_REPLY && message->reply->payload)
		answer_open(message->reply->payload, &answer, &body);
	body_free(&body);
}

static void on_event(void *arg, struct talk *talk, const Punch__Message *message)
{
	struct scene *scene = arg;

	MUST(talk == scene->talk);
	scene->events++;
	scene->heard = message != NULL;
	if (message)
		use(message);
}

/* Nobody has a key of ours: what he sent never opens, however long it is */
static void as_stranger(const struct chunk *chunk)
{
	uint8_t *exact = malloc(chunk->size + 1), *out = malloc(chunk->size + 1);

	MUST(exact && out);
	memcpy(exact, chunk->data, chunk->size);
	MUST(meeting_open(theirs, exact, chunk->size, out) == -EBADMSG);
	free(exact);
	free(out);
}

static size_t make(const struct chunk *chunk, uint8_t *out)
{
	size_t size = chunk->size < PLAIN_MOST ? chunk->size : PLAIN_MOST;

	if (!(chunk->head & SEALED) || !size) {
		memcpy(out, chunk->data, size);
		return size;
	}
	MUST(meeting_seal(theirs, chunk->data, size, out + FRAME_HEADER) == 0);
	size += MEETING_SEAL;
	out[0] = out[1] = 0;
	out[2] = (uint8_t)(size >> 8);
	out[3] = (uint8_t)size;
	return FRAME_HEADER + size;
}

static void say(const struct scene *scene, const struct chunk *chunk, const uint8_t *data, size_t size)
{
	size_t some = chunk->head & SLOWLY ? 1 : size, at;

	for (at = 0; at < size; at += some) {
		if (send(scene->far, data + at, some, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)some)
			break;		/* the talk has ended, and nobody reads any more */
		fuzz_turn(base, 1);
	}
	if (chunk->head & LAST)
		shutdown(scene->far, SHUT_WR);
	fuzz_turn(base, 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t bytes[FRAME_HEADER + PLAIN_MOST + MEETING_SEAL], back;
	size_t sent = 0, whole = 0, n;
	struct scene scene = { 0 };
	struct chunk chunk;
	int fds[2], fd, left;

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	scene.far = fds[1];
	scene.talk = talk_new(base, fds[0], ours, theirs, on_event, &scene);
	MUST(scene.talk);
	while (!scene.events && fuzz_chunk(&data, &size, &chunk)) {
		as_stranger(&chunk);
		n = make(&chunk, bytes);
		if (chunk.head & CHANGED && n)
			bytes[chunk.data[0] % n] ^= (uint8_t)(1 << (chunk.data[0] & 7));
		else if (chunk.head & SEALED && !sent)
			whole = n;	/* the one that may be heard */
		say(&scene, &chunk, bytes, n);
		sent += n;
	}
	MUST(scene.events <= 1 && (!scene.heard || whole));
	MUST(recv(fds[1], &back, 1, MSG_DONTWAIT) <= 0);
	if (scene.heard) {
		fd = talk_release(scene.talk);
		MUST(ioctl(fd, FIONREAD, &left) == 0 && (size_t)left == sent - whole);
		close(fd);
	} else {
		talk_free(scene.talk);
	}
	close(fds[1]);
	return 0;
}
