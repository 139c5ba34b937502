/* SPDX-License-Identifier: MIT */
/*
 * allow.h - the list of keys that this rendezvous serves
 *
 * A file with one public key (44 characters of base64) a line; empty lines and
 * what follows '#' are ignored.
 */
#ifndef RENDEZVOUS_ALLOW_H
#define RENDEZVOUS_ALLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/limits.h"

struct allow;

/**
 * allow_load()
 * @path:	file, or "any"
 * @why:	one line for people on failure, with file:line
 * Return: 0 and allow_free() in @out, or -errno
 */
int allow_load(struct allow **out, const char *path, char *why, size_t size);
void allow_free(struct allow *allow);

/** allow_has() - may this key use the rendezvous? */
bool allow_has(const struct allow *allow, const uint8_t key[KEY_SIZE]);

#endif
