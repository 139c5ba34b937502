/* SPDX-License-Identifier: MIT */
/*
 * test_frame.c - lengths that strangers claim, and messages that they send
 */
#include <errno.h>

#include "common/frame.h"
#include "common/punch.pb-c.h"
#include "common/secret.h"
#include "tests/unit/scratch.h"

static void a_message_comes_back(void **state)
{
	Punch__Message message = PUNCH__MESSAGE__INIT, *back;
	Punch__Ping ping = PUNCH__PING__INIT;
	uint8_t *frame;
	ssize_t size, part;

	(void)state;
	ping.nonce = 0x0123456789abcdef;
	message.kind_case = PUNCH__MESSAGE__KIND_PING;
	message.ping = &ping;
	size = frame_pack(&message.base, &frame);
	assert_true(size > FRAME_HEADER);
	for (part = 0; part <= size; part++)
		assert_int_equal(frame_size(frame, (size_t)part), part < FRAME_HEADER ? 0 : size);
	back = (Punch__Message *)frame_unpack(&punch__message__descriptor, frame, (size_t)size);
	assert_non_null(back);
	assert_int_equal(back->kind_case, PUNCH__MESSAGE__KIND_PING);
	assert_true(back->ping->nonce == ping.nonce);
	punch__message__free_unpacked(back, NULL);
	free(frame);
}

static void lengths_out_of_range_are_refused(void **state)
{
	static const struct {
		uint8_t header[FRAME_HEADER];
		ssize_t size;
	} cases[] = {
		{ { 0, 0, 0, 0 }, -EMSGSIZE }, { { 0, 0, 0, 1 }, FRAME_HEADER + 1 },
		{ { 0, 0, 0x40, 0 }, FRAME_HEADER + LIMIT_FRAME }, { { 0, 0, 0x40, 1 }, -EMSGSIZE },
		{ { 0x80, 0, 0, 1 }, -EMSGSIZE }, { { 0xff, 0xff, 0xff, 0xff }, -EMSGSIZE },
		{ { 'G', 'E', 'T', ' ' }, -EMSGSIZE }, { { 0x16, 3, 1, 2 }, -EMSGSIZE },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		assert_int_equal(frame_size(cases[i].header, FRAME_HEADER), cases[i].size);
}

static void messages_too_large_or_empty_are_not_sent(void **state)
{
	Punch__Message empty = PUNCH__MESSAGE__INIT;
	Punch__RelayHello hello = PUNCH__RELAY_HELLO__INIT;
	uint8_t *frame = (uint8_t *)1;

	(void)state;
	assert_int_equal(frame_pack(&empty.base, &frame), -EMSGSIZE);
	assert_null(frame);
	hello.ticket.len = LIMIT_FRAME - 3;	/* one byte of tag, two of length */
	hello.ticket.data = calloc(1, LIMIT_FRAME);
	assert_int_equal(frame_pack(&hello.base, &frame), FRAME_HEADER + LIMIT_FRAME);
	assert_int_equal(frame_size(frame, FRAME_HEADER + LIMIT_FRAME), FRAME_HEADER + LIMIT_FRAME);
	free(frame);
	hello.ticket.len++;
	assert_int_equal(frame_pack(&hello.base, &frame), -EMSGSIZE);
	assert_null(frame);
	free(hello.ticket.data);
}

static void what_is_no_whole_frame_is_refused(void **state)
{
	/* Message { ping { nonce: 7 } }, and what would be more of it */
	static const uint8_t frame[] = { 0, 0, 0, 4, 0x1a, 0x02, 0x08, 0x07, 0x1a, 0x02, 0x08, 0x08 };
	ProtobufCMessage *message = frame_unpack(&punch__message__descriptor, frame, 8);

	(void)state;
	assert_non_null(message);
	protobuf_c_message_free_unpacked(message, NULL);
	assert_null(frame_unpack(&punch__message__descriptor, frame, 7));
	assert_null(frame_unpack(&punch__message__descriptor, frame, sizeof(frame)));
	assert_null(frame_unpack(&punch__message__descriptor, frame, 3));
	assert_null(frame_unpack(&punch__message__descriptor, frame, 0));
}

/* Under the address sanitizer this is what the test is about */
static void any_bytes_are_survived(void **state)
{
	uint8_t *frame, random[64];
	unsigned int i;
	size_t size;

	(void)state;
	for (i = 0; i < 20000; i++) {
		ProtobufCMessage *message;

		secret_random(random, sizeof(random));
		size = 1 + random[0] % 60;
		frame = malloc(FRAME_HEADER + size);
		memcpy(frame, (uint8_t[]){ 0, 0, 0, (uint8_t)size }, FRAME_HEADER);
		memcpy(frame + FRAME_HEADER, random + 1, size);
		if (i & 1)	/* a field that exists, so that the parser goes deeper */
			frame[FRAME_HEADER] = (uint8_t)((1 + random[63] % 10) << 3 | 2);
		message = frame_unpack(&punch__message__descriptor, frame, FRAME_HEADER + size);
		if (message)
			protobuf_c_message_free_unpacked(message, NULL);
		free(frame);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_comes_back),
		cmocka_unit_test(lengths_out_of_range_are_refused),
		cmocka_unit_test(messages_too_large_or_empty_are_not_sent),
		cmocka_unit_test(what_is_no_whole_frame_is_refused),
		cmocka_unit_test(any_bytes_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
