/* SPDX-License-Identifier: MIT */
/*
 * session.h - INTERFACE - one attempt of two nodes to get one connected socket
 */
#ifndef PUNCH_SESSION_H
#define PUNCH_SESSION_H

#include "resolver/connections.h"
#include "resolver/peers.h"
#include "resolver/uplink.h"

struct session;

/**
 * struct session_result
 * @error:	0, or the errno for the program
 * @fd:		connected, proven socket (blocking mode as a fresh socket: O_NONBLOCK clear);
 *		owned by the receiver; -1 on error
 * @track:	of the path that it stands for
 * @text:	one line for people on error
 */
struct session_result {
	int error;
	int fd;
	enum local_path path;
	struct track track;
	uint32_t setup_us;
	char text[LOCAL_TEXT];
};

typedef void session_done(void *arg, const struct session_result *result);

/** session_step - something happened, for punchctl ping: @us since the start, one short line */
typedef void session_step(void *arg, uint64_t us, const char *what);

/**
 * session_dial() - reach a peer's port
 * @family:	AF_INET or AF_INET6, of the program's socket
 * @timeout_ms:	at most TIMEOUT_MOST_S
 * @route:	Punch__Route wanted by the program's environment, 0 none
 * @done:	called exactly once, never from inside session_dial(); not after session_cancel()
 * @step:	may be NULL
 * Return: NULL when out of memory or too many sessions (errno EAGAIN). Tell a program ENOBUFS: event
 * loops take EAGAIN from connect() or SO_ERROR for "in progress" (seen with asyncio)
 */
struct session *session_dial(struct node *node, const struct peer *peer, uint16_t port, int family,
			     uint32_t timeout_ms, uint32_t route,
			     session_done *done, session_step *step, void *arg);

/** session_cancel() - the program went away */
void session_cancel(struct session *session);

/** sessions_new(), sessions_free() - the node's table */
struct sessions *sessions_new(struct node *node);
void sessions_free(struct sessions *sessions);

/** sessions_budget() - of SYNs, also for what is sent before any session */
struct budget *sessions_budget(struct sessions *sessions);

/** sessions_count() - those that there are, of both roles */
unsigned int sessions_count(const struct sessions *sessions);

/** session_on_uplink() - an uplink became READY, REFUSED, or was lost */
void session_on_uplink(struct node *node, struct uplink *uplink);

/** session_on_message() - Invited, Answered, Go, Failed */
void session_on_message(struct node *node, struct uplink *uplink, const Punch__Message *message);

#endif
