/* SPDX-License-Identifier: MIT */
/*
 * local_side.h - the resolver's local side in a process of its own, and a client of it
 *
 * Everything below resolver/request.c is the real thing: local socket, services, doorbells,
 * parked sockets, splices, saved state.  In the place of the network stands a session that ends on this host:
 * dialling a peer's port comes back in as a call of that peer to our own service on the port, or,
 * where none is published, connects to 127.0.0.1.  By the peer's name:
 *
 *	bob		there after 10 ms
 *	slow		there after 300 ms
 *	refuser		ECONNREFUSED after 10 ms
 *	never		until it is cancelled
 *	carol		as bob, but no [service] allows her
 *
 * Session counts are shown as the "problem" of the rendezvous in status:
 * "started=N cancelled=N hellos=N".
 */
#ifndef PUNCH_TESTS_LOCAL_SIDE_H
#define PUNCH_TESTS_LOCAL_SIDE_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/local.h"

#define SIDE_SERVICE	8080	/* [service web], allow = bob slow */
#define SIDE_OPEN	8081	/* [service open], for all */
#define SIDE_PRIVATE	8082	/* no [service] */

/**
 * side_start() - configuration, key and state in @folder; returns when requests are taken
 * @folder:	as of scratch_setup()
 */
void side_start(const char *folder);

/** side_here() - the same in this very process; the caller runs the loop. Return: its base */
struct event_base *side_here(const char *folder);

/** side_again() - SIGKILL, and the next one on the same folder */
void side_again(void);
void side_kill(void);
pid_t side_pid(void);

/** side_config() - what requests name */
const struct local_config *side_config(void);

/** side_connect() - a fresh connection to it, with a limit of time */
int side_connect(void);

/** side_request() - filled in but for what belongs to the kind */
void side_request(struct local_request *request, enum local_kind kind);

/** side_ask() - one exchange. @fd: descriptor that came, or -1; may be NULL when none is expected */
void side_ask(const struct local_request *request, int pass, struct local_reply *reply, int *fd);

/** side_simple() - a request that needs nothing but kind, peer and descriptor. Return: status */
enum local_status side_simple(enum local_kind kind, const char *peer, int pass, struct local_reply *reply, int *fd);

/** side_publish() - LOCAL_LISTEN. @fd: the listener, stays the caller's; @port: 0 the one it has. Return: status */
enum local_status side_publish(int fd, uint16_t port, struct local_reply *reply);

/** side_call() - a peer calls a port of ours. Return: errno of the call, 0 when it was let in */
int side_call(const char *peer, uint16_t port);

/** side_status() - LOCAL_STATUS as JSON, malloc()ed */
char *side_status(void);

/** side_status_has() - does status contain @text within some seconds? */
bool side_status_has(const char *text);

/** side_status_lacks() - the same for its absence */
bool side_status_lacks(const char *text);

/** side_listen() - listening TCP socket; @address "::" is dual-stack. Return: descriptor */
int side_listen(const char *address, uint16_t port);

/** side_poll() - wait, but not for ever. Return: poll()'s revents, 0 when time is over */
short side_poll(int fd, short events, int timeout_ms);

#endif
