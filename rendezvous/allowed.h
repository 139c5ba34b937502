/* SPDX-License-Identifier: MIT */
/*
 * allowed.h - whom the server serves now, and how that changes
 */
#ifndef RENDEZVOUS_ALLOWED_H
#define RENDEZVOUS_ALLOWED_H

#include <stdbool.h>
#include <stdint.h>
#include <event2/event.h>

#include "common/limits.h"

/**
 * allowed_open() - read the list for the first time
 * @path:	as of allow_load(); kept by reference
 * @changed:	another list is in force
 * Return: 0 or -errno, told
 */
int allowed_open(struct event_base *base, const char *path, void (*changed)(void));
void allowed_close(void);

/** allowed_has() - does it hold this key? */
bool allowed_has(const uint8_t key[KEY_SIZE]);

/**
 * allowed_reload() - read it again; what cannot be read now is tried again each second, and
 * until then the old list stays
 */
void allowed_reload(void);

/** allowed_check() - can it be read with what privileges are left? Return: 0 or -errno, told */
int allowed_check(void);

#endif
