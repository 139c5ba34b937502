/* SPDX-License-Identifier: MIT */
/*
 * frame.c - protobuf messages on a byte stream
 *
 * The only place that looks at the length a stranger claims: everything is
 * refused here before a byte is allocated for it.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/frame.h"

ssize_t frame_size(const uint8_t *data, size_t size)
{
	size_t body;

	if (size < FRAME_HEADER)
		return 0;
	body = (size_t)data[0] << 24 | (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];
	if (body == 0 || body > LIMIT_FRAME)
		return -EMSGSIZE;
	return (ssize_t)(FRAME_HEADER + body);
}

ssize_t frame_pack(const ProtobufCMessage *message, uint8_t **out)
{
	size_t body = protobuf_c_message_get_packed_size(message);
	uint8_t *frame;

	*out = NULL;
	/* an empty message would be a frame of length 0, which no reader takes */
	if (body == 0 || body > LIMIT_FRAME)
		return -EMSGSIZE;
	frame = malloc(FRAME_HEADER + body);
	if (!frame)
		return -ENOMEM;
	frame[0] = (uint8_t)(body >> 24);
	frame[1] = (uint8_t)(body >> 16);
	frame[2] = (uint8_t)(body >> 8);
	frame[3] = (uint8_t)body;
	protobuf_c_message_pack(message, frame + FRAME_HEADER);
	*out = frame;
	return (ssize_t)(FRAME_HEADER + body);
}

ProtobufCMessage *frame_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *frame, size_t size)
{
	ssize_t whole = frame_size(frame, size);

	if (whole <= 0 || (size_t)whole != size)
		return NULL;
	return protobuf_c_message_unpack(type, NULL, size - FRAME_HEADER, frame + FRAME_HEADER);
}
