/* SPDX-License-Identifier: MIT */
/*
 * punch_any_filter.h - which system calls stop and ask
 */
#ifndef PUNCH_ANY_FILTER_H
#define PUNCH_ANY_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>

#define FILTER_MOST	64	/* instructions */

/**
 * filter_build() - pure
 * @serving:	listen() and accept() ask too
 * Return: instructions written
 */
unsigned int filter_build(struct sock_filter program[FILTER_MOST], bool serving);

/**
 * filter_install() - on this thread and whatever it starts, for good
 * Return: the listener, close-on-exec; or -errno: -EBUSY there is one already, -EINVAL, -ENOSYS
 * the kernel has no such thing
 */
int filter_install(bool serving);

#endif
