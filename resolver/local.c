/* SPDX-License-Identifier: MIT */
/*
 * local.c - the server of common/local.h: connections, limits, bytes
 *
 * Theory of operation
 *
 * One connection is one request.  READING: the packet must come within
 * LOCAL_PATIENCE, in one piece, of exactly the right size.  WAITING: request.c
 * works on it; the client's end is watched, for a program that was killed or
 * gave up closes it, and then its session is cancelled.  Replies and text
 * leave at once where the socket takes them; text that it does not take waits
 * in a buffer.  FLUSHING: all said, the rest of the text goes out.  OVER: freed
 * by the next turn of the loop, never inside a call of somebody who holds it.
 *
 *	READING --packet--> WAITING --end--> FLUSHING --sent--> OVER
 *	   |                   |                 |
 *	   +---- silence, wrong size, client gone, no reader -----> OVER
 *
 * Anyone on this host can connect.  A connection of another user goes to a process for him (porter.h) before
 * a byte of it is read; what comes back from there is a request like any other, with a proof in the place of
 * a descriptor where it is no more than a claim.  The number of requests is bounded, for other users more
 * tightly than for our own. When descriptors run out the listener pauses: clients wait in the backlog.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "common/clock.h"
#include "common/log.h"
#include "resolver/life.h"
#include "resolver/local_internal.h"
#include "resolver/porters.h"
#include "resolver/request.h"

#define LOCAL_READER_S		10	/* a reader that takes no text for this long is gone or stopped */
#define LOCAL_PAUSE_MS		100	/* no descriptors left: try again; short against any PUNCH_TIMEOUT */
#define LOCAL_BATCH		64	/* connections taken for one wake-up */
/* descriptors left free: a request brings one along, waking a program and asking the kernel take one each */
#define LOCAL_SPARE		6

static const char *const request_names[] = { "reading", "waiting", "flushing", "over" };
static_assert(sizeof(request_names) / sizeof(request_names[0]) == REQUEST_STATE_COUNT, "each state has a name");

struct local {
	struct node *node;
	int listener;
	struct event *acceptable, *resume;
	TAILQ_HEAD(, request) requests;
	struct porters *porters;
	unsigned int count, foreign, trusted;
};

static void request_set_state(struct request *rq, enum request_state state)
{
	assert(state > rq->state && rq->state != REQUEST_OVER);
	log_debug("request %d: %s -> %s", rq->fd, request_names[rq->state], request_names[state]);
	rq->state = state;
}

/* ------------------------------------------------------------ the end of a request */

static void request_free(struct request *rq)
{
	struct local *local = rq->node->local;

	TAILQ_REMOVE(&local->requests, rq, link);
	local->count--;
	local->foreign -= !rq->own;
	local->trusted -= rq->trusted;
	if (rq->session)
		session_cancel(rq->session);
	if (rq->readable)
		event_free(rq->readable);
	if (rq->writable)
		event_free(rq->writable);
	if (rq->end)
		event_free(rq->end);
	if (rq->timer)
		event_free(rq->timer);
	if (rq->text)
		evbuffer_free(rq->text);
	if (rq->fd >= 0)
		close(rq->fd);
	OPENSSL_cleanse(rq, sizeof(*rq));
	free(rq);
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	request_free(arg);
}

/* Close now.  A request that somebody still holds (detached) is freed by its request_end() */
static void request_over(struct request *rq)
{
	if (rq->state == REQUEST_OVER)
		return;
	request_set_state(rq, REQUEST_OVER);
	event_del(rq->readable);
	event_del(rq->writable);
	if (rq->timer)
		event_del(rq->timer);
	if (rq->session) {
		session_cancel(rq->session);
		rq->session = NULL;
		rq->detached = false;
	}
	close(rq->fd);
	rq->fd = -1;
	if (!rq->detached)
		event_active(rq->end, EV_TIMEOUT, 0);
}

/* ------------------------------------------------------------ bytes out */

/* Return: 0 all sent, -EAGAIN the reader must come first, -errno */
static int text_flush(struct request *rq)
{
	unsigned char packet[LOCAL_PACKET];
	ev_ssize_t size;
	int rc;

	while (rq->text && (size = evbuffer_copyout(rq->text, packet, sizeof(packet))) > 0) {
		rc = local_send(rq->fd, packet, (size_t)size, -1);
		if (rc < 0)
			return rc == -ENOBUFS ? -EAGAIN : rc;
		evbuffer_drain(rq->text, (size_t)size);
	}
	return 0;
}

static void request_flush(struct request *rq)
{
	const struct timeval reader = { .tv_sec = LOCAL_READER_S };
	int rc = text_flush(rq);

	if (rc == -EAGAIN)
		event_add(rq->writable, &reader);
	else if (rc < 0 || rq->state == REQUEST_FLUSHING)
		request_over(rq);
	else
		event_del(rq->writable);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	if (what & EV_TIMEOUT)
		request_over(arg);
	else
		request_flush(arg);
}

int request_reply(struct request *rq, const struct local_reply *reply, int pass)
{
	int rc;

	if (rq->state == REQUEST_OVER)
		return -EPIPE;
	rc = local_send(rq->fd, reply, sizeof(*reply), pass);
	if (rc < 0)
		log_debug("request %d: reply not sent: %s", rq->fd, strerror(-rc));
	return rc;
}

/* Return: false when out of memory: it is over then */
static bool text_add(struct request *rq, const char *text, size_t size)
{
	if (!rq->text)
		rq->text = evbuffer_new();
	if (rq->text && evbuffer_add(rq->text, text, size) == 0)
		return true;
	request_over(rq);
	return false;
}

void request_text(struct request *rq, const char *text)
{
	if (rq->state != REQUEST_OVER && text_add(rq, text, strlen(text)))
		request_flush(rq);
}

void request_printf(struct request *rq, const char *format, ...)
{
	char text[LOCAL_PACKET];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	request_text(rq, text);
}

void request_end(struct request *rq)
{
	rq->detached = false;
	if (rq->state == REQUEST_OVER) {
		event_active(rq->end, EV_TIMEOUT, 0);
		return;
	}
	if (local_has_text(rq->kind) && !text_add(rq, "", 1))	/* its NUL: that was all */
		return;
	request_set_state(rq, REQUEST_FLUSHING);
	request_flush(rq);
}

/* ------------------------------------------------------------ bytes in */

/* Own uid, or our token */
static void judge(struct request *rq, const struct local_request *in)
{
	if (rq->trusted || CRYPTO_memcmp(in->token, rq->node->token, LOCAL_TOKEN) != 0)
		return;
	rq->trusted = true;
	rq->node->local->trusted++;
}

static void request_read(struct request *rq)
{
	static struct log_limit limit;
	struct local_request in;
	int pass = -1;
	ssize_t n;

	n = request_receive(rq, &in, &pass);
	if (n == -EAGAIN)
		return;
	if (!local_is_request(&in, n)) {
		if (n > 0 && log_limited(&limit))
			log_warn("a request of %zd bytes that is none (%zu are due): a program of another version of "
				 "punch?", n, sizeof(in));
		if (pass >= 0)
			close(pass);
		request_over(rq);
		return;
	}
	rq->kind = in.kind;
	rq->as_json = in.as_json;
	judge(rq, &in);
	request_set_state(rq, REQUEST_WAITING);
	event_remove_timer(rq->readable);	/* the work may take as long as it takes */
	if (rq->trusted && rq->kind != LOCAL_STATUS && rq->kind != LOCAL_YIELD)	/* to look is no need */
		life_touch(rq->node);
	request_handle(rq, &in, pass);
	OPENSSL_cleanse(&in, sizeof(in));
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct request *rq = arg;
	int pass = -1;
	char byte;
	ssize_t n;

	if (what & EV_TIMEOUT) {
		request_over(rq);
	} else if (rq->state == REQUEST_READING) {
		request_read(rq);
	} else {
		/* Nothing may follow a request: this is the client's end, or a program out of step */
		n = local_recv(fd, &byte, sizeof(byte), &pass);
		if (pass >= 0)
			close(pass);
		if (n != -EAGAIN)
			request_over(rq);
	}
}

/* ------------------------------------------------------------ connections */

/* Whose connection it is: nobody's where the kernel does not say */
static uid_t user_of(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.uid : (uid_t)-1;
}

static void request_new(struct local *local, int fd, bool own)
{
	const struct timeval patience = { .tv_sec = LOCAL_PATIENCE_S };
	struct event_base *base = local->node->base;
	struct request *rq;

	rq = calloc(1, sizeof(*rq));
	if (!rq) {
		close(fd);
		return;
	}
	rq->node = local->node;
	rq->fd = fd;
	rq->own = rq->trusted = own;
	TAILQ_INSERT_TAIL(&local->requests, rq, link);
	local->count++;
	local->foreign += !own;
	local->trusted += own;
	rq->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, rq);
	rq->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, rq);
	rq->end = event_new(base, -1, 0, on_end, rq);
	/* A porter that was taken over hands in what cannot be waited for */
	if (!rq->readable || !rq->writable || !rq->end || event_add(rq->readable, &patience) < 0)
		request_free(rq);
}

unsigned int local_foreign_limit(unsigned int most)
{
	struct rlimit files;
	rlim_t share = getrlimit(RLIMIT_NOFILE, &files) ? most : files.rlim_cur / LOCAL_SHARE / LOCAL_FOREIGN_SHARE;

	return share < most ? (unsigned int)share : most;
}

void local_handed_in(struct local *local, int fd)
{
	if (local->foreign < local_foreign_limit(LOCAL_FOREIGN) && local->count < LOCAL_REQUESTS)
		request_new(local, fd, false);
	else
		close(fd);
}

static void pause_listener(struct local *local)
{
	const struct timeval pause = { .tv_usec = LOCAL_PAUSE_MS * 1000 };

	event_del(local->acceptable);
	event_add(local->resume, &pause);
}

/*
 * For one more request and for what comes with it: a request that was taken and whose descriptor then
 * finds no place is lost, one that waits in the backlog is not.  Descriptors are handed out lowest
 * first, so the next one's number tells how many are left.
 */
static bool has_room(const struct local *local)
{
	struct rlimit files;
	int next;

	if (local->count >= LOCAL_REQUESTS)
		return false;
	if (getrlimit(RLIMIT_NOFILE, &files))
		return true;
	next = fcntl(local->listener, F_DUPFD_CLOEXEC, 0);
	if (next < 0)
		return false;
	close(next);
	return local->count < files.rlim_cur / LOCAL_SHARE && (rlim_t)next + LOCAL_SPARE < files.rlim_cur;
}

/* Return: false when there is nothing more to take now */
static bool accept_one(struct local *local)
{
	static struct log_limit limit;
	int fd;

	if (!has_room(local)) {
		pause_listener(local);
		return false;
	}
	fd = accept4(local->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		uid_t uid = user_of(fd);

		if (uid == geteuid())
			request_new(local, fd, true);
		else
			porters_take(local->porters, uid, fd);
		return true;
	}
	if (errno == EINTR || errno == ECONNABORTED)
		return true;
	/* EINVAL: local_close() was called, all taken */
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINVAL)
		return false;
	if (log_limited(&limit))
		log_warn("cannot take requests for now: %s", strerror(errno));
	pause_listener(local);
	return false;
}

void local_take(struct local *local)
{
	unsigned int i;

	for (i = 0; local->listener >= 0 && i < LOCAL_BATCH && accept_one(local); i++)
		;
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct local *local = arg;

	(void)fd;
	(void)what;
	if (!life_config_changed(local->node))	/* else the next process takes it, with the new configuration */
		local_take(local);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct local *local = arg;

	(void)fd;
	(void)what;
	if (local->listener >= 0 && event_add(local->acceptable, NULL) < 0)
		pause_listener(local);
}

struct local *local_new(struct node *node, int listener)
{
	struct local *local = calloc(1, sizeof(*local));

	if (!local) {
		close(listener);
		return NULL;
	}
	local->node = node;
	local->listener = listener;
	TAILQ_INIT(&local->requests);
	local->acceptable = event_new(node->base, listener, EV_READ | EV_PERSIST, on_acceptable, local);
	local->resume = event_new(node->base, -1, 0, on_resume, local);
	local->porters = porters_new(node);
	if (!local->acceptable || !local->resume || !local->porters || event_add(local->acceptable, NULL) < 0) {
		local_free(local);
		return NULL;
	}
	return local;
}

void local_free(struct local *local)
{
	struct request *rq;

	if (!local)
		return;
	while ((rq = TAILQ_FIRST(&local->requests)))
		request_free(rq);
	porters_free(local->porters);
	if (local->acceptable)
		event_free(local->acceptable);
	if (local->resume)
		event_free(local->resume);
	if (local->listener >= 0)
		close(local->listener);
	free(local);
}

unsigned int local_count(const struct local *local)
{
	return local ? local->count : 0;
}

unsigned int local_trusted(const struct local *local)
{
	return local ? local->trusted : 0;
}

int local_listener(const struct local *local)
{
	return local->listener;
}

void local_stopped(struct local *local)
{
	struct request *rq;

	TAILQ_FOREACH(rq, &local->requests, link) {
		if ((rq->kind == LOCAL_STOP || rq->kind == LOCAL_YIELD) && rq->state == REQUEST_WAITING)
			request_stopped(rq);
	}
}

void local_close(struct local *local)
{
	if (local->listener < 0)
		return;
	/* Refuses new ones at once, in all processes that have the socket; what is queued can still be accepted */
	shutdown(local->listener, SHUT_RDWR);
	while (accept_one(local))
		;
	event_del(local->acceptable);
	event_del(local->resume);
	close(local->listener);
	local->listener = -1;
}
