/* SPDX-License-Identifier: MIT */
/*
 * test_talk.c - the far end's one sealed message, and what strangers hear
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/frame.h"
#include "common/meeting.h"
#include "resolver/talk.h"
#include "tests/unit/world.h"

static const uint8_t ours[32] = { 1 }, theirs[32] = { 2 };

struct scene {
	struct event_base *base;
	struct talk *talk;
	int fds[2];
	unsigned int events;
	uint64_t nonce;			/* of the Ping that came, 0 none */
};

static void on_event(void *arg, struct talk *talk, const Punch__Message *message)
{
	struct scene *scene = arg;

	assert_ptr_equal(talk, scene->talk);
	scene->events++;
	if (message && message->kind_case == PUNCH__MESSAGE__KIND_PING)
		scene->nonce = message->ping->nonce;
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, scene->fds), 0);
	scene->base = event_base_new();
	scene->talk = talk_new(scene->base, scene->fds[0], ours, theirs, on_event, scene);
	assert_non_null(scene->talk);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	talk_free(scene->talk);
	close(scene->fds[1]);
	event_base_free(scene->base);
	free(scene);
	return 0;
}

/* A Ping, sealed with @key. Return: bytes of the frame */
static size_t sealed_ping(uint8_t frame[512], const uint8_t key[32], uint64_t nonce)
{
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Ping ping = PUNCH__PING__INIT;
	uint8_t plain[256];
	size_t size;

	ping.nonce = nonce;
	message.kind_case = PUNCH__MESSAGE__KIND_PING;
	message.ping = &ping;
	size = punch__message__pack(&message, plain);
	assert_int_equal(meeting_seal(key, plain, size, frame + FRAME_HEADER), 0);
	size += MEETING_SEAL;
	frame[0] = frame[1] = frame[2] = 0;
	frame[3] = (uint8_t)size;
	return FRAME_HEADER + size;
}

static void say(struct scene *scene, const void *data, size_t size)
{
	assert_int_equal(send(scene->fds[1], data, size, MSG_NOSIGNAL), size);
	world_turn(scene->base, 20);
}

/* The talk is over, and the far end has heard nothing */
static void assert_deaf(struct scene *scene)
{
	char byte;

	assert_int_equal(scene->events, 1);
	assert_int_equal(scene->nonce, 0);
	assert_int_equal(recv(scene->fds[1], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static void a_sealed_message_comes_and_no_byte_behind_it_is_read(void **state)
{
	struct scene *scene = *state;
	uint8_t frame[512], rest[16] = "";
	size_t size = sealed_ping(frame, theirs, 77);
	int fd;

	memcpy(frame + size, "pnc1 and so on", 14);
	say(scene, frame, size + 14);
	assert_int_equal(scene->events, 1);
	assert_int_equal(scene->nonce, 77);
	fd = talk_release(scene->talk);
	scene->talk = NULL;
	assert_int_equal(recv(fd, rest, sizeof(rest), 0), 14);
	assert_memory_equal(rest, "pnc1 and so on", 14);
	close(fd);
}

static void a_message_in_single_bytes_comes(void **state)
{
	struct scene *scene = *state;
	uint8_t frame[512];
	size_t size = sealed_ping(frame, theirs, 78), i;

	for (i = 0; i < size; i++) {
		assert_int_equal(scene->events, 0);
		assert_int_equal(send(scene->fds[1], frame + i, 1, 0), 1);
		world_turn(scene->base, 1);
	}
	assert_int_equal(scene->nonce, 78);
}

static void what_we_say_opens_with_our_key(void **state)
{
	struct scene *scene = *state;
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Pong pong = PUNCH__PONG__INIT;
	uint8_t frame[512], plain[512];
	ssize_t n;

	pong.nonce = 5;
	message.kind_case = PUNCH__MESSAGE__KIND_PONG;
	message.pong = &pong;
	assert_int_equal(talk_send(scene->talk, &message), 0);
	n = recv(scene->fds[1], frame, sizeof(frame), 0);
	assert_int_equal(frame_size(frame, (size_t)n), n);
	assert_int_equal(meeting_open(theirs, frame + FRAME_HEADER, (size_t)n - FRAME_HEADER, plain), -EBADMSG);
	assert_true(meeting_open(ours, frame + FRAME_HEADER, (size_t)n - FRAME_HEADER, plain) > 0);
}

static void another_key_is_nobody_s(void **state)
{
	struct scene *scene = *state;
	uint8_t frame[512], other[32] = { 3 };
	size_t size = sealed_ping(frame, other, 79);

	say(scene, frame, size);
	assert_deaf(scene);
}

/* Our own words, sent back to us */
static void an_echo_is_nobody_s(void **state)
{
	struct scene *scene = *state;
	uint8_t frame[512];
	size_t size = sealed_ping(frame, ours, 80);

	say(scene, frame, size);
	assert_deaf(scene);
}

static void noise_is_nobody_s(void **state)
{
	struct scene *scene = *state;

	say(scene, "GET / HTTP/1.1\r\n\r\n", 18);	/* as a length: more than a frame may have */
	assert_deaf(scene);
}

static void an_empty_frame_is_nobody_s(void **state)
{
	struct scene *scene = *state;

	say(scene, "\0\0\0\0", 4);
	assert_deaf(scene);
}

static void a_frame_too_short_to_be_sealed_is_nobody_s(void **state)
{
	struct scene *scene = *state;

	say(scene, "\0\0\0\x1c" "0123456789012345678901234567", 32);
	assert_deaf(scene);
}

static void who_hangs_up_is_gone(void **state)
{
	struct scene *scene = *state;

	say(scene, "\0\0\0\x20" "abc", 7);
	assert_int_equal(scene->events, 0);
	shutdown(scene->fds[1], SHUT_WR);
	world_turn(scene->base, 20);
	assert_deaf(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_sealed_message_comes_and_no_byte_behind_it_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(a_message_in_single_bytes_comes, setup, teardown),
		cmocka_unit_test_setup_teardown(what_we_say_opens_with_our_key, setup, teardown),
		cmocka_unit_test_setup_teardown(another_key_is_nobody_s, setup, teardown),
		cmocka_unit_test_setup_teardown(an_echo_is_nobody_s, setup, teardown),
		cmocka_unit_test_setup_teardown(noise_is_nobody_s, setup, teardown),
		cmocka_unit_test_setup_teardown(an_empty_frame_is_nobody_s, setup, teardown),
		cmocka_unit_test_setup_teardown(a_frame_too_short_to_be_sealed_is_nobody_s, setup, teardown),
		cmocka_unit_test_setup_teardown(who_hangs_up_is_gone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
