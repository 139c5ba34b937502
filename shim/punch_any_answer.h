/* SPDX-License-Identifier: MIT */
/*
 * punch_any_answer.h - what all answers to the program have in common
 */
#ifndef PUNCH_ANY_ANSWER_H
#define PUNCH_ANY_ANSWER_H

#include <stdbool.h>
#include <sys/socket.h>

#include "shim/punch_any_call.h"

/** answer_take_socket() - a copy of the socket that the call is about, its first argument. Return: 0 or -errno */
int answer_take_socket(struct call *call);

/** answer_let_go() - close it; before the program goes on */
void answer_let_go(struct call *call);

/** answer_finish() - the call returns @result: 0 or more, or -errno. Return: CALL_ANSWERED */
enum call_wait answer_finish(struct call *call, int result);

/**
 * answer_lost() - the result that this thread's connect() of this socket should have had, when a signal ended it
 * With SA_RESTART the kernel makes the call again, and what it has done is done: another connect() would say EALREADY.
 * After any other call on the socket it is forgotten.  Return: false when there is none; @result is out, once
 */
bool answer_lost(const struct call *call, int *result);

/** answer_leave() - the kernel makes the call. Return: CALL_ANSWERED */
enum call_wait answer_leave(struct call *call);

/**
 * answer_write_address() - into the program's buffer, cut off as the kernel does
 * @full:	bytes of @ss
 * @address:	where the program wants it; 0: nowhere
 * @length:	where the program has the size of its buffer, and gets @full
 * Return: 0 or -errno
 */
int answer_write_address(const struct call *call, const struct sockaddr_storage *ss, socklen_t full, uint64_t address,
			 uint64_t length);

/** answer_borrow_stderr() - until answer_return_stderr() our messages go where the program's do */
void answer_borrow_stderr(struct call *call);

/** answer_return_stderr() - our descriptor 2 is /dev/null again, if it was borrowed */
void answer_return_stderr(void);

/** answer_tell_once() - a message, once for the whole tree of programs. @text: a constant */
void answer_tell_once(const char *text);

#endif
