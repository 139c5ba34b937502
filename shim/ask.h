/* SPDX-License-Identifier: MIT */
/*
 * ask.h - one question to the resolver
 */
#ifndef PUNCH_SHIM_ASK_H
#define PUNCH_SHIM_ASK_H

#include <stdbool.h>

#include "common/local.h"
#include "shim/config.h"

/* The resolver answers a question of the shim at once; ten times its longest pause, scrypt at start (0.2 s) */
#define ASK_TIMEOUT_MS	5000

enum ask_effort {
	ASK_RUNNING,	/* only a resolver that runs already */
	ASK_START,	/* start one when none runs */
};

/** ask_request() - a fresh request of @kind for this configuration */
void ask_request(struct local_request *request, const struct config *config, enum local_kind kind);

/** ask_knows() - has a resolver answered this process, or its parent, already? No system call */
bool ask_knows(void);

/**
 * ask() - send a request, await the reply
 * @request:	ask_request(); the token is filled in here
 * @pass:	descriptor to pass, or -1
 * @effort:	what to do when nobody answers
 * @reply:	never LOCAL_OTHER_CONFIG; its text ends within it
 * @fd:		descriptor that came with the reply, or -1; the caller owns it
 *
 * Call inside a guard.  Asks the resolver of the user this process had when it
 * asked for the first time (a server that dropped privileges since goes on with the one that
 * published it), then the effective user's.
 * Return: 0, or -errno: -ENOTCONN nobody runs, -ECONNRESET somebody did and hung up, -ETIMEDOUT no answer, -EMFILE.
 * With ASK_START a failure has been told to people already
 */
int ask(struct local_request *request, int pass, enum ask_effort effort, struct local_reply *reply, int *fd);

#endif
