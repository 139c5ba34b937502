/* SPDX-License-Identifier: MIT */
/*
 * reply.h - what all kinds of requests have in common
 */
#ifndef PUNCH_REPLY_H
#define PUNCH_REPLY_H

#include "common/local.h"

/** reply_fail() - LOCAL_FAILED with errno and one line */
void reply_fail(struct local_reply *reply, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** request_timeout() - what a client wishes, made sane. Return: ms, 1 ms to TIMEOUT_MOST_S, TIMEOUT_DEFAULT_S for 0 */
uint32_t request_timeout(uint32_t wished_ms);

#endif
