/* SPDX-License-Identifier: MIT */
/*
 * session_cover.c - from a nominated path to what the program gets, alike for both roles
 *
 * The bare socket, or, where the two sides have settled on encryption, what a pump makes of
 * it: the same socket with TLS in the kernel, or one end of a local connection (pump.c).
 * All other sockets of the session are given up before, for the choice is made.
 *
 * A path may die, or lose what is sent again and again, between its proof and the end of the handshake.  No byte of the
 * program has been sent by then, so the caller begins anew: with another invitation and other keys, and with
 * encryption settled by another signed answer.  The callee rings only when the caller's Finished is there, which
 * the caller sends when it has decided for this path; so no service sees a connection that was given up.
 */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "resolver/choice.h"
#include "resolver/session_internal.h"

const char *session_kind_name(enum local_path kind)
{
	return kind == LOCAL_PATH_RELAY ? "relayed" : kind == LOCAL_PATH_LAN ? "LAN" : "direct";
}

static void give(struct session *s, int fd)
{
	if (s->caller)
		caller_covered(s, fd);
	else
		callee_covered(s, fd);
}

/* Silence or a cut, as of a path that died; not a wrong key, nor what this host lacks */
static bool is_broken(int error)
{
	return error == ETIMEDOUT || error == ECONNRESET || error == EHOSTUNREACH;
}

static void on_covered(void *arg, const struct crypt_result *result)
{
	struct session *s = arg;

	s->covering = NULL;
	if (s->caller && is_broken(result->error)) {
		log_info("to %s:%u: %s path, not encrypted: %s", s->peer.name, s->port, session_kind_name(s->kind),
			 result->text);
		if (caller_again(s))
			return;
	}
	if (result->error) {
		session_fail(s, result->error, "%s: a path was found, but it could not be encrypted: %s", s->peer.name,
			     result->text);
		return;
	}
	s->track.cover = result->cover;
	if (result->cover == ENCRYPT_PUMP)
		connections_track_end(result->fd, &s->track);
	session_note(s, "TLS 1.3 %s, %s", result->cover == ENCRYPT_KERNEL ? "in the kernel" : "in a pump",
		     result->text);
	give(s, result->fd);
}

static void tell_bare(const struct session *s)
{
	if (s->port && !encrypt_port_is_private(s->port))
		log_info("%s %s:%u: the payload goes as the program sends it (encrypt = no)", s->caller ? "to" : "from",
			 s->peer.name, s->port);
}

void session_cover(struct session *s, struct path *path)
{
	uint64_t now = clock_now(), left, again;
	int fd;

	if (s->state >= SESSION_COVERING)	/* whoever has seen a nomination may send it once more */
		return;
	s->kind = path_kind(path);
	fd = path_release(path);
	connections_track(fd, &s->track);
	session_learn(s);
	if (!s->encrypted) {
		tell_bare(s);
		give(s, fd);
		return;
	}
	session_set_state(s, SESSION_COVERING);
	session_paths_close(s);
	session_arm(s, s->deadline);
	left = s->deadline > now ? s->deadline - now : 0;
	again = s->caller ? caller_again_left(s, now) : 0;
	s->covering = crypt_start(s->node->crypts, s->caller, s->id, s->secret.traffic, fd,
				  choice_cover(s->caller, again, left, s->rtt), on_covered, s);
	if (!s->covering)
		session_fail(s, ENOBUFS, "%s: a path was found, but no process can be started to encrypt it: %s",
			     s->peer.name, strerror(errno));
}
