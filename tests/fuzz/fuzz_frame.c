/* SPDX-License-Identifier: MIT */
/*
 * fuzz_frame.c - a byte stream from the network: lengths, and every message that is read from a frame
 *
 * The first byte says what the reader expects, the rest is the stream.
 */
#include <errno.h>
#include <string.h>

#include "common/convert.h"
#include "common/frame.h"
#include "tests/fuzz/fuzz.h"

static const ProtobufCMessageDescriptor *const types[] = {
	&punch__message__descriptor, &punch__forward__descriptor, &punch__relay_hello__descriptor,
	&punch__relay_reply__descriptor, &punch__saved_state__descriptor,
};

/*
 * What was understood can be written and walked again.  It need not be the same: fields that are unknown are kept as they
 * came, also in messages inside of messages, and protobuf-c takes some for such that it then writes otherwise.
 */
static void again(const ProtobufCMessage *message)
{
	ProtobufCMessage *copy;
	uint8_t *frame = NULL;
	ssize_t size;

	MUST(protobuf_c_message_check(message));
	size = frame_pack(message, &frame);
	if (size < 0) {		/* an empty message makes no frame */
		MUST(size == -EMSGSIZE);
		return;
	}
	MUST(frame_size(frame, (size_t)size) == size);
	copy = frame_unpack(message->descriptor, frame, (size_t)size);
	if (copy)
		protobuf_c_message_free_unpacked(copy, NULL);
	free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ProtobufCMessageDescriptor *type;
	ProtobufCMessage *message;
	ssize_t whole;

	if (size == 0)
		return 0;
	type = types[*data % (sizeof(types) / sizeof(types[0]))];
	for (data++, size--; (whole = frame_size(data, size)) > 0 && (size_t)whole <= size;
	     data += whole, size -= (size_t)whole) {
		MUST(whole > FRAME_HEADER && whole <= FRAME_HEADER + LIMIT_FRAME);
		message = frame_unpack(type, data, (size_t)whole);
		if (!message)
			break;
		again(message);
		protobuf_c_message_free_unpacked(message, NULL);
	}
	return 0;
}
