/* SPDX-License-Identifier: MIT */
/*
 * path.h - an established socket on its way to being proven and nominated
 */
#ifndef PUNCH_PATH_H
#define PUNCH_PATH_H

#include <stdbool.h>
#include <event2/event.h>

#include "common/endpoint.h"
#include "common/local.h"
#include "common/preamble.h"

enum path_state {
	PATH_PROVING,		/* our preamble goes out, the far end's comes in */
	PATH_PROVEN,		/* the far end's preamble was good */
	PATH_NOMINATING,	/* caller: the nomination goes out */
	PATH_NOMINATED,		/* both ends have settled on it; the socket is bare from here on */
	PATH_DEAD,		/* closed, reset, or a bad preamble */
	PATH_STATE_COUNT
};

struct path;

/**
 * path_event - the path's state changed to PROVEN, NOMINATED or DEAD
 * Never called from inside path_new() or path_nominate().  The path may be freed in it.
 */
typedef void path_event(void *arg, struct path *path);

/**
 * struct path_setup - what a path needs to know
 * @caller:	our role
 * @session, @secret:	kept by reference, must outlive the path
 * @keepalive:	seconds of silence before the kernel probes the released socket, 0 never
 */
struct path_setup {
	struct event_base *base;
	bool caller;
	const uint8_t *session;
	const struct secret *secret;
	unsigned int keepalive;
	path_event *event;
	void *arg;
};

/**
 * path_new() - start proving
 * @fd:		established non-blocking socket; owned by the path from here on, in any case
 * @kind:	what it is, for the choice and for status
 * @dialled:	we connected (a bad preamble then speaks against the far end; on an accepted one it may be a stranger's)
 * Return: NULL when out of memory (@fd is closed)
 */
struct path *path_new(const struct path_setup *setup, int fd, enum local_path kind, bool dialled);

/**
 * path_free() - give the path up
 * What came is read first: a close with unread bytes sends RST, after which NATs refuse the
 * four-tuple for 10 s (measured); so the far end sees FIN.
 */
void path_free(struct path *path);

enum path_state path_state(const struct path *path);
enum local_path path_kind(const struct path *path);

/** path_remote() - address of the far end (of a relayed path: the relay's). Return: 0 or -errno */
int path_remote(const struct path *path, struct endpoint *remote);

/**
 * path_took() - for the round-trip time of a direct path: connect() took @us, and both sides' SYNs may have crossed
 * Where it is not said, the kernel's own measurement is exact.
 */
void path_took(struct path *path, uint64_t us);

/**
 * path_rtt() - round trip between both ends, us, of a PROVEN path; 0 when not known. Of a relayed path by both its legs
 */
uint64_t path_rtt(const struct path *path);

/** path_leg() - of the connection itself (relayed: to the relay), us, as measured when the path was made */
uint64_t path_leg(const struct path *path);

/** path_since() - clock_now() when the path was made */
uint64_t path_since(const struct path *path);

/** path_dialled() - as path_new() was told */
bool path_dialled(const struct path *path);

/** path_disproved() - a dialled path whose far end sent a wrong preamble */
bool path_disproved(const struct path *path);

/** path_nominate() - caller, on a PROVEN path. Event NOMINATED or DEAD follows */
void path_nominate(struct path *path);

/**
 * path_release() - take the bare socket out of a NOMINATED path, its options as on a fresh one (O_NONBLOCK clear)
 * but for keepalive. Return: fd, owned by the caller
 */
int path_release(struct path *path);

#endif
