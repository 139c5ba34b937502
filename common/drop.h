/* SPDX-License-Identifier: MIT */
/*
 * drop.h - the step between "all sockets are open" and "strangers are served"
 */
#ifndef PUNCH_DROP_H
#define PUNCH_DROP_H

/**
 * drop_privileges() - give up what a server no longer needs
 * No new privileges by exec (no_new_privs), no capabilities (a server started by root
 * keeps its uid and so its files, but can neither trace nor mount nor bind low ports), no core
 * dumps (keys are in memory).
 * Return: 0 or -errno
 */
int drop_privileges(void);

#endif
