/* SPDX-License-Identifier: MIT */
/*
 * path.c - an established socket on its way to being proven and nominated
 *
 * Both ends send their preamble at once and read exactly the far end's 56
 * bytes; the caller then sends a nomination of the same size on the path it chose.
 * Never a byte more is read: what follows belongs to the programs.
 */
#include "resolver/path.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/endpoint.h"
#include "common/log.h"
#include "common/rtt.h"
#include "resolver/choice.h"
#include "resolver/keepalive.h"

/* A far end that is there answers in a round trip after the handshake; a stranger holds a slot no longer than this */
static const struct timeval proving_patience = { .tv_sec = 10, .tv_usec = 0 };

#define HANG_UP_READS 8	/* of a preamble's size: an honest far end has sent no more than two */

struct path {
	struct path_setup setup;
	enum path_state state;
	enum local_path kind;
	bool dialled;
	bool disproved;
	int fd;
	struct event *read;
	struct event *write;
	struct event *report;		/* tells the owner, never from inside its own call */
	struct event *timer;
	uint8_t in[PREAMBLE_SIZE];
	size_t have;
	uint8_t out[2 * PREAMBLE_SIZE];
	size_t out_size, out_sent;
	uint64_t since;			/* made at */
	uint64_t leg;			/* kernel's round trip then */
	uint64_t took;			/* connect() */
	uint64_t rtt;			/* between both ends, known when proven */
};

static const char *const state_names[] = {
	[PATH_PROVING] = "proving",
	[PATH_PROVEN] = "proven",
	[PATH_NOMINATING] = "nominating",
	[PATH_NOMINATED] = "nominated",
	[PATH_DEAD] = "dead",
};
static_assert(sizeof(state_names) / sizeof(*state_names) == PATH_STATE_COUNT, "a name for each state");

#define TO(state) (1u << PATH_##state)
/* The caller nominates, which takes the time to send it; the callee is told */
static const unsigned int allowed[] = {
	[PATH_PROVING] = TO(PROVEN) | TO(DEAD),
	[PATH_PROVEN] = TO(NOMINATING) | TO(NOMINATED) | TO(DEAD),
	[PATH_NOMINATING] = TO(NOMINATED) | TO(DEAD),
	[PATH_NOMINATED] = 0,
	[PATH_DEAD] = 0,
};
static_assert(sizeof(allowed) / sizeof(*allowed) == PATH_STATE_COUNT, "edges of each state");

static void path_set_state(struct path *path, enum path_state state)
{
	assert(allowed[path->state] & (1u << state));
	log_debug("path %d: %s -> %s", path->fd, state_names[path->state], state_names[state]);
	path->state = state;
	if (state == PATH_DEAD || state == PATH_NOMINATED) {
		event_del(path->read);
		event_del(path->write);
		event_del(path->timer);
	}
	if (state != PATH_NOMINATING)
		event_active(path->report, EV_TIMEOUT, 0);
}

enum path_state path_state(const struct path *path)
{
	return path->state;
}

enum local_path path_kind(const struct path *path)
{
	return path->kind;
}

int path_remote(const struct path *path, struct endpoint *remote)
{
	return endpoint_remote(path->fd, remote);
}

bool path_dialled(const struct path *path)
{
	return path->dialled;
}

bool path_disproved(const struct path *path)
{
	return path->disproved;
}

static void on_report(evutil_socket_t fd, short what, void *arg)
{
	struct path *path = arg;

	(void)fd;
	(void)what;
	path->setup.event(path->setup.arg, path);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct path *path = arg;

	(void)fd;
	(void)what;
	if (path->state == PATH_PROVING)
		path_set_state(path, PATH_DEAD);
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
	struct path *path = arg;
	ssize_t n;

	(void)what;
	while (path->out_sent < path->out_size) {
		n = send(fd, path->out + path->out_sent, path->out_size - path->out_sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			event_add(path->write, NULL);
			return;
		}
		if (n < 0) {
			path_set_state(path, PATH_DEAD);
			return;
		}
		path->out_sent += (size_t)n;
	}
	if (path->state == PATH_NOMINATING)
		path_set_state(path, PATH_NOMINATED);
}

/* Exactly once, when the far end's preamble is here */
static void path_measure(struct path *path)
{
	uint64_t proof = clock_now() - path->since, kernel = rtt_us(path->fd);

	path->rtt = path->kind == LOCAL_PATH_RELAY ? path->leg + proof : choice_rtt(kernel, path->took, proof);
	log_debug("path %d: round trip %llu us (kernel %llu, connect %llu, proof %llu)", path->fd,
		  (unsigned long long)path->rtt, (unsigned long long)kernel, (unsigned long long)path->took,
		  (unsigned long long)proof);
}

void path_took(struct path *path, uint64_t us)
{
	path->took = us;
}

uint64_t path_rtt(const struct path *path)
{
	return path->rtt;
}

uint64_t path_leg(const struct path *path)
{
	return path->leg;
}

uint64_t path_since(const struct path *path)
{
	return path->since;
}

static enum preamble_kind hello_of(const struct path *path, bool caller)
{
	return preamble_hello(caller, path->kind == LOCAL_PATH_RELAY);
}

static void path_received(struct path *path)
{
	const struct path_setup *s = &path->setup;

	path->have = 0;
	if (path->state == PATH_PROVING) {
		if (!preamble_check(path->in, hello_of(path, !s->caller), s->session, s->secret)) {
			path->disproved = path->dialled;
			path_set_state(path, PATH_DEAD);
			return;
		}
		/* The caller reads nothing more: the next byte is the program's */
		if (s->caller)
			event_del(path->read);
		path_measure(path);
		path_set_state(path, PATH_PROVEN);
	} else if (preamble_check(path->in, PREAMBLE_NOMINATE, s->session, s->secret)) {
		path_set_state(path, PATH_NOMINATED);
	} else {
		path_set_state(path, PATH_DEAD);
	}
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
	struct path *path = arg;
	ssize_t n;

	(void)what;
	/* One preamble a call: the state, and with it what may be read, changes behind it */
	n = recv(fd, path->in + path->have, PREAMBLE_SIZE - path->have, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		log_debug("path %d: %s", fd, n ? strerror(errno) : "closed by the far end");
		path_set_state(path, PATH_DEAD);
		return;
	}
	path->have += (size_t)n;
	if (path->have == PREAMBLE_SIZE)
		path_received(path);
}

static int path_queue(struct path *path, enum preamble_kind kind)
{
	int err;

	assert(path->out_size + PREAMBLE_SIZE <= sizeof(path->out));
	err = preamble_make(path->out + path->out_size, kind, path->setup.session, path->setup.secret);
	if (err)
		return err;
	path->out_size += PREAMBLE_SIZE;
	event_active(path->write, EV_WRITE, 0);
	return 0;
}

struct path *path_new(const struct path_setup *setup, int fd, enum local_path kind, bool dialled)
{
	struct path *path = calloc(1, sizeof(*path));
	int on = 1;

	if (!path) {
		close(fd);
		return NULL;
	}
	path->setup = *setup;
	path->kind = kind;
	path->dialled = dialled;
	path->fd = fd;
	path->since = clock_now();
	path->leg = rtt_us(fd);
	/* A nomination must not wait for the preamble's acknowledgement (Nagle) */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	path->read = event_new(setup->base, fd, EV_READ | EV_PERSIST, on_read, path);
	path->write = event_new(setup->base, fd, EV_WRITE, on_write, path);
	path->report = event_new(setup->base, -1, 0, on_report, path);
	path->timer = event_new(setup->base, -1, 0, on_timer, path);
	if (!path->read || !path->write || !path->report || !path->timer ||
	    event_add(path->read, NULL) || event_add(path->timer, &proving_patience) ||
	    path_queue(path, hello_of(path, setup->caller))) {
		path_free(path);
		return NULL;
	}
	return path;
}

void path_free(struct path *path)
{
	unsigned int reads = 0;

	if (!path)
		return;
	if (path->read)
		event_free(path->read);
	if (path->write)
		event_free(path->write);
	if (path->report)
		event_free(path->report);
	if (path->timer)
		event_free(path->timer);
	if (path->fd >= 0) {
		while (recv(path->fd, path->in, sizeof(path->in), MSG_DONTWAIT) > 0 && ++reads < HANG_UP_READS)
			;
		close(path->fd);
	}
	free(path);
}

void path_nominate(struct path *path)
{
	assert(path->setup.caller && path->state == PATH_PROVEN);
	path_set_state(path, PATH_NOMINATING);
	if (path_queue(path, PREAMBLE_NOMINATE))
		path_set_state(path, PATH_DEAD);
}

int path_release(struct path *path)
{
	int fd = path->fd, off = 0, flags;

	assert(path->state == PATH_NOMINATED && fd >= 0);
	path->fd = -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &off, sizeof(off));
	setsockopt(fd, IPPROTO_IP, IP_MINTTL, &off, sizeof(off));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &off, sizeof(off));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &off, sizeof(off));
	flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	keepalive_set(fd, path->setup.keepalive);
	return fd;
}
