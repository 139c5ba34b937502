/* SPDX-License-Identifier: MIT */
/*
 * punch_any_accept.h - listen() and accept() of the program
 */
#ifndef PUNCH_ANY_ACCEPT_H
#define PUNCH_ANY_ACCEPT_H

#include "shim/punch_any_call.h"

/** accept_listen() - listen(), and the port is published if it is a [service] */
enum call_wait accept_listen(struct call *call);

/** accept_setsockopt() - setsockopt(TCP_DEFER_ACCEPT) */
enum call_wait accept_setsockopt(struct call *call);

/** accept_begin() - accept() or accept4() */
enum call_wait accept_begin(struct call *call);

/** accept_try() - again, when the listener is readable. Return: CALL_ACCEPTING when there is no client */
enum call_wait accept_try(struct call *call);

/**
 * accept_sweep() - let go of clients that were kept for an accept() that nobody made
 * @now:	monotonic microseconds
 * Return: when to look again, NEVER: none is kept
 */
uint64_t accept_sweep(uint64_t now);

#endif
