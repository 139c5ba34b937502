/* SPDX-License-Identifier: MIT */
/*
 * frame.h - INTERFACE - protobuf messages on a byte stream
 *
 * A frame is a length (4 bytes, big endian, 1 .. LIMIT_FRAME) and that many
 * bytes of one serialised message.
 */
#ifndef PUNCH_FRAME_H
#define PUNCH_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <protobuf-c/protobuf-c.h>

#include "common/limits.h"

#define FRAME_HEADER 4

/**
 * frame_size() - look at the start of a buffer
 * Return: whole frame's size with its header, 0 when fewer than FRAME_HEADER
 * bytes are there, -EMSGSIZE when the length is 0 or above LIMIT_FRAME
 */
ssize_t frame_size(const uint8_t *data, size_t size);

/**
 * frame_pack() - serialise with header into a new buffer
 * @out:	malloc()ed, the caller frees
 * Return: bytes, or -ENOMEM/-EMSGSIZE
 */
ssize_t frame_pack(const ProtobufCMessage *message, uint8_t **out);

/**
 * frame_unpack() - of a whole frame as told by frame_size(). Return: message
 * (protobuf_c_message_free_unpacked()) or NULL
 */
ProtobufCMessage *frame_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *frame, size_t size);

#endif
