/* SPDX-License-Identifier: MIT */
/*
 * reply.c - what all kinds of requests have in common
 */
#include <stdarg.h>
#include <stdio.h>

#include "resolver/reply.h"

void reply_fail(struct local_reply *reply, int error, const char *format, ...)
{
	va_list ap;

	reply->status = LOCAL_FAILED;
	reply->error = error;
	va_start(ap, format);
	vsnprintf(reply->text, sizeof(reply->text), format, ap);
	va_end(ap);
}

uint32_t request_timeout(uint32_t wished_ms)
{
	if (!wished_ms)
		return TIMEOUT_DEFAULT_S * 1000;
	return wished_ms < TIMEOUT_MOST_S * 1000 ? wished_ms : TIMEOUT_MOST_S * 1000;
}
