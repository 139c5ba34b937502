/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - what the relay can still do while strangers talk to it
 */
#ifndef RELAY_SANDBOX_H
#define RELAY_SANDBOX_H

/**
 * relay_sandbox() - sockets that are open or come by accept(), pipes, its log; no other file, no new connection, no
 * program, no other process
 * Return: 0 or -errno, told
 */
int relay_sandbox(void);

#endif
