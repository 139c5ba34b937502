/* SPDX-License-Identifier: MIT */
/*
 * keepalive.h - keep NATs from forgetting a connection that its program leaves idle
 */
#ifndef PUNCH_KEEPALIVE_H
#define PUNCH_KEEPALIVE_H

#include <stdint.h>

#include "conf/conf.h"

/**
 * keepalive_idle() - after how many seconds of silence a probe is to go out
 * @setting:	[node] keepalive
 * @lifetime:	seconds that an idle mapping was seen to live, 0 not known
 * Return: 0 for never
 */
unsigned int keepalive_idle(unsigned int setting, uint32_t lifetime);

/** keepalive_set() - let the kernel probe @fd, which is connected, after @idle seconds of silence; 0: leave it alone */
void keepalive_set(int fd, unsigned int idle);

#endif
