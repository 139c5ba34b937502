/* SPDX-License-Identifier: MIT */
/*
 * pump.c - a process that encrypts connections for programs that do not
 *
 * Theory of operation
 *
 *	program --local socket--> pump ==TLS 1.3 on the path==> the other side's pump, or its kernel
 *
 * Each job is a path's socket, proven and nominated, and the session's key.  The
 * handshake (seal.c) is made on it.  Where the kernel can go on from there it gets the keys and the
 * program the socket itself; the pump has no part in it any more.  Otherwise the program gets one end of a
 * local TCP connection that the resolver makes (pair.c), and the bytes are moved here (pump_flow.c).
 *
 *	SHAKING --done, kernel--> (given away)
 *	   | `--done--> WAITING --the local end comes--> FLOWING --both directions ended, or broken--> (freed)
 *	   |              `--PUMP_JOIN over, resolver gone--> (freed)
 *	   `--the job's patience over, wrong key, resolver gone--> (freed)
 *
 * Nothing in here needs the resolver once a connection flows.  It stays one
 * process for many connections; several of them share the processors, and a crash
 * ends the connections of one (they are reset, see pump_flow.c).
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "common/local.h"
#include "common/log.h"
#include "resolver/encrypt.h"
#include "resolver/ktls.h"
#include "resolver/process.h"
#include "resolver/sandbox.h"
#include "resolver/pump_internal.h"
#include "resolver/timer.h"
#include "resolver/watch.h"

#define PUMP_BATCH	16		/* jobs taken for one wake-up */
/* bytes kept: OpenSSL's buffers come and go with each chunk, and fresh pages cost more than ciphers */
#define PUMP_HEAP	(4 << 20)

enum pumped_state {
	PUMPED_SHAKING,	/* the handshake is under way */
	PUMPED_WAITING,	/* for the local end */
	PUMPED_FLOWING,	/* the program has its end */
	PUMPED_STATE_COUNT
};

static const char *const state_names[] = { "shaking", "waiting", "flowing" };
static_assert(sizeof(state_names) / sizeof(state_names[0]) == PUMPED_STATE_COUNT, "each state has a name");

/**
 * struct pumped - one connection that is encrypted here
 * @flow:	local is -1 until it is flowing
 * @events:	reads and writes of local and of wire
 * @pause:	that the timer was set for, FLOWING
 */
struct pumped {
	TAILQ_ENTRY(pumped) link;
	struct pump *pump;
	uint64_t id;
	enum pumped_state state;
	struct sealed_flow flow;
	unsigned int kernel;
	struct event *local, *wire, *timer;
	uint64_t pause;
};

struct pump {
	struct event_base *base;
	int link;			/* -1: the resolver is gone */
	struct event *jobs;
	TAILQ_HEAD(, pumped) connections;
	unsigned int count;
};

/* ------------------------------------------------------------ to the resolver */

/* Return: 0 or -errno: then the resolver is gone, or stands still with hundreds of notes unread */
static int tell(const struct pump *pump, struct pump_note *note, const char *text, int pass)
{
	if (pump->link < 0)
		return -EPIPE;
	note->magic = PUMP_MAGIC;
	note->connections = pump->count;
	snprintf(note->text, sizeof(note->text), "%s", text);
	return local_send(pump->link, note, sizeof(*note), pass);
}

/* Of what never became a connection */
static void tell_failed(const struct pump *pump, uint64_t id, int error, const char *text)
{
	struct pump_note note = { .what = PUMP_FAILED, .id = id, .error = error, .cover = ENCRYPT_BARE };

	tell(pump, &note, text, -1);
}

/* ------------------------------------------------------------ connections */

/* @last: what the resolver is told, with the number of those that are left; @pass comes with it, -1 none */
static void pumped_end(struct pumped *c, struct pump_note *last, const char *text, int pass)
{
	struct pump *pump = c->pump;

	TAILQ_REMOVE(&pump->connections, c, link);
	pump->count--;
	last->id = c->id;
	tell(pump, last, text, pass);
	if (c->local)
		event_free(c->local);
	if (c->wire)
		event_free(c->wire);
	if (c->timer)
		event_free(c->timer);
	if (c->state == PUMPED_FLOWING) {
		sealed_flow_stop(&c->flow);
	} else {
		seal_free(c->flow.seal);
		if (c->flow.wire >= 0)
			close(c->flow.wire);
	}
	free(c);
	if (pump->link < 0 && !pump->count)
		event_base_loopexit(pump->base, NULL);
}

static void pumped_free(struct pumped *c)
{
	struct pump_note ended = { .what = PUMP_ENDED, .cover = ENCRYPT_PUMP };

	pumped_end(c, &ended, "", -1);
}

static void fail(struct pumped *c, int error, const char *text)
{
	struct pump_note failed = { .what = PUMP_FAILED, .error = error, .cover = ENCRYPT_BARE };

	log_info("pump: connection %llu: %s", (unsigned long long)c->id, text);
	pumped_end(c, &failed, text, -1);
}

/* Ask libevent for what is wanted now */
static int watch(struct event *event, short wanted, event_callback_fn callback, struct pumped *c, int fd)
{
	if (event_get_callback(event) != callback) {
		event_del(event);
		if (event_assign(event, c->pump->base, fd, EV_READ, callback, c) < 0)
			return -ENOMEM;
	}
	return watch_set(event, wanted);
}

static void on_flow(evutil_socket_t fd, short what, void *arg)
{
	struct pumped *c = arg;
	int rc = sealed_flow_run(&c->flow, what & EV_TIMEOUT);
	uint64_t pause = sealed_flow_pause(&c->flow);

	(void)fd;
	if (rc == 0 && (watch(c->local, sealed_flow_wants_local(&c->flow), on_flow, c, c->flow.local) < 0 ||
			watch(c->wire, sealed_flow_wants_wire(&c->flow), on_flow, c, c->flow.wire) < 0))
		rc = -ENOMEM;
	/* One that is set stays so, however often the sockets have something to say, and comes in vain at worst */
	if (rc == 0 && pause != NEVER && (pause < c->pause || !evtimer_pending(c->timer, NULL))) {
		timer_set(c->timer, pause);
		c->pause = pause;
	}
	if (rc == 0)
		return;
	if (rc < 0)
		log_info("pump: connection %llu: %s", (unsigned long long)c->id, strerror(-rc));
	pumped_free(c);
}

/* ------------------------------------------------------------ after the handshake */

static void set_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

/* The keys go into the socket, the socket to the program. Return: 0 or -errno */
static int into_kernel(struct pumped *c)
{
	struct pump_note ready = { .what = PUMP_READY, .cover = ENCRYPT_KERNEL };
	struct seal_keys keys;
	int rc = seal_take_keys(c->flow.seal, &keys), off = 0;

	if (rc == 0)
		rc = ktls_install(c->flow.wire, &keys);
	OPENSSL_cleanse(&keys, sizeof(keys));
	if (rc < 0)
		return rc;
	setsockopt(c->flow.wire, IPPROTO_TCP, TCP_NODELAY, &off, sizeof(off));
	set_blocking(c->flow.wire);
	pumped_end(c, &ready, seal_cipher(c->flow.seal), c->flow.wire);
	return 0;
}

static int wire_family(int fd)
{
	int family = AF_INET;
	socklen_t size = sizeof(family);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
	return family;
}

static void pumped_set_state(struct pumped *c, enum pumped_state state)
{
	assert(state == c->state + 1);
	log_debug("pump: connection %llu: %s -> %s, %s, %s", (unsigned long long)c->id, state_names[c->state],
		  state_names[state], seal_cipher(c->flow.seal),
		  seal_user(c->flow.seal) ? "both ends in user space" : "the far end in its kernel");
	c->state = state;
}

/* Meanwhile what comes stays in the wire's socket. Return: 0 or -errno */
static int into_wait(struct pumped *c)
{
	struct pump_note ready = {
		.what = PUMP_READY, .id = c->id, .cover = ENCRYPT_PUMP, .family = (uint32_t)wire_family(c->flow.wire),
	};
	const struct linger reset = { .l_onoff = 1 };

	/* The far program may have its end already: if ours comes to nothing, it is no end of the data */
	setsockopt(c->flow.wire, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	event_del(c->wire);
	timer_set(c->timer, PUMP_JOIN);
	pumped_set_state(c, PUMPED_WAITING);
	return tell(c->pump, &ready, seal_cipher(c->flow.seal), -1);
}

/* Takes @fd along */
static void into_flow(struct pumped *c, int fd)
{
	c->flow.local = fd;
	c->local = event_new(c->pump->base, fd, 0, on_flow, c);
	if (!c->local) {
		close(fd);
		fail(c, ENOMEM, "out of memory");
		return;
	}
	event_del(c->timer);		/* from now on it is for sealed_flow_pause() */
	pumped_set_state(c, PUMPED_FLOWING);
	if (sealed_flow_start(&c->flow) < 0)
		fail(c, ENOMEM, "out of memory");
	else
		on_flow(-1, 0, c);
}

static void on_shake(evutil_socket_t fd, short what, void *arg)
{
	struct pumped *c = arg;
	bool wants_write = false;
	int rc = what & EV_TIMEOUT ? -ETIMEDOUT : seal_shake(c->flow.seal, &wants_write);

	if (rc == -EAGAIN) {
		if (watch(c->wire, wants_write ? EV_WRITE : EV_READ, on_shake, c, fd) < 0)
			fail(c, ENOMEM, "out of memory");
	} else if (rc == -EKEYREJECTED) {
		fail(c, EACCES, "the far end has another key, or somebody changed what it said");
	} else if (rc < 0) {
		fail(c, -rc, rc == -ETIMEDOUT ? "the far end does not answer" : "the far end went away");
	} else {
		rc = c->kernel ? into_kernel(c) : into_wait(c);
		if (rc == -ENOPROTOOPT)
			rc = into_wait(c);
		if (rc < 0)
			fail(c, -rc, strerror(-rc));
	}
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	struct pumped *c = arg;

	(void)fd;
	if (c->state == PUMPED_FLOWING)
		on_flow(-1, what, c);
	else if (c->state == PUMPED_SHAKING)
		on_shake(-1, what, c);
	else
		fail(c, ETIMEDOUT, "punch-resolver does not answer");
}

static void pumped_new(struct pump *pump, const struct pump_job *job, int fd)
{
	const int on = 1;
	struct pumped *c = calloc(1, sizeof(*c));
	struct seal_setup setup = {
		.caller = job->caller != 0, .session = job->session, .key = job->key, .fd = fd, .kernel = ktls_offer(),
	};

	if (!c || pump->count >= PUMP_MOST) {
		tell_failed(pump, job->id, c ? ENOBUFS : ENOMEM, "too many encrypted connections");
		close(fd);
		free(c);
		return;
	}
	evutil_make_socket_nonblocking(fd);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->pump = pump;
	c->id = job->id;
	c->kernel = setup.kernel;
	c->flow.wire = fd;
	c->flow.local = -1;
	TAILQ_INSERT_TAIL(&pump->connections, c, link);
	pump->count++;
	c->timer = event_new(pump->base, -1, 0, on_time, c);
	c->wire = event_new(pump->base, fd, EV_READ, on_shake, c);
	c->flow.seal = seal_new(&setup);
	if (!c->timer || !c->wire || !c->flow.seal || timer_set(c->timer, job->patience) < 0)
		fail(c, ENOMEM, "out of memory");
	else
		on_shake(fd, 0, c);
}

/* ------------------------------------------------------------ from the resolver */

static void resolver_gone(struct pump *pump)
{
	struct pumped *c, *next;

	log_debug("pump: the resolver is gone, %u connections go on", pump->count);
	event_free(pump->jobs);
	pump->jobs = NULL;
	close(pump->link);
	pump->link = -1;
	for (c = TAILQ_FIRST(&pump->connections); c; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->state != PUMPED_FLOWING)
			pumped_free(c);
	}
	if (!pump->count)
		event_base_loopexit(pump->base, NULL);
}

static struct pumped *find_waiting(const struct pump *pump, uint64_t id)
{
	struct pumped *c;

	TAILQ_FOREACH(c, &pump->connections, link) {
		if (c->id == id && c->state == PUMPED_WAITING)
			return c;
	}
	return NULL;
}

/* Takes @fd along; -1: none could be made, or nobody wants it any more */
static void local_end(struct pump *pump, uint64_t id, int fd)
{
	struct pumped *c = find_waiting(pump, id);

	if (c && fd >= 0)
		into_flow(c, fd);
	else if (fd >= 0)
		close(fd);
	else if (c)
		fail(c, ECONNABORTED, "there is no local end for it");
}

static void on_job(evutil_socket_t fd, short what, void *arg)
{
	struct pump *pump = arg;
	struct pump_job job = { 0 };
	unsigned int i;
	ssize_t n;
	int pass;

	(void)what;
	for (i = 0; i < PUMP_BATCH; i++) {
		n = local_recv(fd, &job, sizeof(job), &pass);
		if (n == -EAGAIN)
			return;
		if ((n != sizeof(job) && n != -EMFILE) || job.magic != PUMP_MAGIC) {
			if (pass >= 0)
				close(pass);
			resolver_gone(pump);
			return;
		}
		if (job.order == PUMP_LOCAL)
			local_end(pump, job.id, pass);
		else if (pass < 0)
			tell_failed(pump, job.id, EMFILE, "out of descriptors");
		else
			pumped_new(pump, &job, pass);
		OPENSSL_cleanse(&job, sizeof(job));
	}
}

int pump_run(int link)
{
	struct pump pump = { .base = event_base_new(), .link = link };
	int status = EX_OSERR;

	process_title("punch-pump", "punch-pump");
	mallopt(M_MMAP_THRESHOLD, PUMP_HEAP);
	mallopt(M_TRIM_THRESHOLD, PUMP_HEAP);
	setsid();			/* a terminal's ^C is for the resolver, not for connections */
	TAILQ_INIT(&pump.connections);
	evutil_make_socket_nonblocking(link);
	evutil_make_socket_closeonexec(link);
	if (pump.base)
		pump.jobs = event_new(pump.base, link, EV_READ | EV_PERSIST, on_job, &pump);
	ktls_offer();			/* tries it out, with sockets of its own */
	seal_prepare();
	sandbox_pump();
	if (pump.jobs && event_add(pump.jobs, NULL) == 0)
		status = event_base_dispatch(pump.base) < 0 ? EX_SOFTWARE : 0;
	if (pump.jobs)
		event_free(pump.jobs);
	if (pump.base)
		event_base_free(pump.base);
	return status;
}
