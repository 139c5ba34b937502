/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - what each process of the resolver can still do while strangers and gateways talk to it
 *
 * One function a process. Where the kernel lacks something, or a container refuses it, the process goes on with what it
 * got, and says so in its log: connections matter more.
 */
#ifndef PUNCH_RESOLVER_SANDBOX_H
#define PUNCH_RESOLVER_SANDBOX_H

/**
 * sandbox_resolver() - for the process that listens for programs and punches, its keeper, and all that they start
 * No debugging of others, no namespaces, mounts, modules, programs for the kernel, other users' rights; no
 * memory that is written and then run. Files, sockets and its own program stay: Landlock would also take
 * away looking at the sockets of one's own programs (pidfd_getfd(2)): tests/platform/test_landlock_getfd.c.
 */
void sandbox_resolver(void);

/**
 * sandbox_pump() - for a process that encrypts (pump.c)
 * What is left: sockets that it has or is given, memory, randomness, its end. No file, no new socket, no
 * process, no code. Messages go to the log as it is now (log_keep()).
 */
void sandbox_pump(void);

/**
 * sandbox_mapper() - for the process that asks the gateway (mapper.c)
 * As a pump, and sockets of IPv4 and IPv6. No TCP port is bound.
 */
void sandbox_mapper(void);

/**
 * sandbox_porter() - for the process that receives what other users pass (porter.c)
 * As a pump, and pairs of sockets.
 */
void sandbox_porter(void);

#endif
