/* SPDX-License-Identifier: MIT */
/*
 * punch_any_call.h - what the program's calls come to
 */
#ifndef PUNCH_ANY_CALL_H
#define PUNCH_ANY_CALL_H

#include "shim/punch_any_task.h"

enum call_wait {
	CALL_ANSWERED,		/* the program goes on, or is gone */
	CALL_CONNECTING,	/* a connect() that blocks: until the socket is writable */
	CALL_ACCEPTING,		/* an accept() that blocks: until the listener is readable */
};

/**
 * struct call - a system call under way
 * @task:	whose
 * @socket:	copy of the socket that it is about, or -1
 * @cookie:	of the last one that @socket was, 0: it never was one
 * @first:	CALL_CONNECTING: the socket's first connect()
 * @again:	CALL_CONNECTING: the second try
 */
struct call {
	struct task task;
	int socket;
	uint64_t cookie;
	bool first;
	bool again;
};

/** call_begin() - answer it, or say what to wait for; then @call->socket is kept */
enum call_wait call_begin(struct call *call);

/** call_ready() - its socket is writable, or readable. Return: CALL_ACCEPTING when somebody else was faster */
enum call_wait call_ready(struct call *call, enum call_wait wait);

/** call_expire() - the program's SO_SNDTIMEO or SO_RCVTIMEO is over */
void call_expire(struct call *call, enum call_wait wait);

/** call_replaced() - its number means another socket by now, or none */
void call_replaced(struct call *call, enum call_wait wait);

/** call_limit() - microseconds that the program lets it block, 0: for ever */
uint64_t call_limit(const struct call *call, enum call_wait wait);

/** call_end() - close what it holds */
void call_end(struct call *call);

/** call_current() - the call that is being worked on, for swap_socket(); NULL when none is */
struct call *call_current(void);

#endif
