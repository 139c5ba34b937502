/* SPDX-License-Identifier: MIT */
/*
 * drop.h - the steps between "all sockets are open" and "strangers are served"
 */
#ifndef PUNCH_DROP_H
#define PUNCH_DROP_H

/**
 * drop_dumps() - before keys are in memory: no core dumps, and no other process of this user reads it
 * Is undone by exec, but for the limit of core dumps.
 * Return: 0 or -errno
 */
int drop_dumps(void);

/**
 * drop_privileges() - give up what a server no longer needs
 * No new privileges by exec (no_new_privs), no capabilities (a server started by root
 * keeps its uid and so its files, but can neither trace nor mount nor bind low ports).
 * Return: 0 or -errno
 */
int drop_privileges(void);

#endif
