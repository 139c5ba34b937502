/* SPDX-License-Identifier: MIT */
/*
 * drop.h - before a process of root becomes another user's
 */
#ifndef PUNCH_SHIM_DROP_H
#define PUNCH_SHIM_DROP_H

#include <sys/types.h>

/**
 * drop_to() - the program is about to run as @uid; (uid_t)-1: as it does now
 * Keeps errno. Costs nothing where there is no configuration, and in a process whose resolver is known
 */
void drop_to(uid_t uid);

#endif
