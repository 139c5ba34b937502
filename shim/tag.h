/* SPDX-License-Identifier: MIT */
/*
 * tag.h - a peer's slot, written on the kernel socket itself
 */
#ifndef PUNCH_SHIM_TAG_H
#define PUNCH_SHIM_TAG_H

#include <stdint.h>

/** tag_put() - write @slot on @fd, unless the program or the system use what it is written in */
void tag_put(int fd, uint32_t slot);

/** tag_remove() - @fd is disconnected */
void tag_remove(int fd);

/** tag_get() - one system call. Return: slot, 0 when @fd carries none */
uint32_t tag_get(int fd);

#endif
