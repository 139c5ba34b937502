/* SPDX-License-Identifier: MIT */
/*
 * ctl_client.h - punchctl's end of common/local.h
 */
#ifndef PUNCH_CTL_CLIENT_H
#define PUNCH_CTL_CLIENT_H

#include <stdbool.h>

#include "common/local.h"

/**
 * ctl_config() - which configuration applies, exactly as the shim decides it
 * PUNCH_SECRET: quick mode with PUNCH_AS and PUNCH_RENDEZVOUS; else conf_node_path().
 * Return: CTL_OK, or CTL_CONFIG after a line on stderr
 */
int ctl_config(struct local_config *config);

/** ctl_request() - an empty request; takes PUNCH_TIMEOUT and PUNCH_ROUTE. @config: copied */
void ctl_request(struct local_request *request, const struct local_config *config, enum local_kind kind);

enum ctl_effort {
	CTL_RUNNING,	/* only a resolver that runs */
	CTL_START,	/* start one when none runs */
};

/**
 * ctl_ask() - send a request, await the reply
 * @pass:	descriptor to pass, or -1
 * @reply:	filled in; never LOCAL_OTHER_CONFIG; its texts end within it
 * @fd:		descriptor that came with it, or -1; owned by the caller.  May be NULL: closed
 * @stream:	receives the connection, on which text packets follow; owned by the caller.  May be NULL
 * Return: CTL_OK (a reply came, see its status); CTL_FAILED or CTL_CONFIG after a line on stderr
 */
int ctl_ask(const struct local_request *request, int pass, enum ctl_effort effort,
	    struct local_reply *reply, int *fd, int *stream);

/**
 * ctl_ask_name() - the same of whoever of our own user listens at an abstract name
 * @name:	"punch/UID/TAG/N"
 * @stream:	as above; -1: nobody of ours is there (any more), and there is no reply
 * Return: CTL_OK, or CTL_FAILED after a line on stderr
 */
int ctl_ask_name(const char *name, const struct local_request *request, struct local_reply *reply, int *stream);

/** ctl_explain() - line on stderr for a reply that is not LOCAL_OK. Return: CTL_FAILED */
int ctl_explain(const struct local_reply *reply);

#endif
