/* SPDX-License-Identifier: MIT */
/*
 * doorbell.c - wake a listening program and hand it a punched socket
 *
 * Theory of operation
 *
 * A punched socket is connected, but the program waits in accept() on another
 * one.  So we connect to that one as any client would, from an address of the
 * pool 127.112.0.0/16 (one of its own for each ring, so that ports never run
 * out), or from [::1] where the listener is IPv6 only.  The program wakes; the shim in it sees where the
 * connection comes from, asks us with the accepted descriptor, and puts the punched
 * socket in its place.
 *
 * The accepted descriptor is the proof: its own end and its other end must be
 * the two ends of a doorbell of ours, in our network namespace.  Nobody
 * else can have that socket but the program that accepted it, or one it was given to.
 *
 *	RINGING --connected--> WAITING --claim--> ANSWERED --program's copy closed--> (freed)
 *	   |                      |
 *	   |                      +-- LATE and bytes from either side --> spliced
 *	   +-- refused, DOORBELL_RING over, another's listener --> punched socket closed
 *
 * RINGING: a listener with a full backlog drops our SYN, as it would any client's; the kernel repeats it.
 * A claim may come in this state, before we were told of the connection.
 *
 * Until then the listener may end, and anybody on this host can bind its port: the repeated SYN would reach
 * him.  So when the connection is there the kernel is asked once more for the listener that was published,
 * by its cookie.  If that one still listens it has done so all the time, and the connection is its own.
 *
 * WAITING: a program that was busy may still claim after DOORBELL_CLAIM.  So
 * the splice starts not by the clock alone but with the first byte (or end) on either side after
 * it; and at once when the program itself says something or hangs up on the doorbell.
 *
 * TCP_DEFER_ACCEPT: such a listener does not wake before the first byte.  If the peer's
 * first byte is there after DOORBELL_NUDGE, a copy of it is sent (the real one stays in the punched socket).
 * A claim throws it away with the doorbell; a splice leaves it out, for it has arrived already.
 *
 * ANSWERED: our end is kept until the program has closed the other one by its dup3(), so that no
 * thread of it sees the accepted connection end meanwhile; then it is closed
 * by RST, so that no TIME_WAIT stays behind.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/secret.h"
#include "common/standin.h"
#include "resolver/connections.h"
#include "resolver/doorbell_internal.h"
#include "resolver/services_internal.h"
#include "resolver/splice.h"
#include "resolver/timer.h"
#include "resolver/watch.h"

#define DOORBELL_RING		(10 * SECOND)	/* a full backlog may drain; the peer's user gives up soon after */
#define DOORBELL_NUDGE		(20 * MS)	/* claims come within 1 ms; a page served 20 ms later is not missed */
#define DOORBELL_CLAIM		(1 * SECOND)	/* longer than a busy event loop stalls, shorter than a user waits */
/* a copy of the accepted descriptor elsewhere must not hold ours for ever */
#define DOORBELL_LINGER		(10 * SECOND)
#define DOORBELL_HOSTS		0xfffeu		/* usable addresses of the pool: x.x.0.1 .. x.x.255.254 */
#define DOORBELL_TRIES		8		/* pool addresses tried when the port is taken */

enum doorbell_state {
	DOORBELL_RINGING,	/* connect() under way */
	DOORBELL_WAITING,	/* the kernel has queued it for accept(); no claim yet */
	DOORBELL_LATE,		/* the same, after DOORBELL_CLAIM: the first byte starts a splice */
	DOORBELL_ANSWERED,	/* claimed; our end waits for the program to close the other one */
	DOORBELL_STATE_COUNT
};

static const char *const doorbell_names[] = { "ringing", "waiting", "late", "answered" };
static_assert(sizeof(doorbell_names) / sizeof(doorbell_names[0]) == DOORBELL_STATE_COUNT, "each state has a name");

#define TO(state) (1u << DOORBELL_##state)
static const unsigned int doorbell_edges[] = {
	/* a program may claim before we are told that it accepted */
	[DOORBELL_RINGING] = TO(WAITING) | TO(ANSWERED),
	[DOORBELL_WAITING] = TO(LATE) | TO(ANSWERED),
	[DOORBELL_LATE] = TO(ANSWERED),
	[DOORBELL_ANSWERED] = 0,
};
static_assert(sizeof(doorbell_edges) / sizeof(doorbell_edges[0]) == DOORBELL_STATE_COUNT, "edges of each state");

/**
 * struct doorbell
 * @end:	our end of the connection to the program's listener
 * @punched:	what it stands for, -1 once answered
 * @near, @far:	addresses of @end and of what the program accepts
 * @service:	what was rung at: whose listener must be at the other end
 * @nudged:	a copy of the first byte was sent
 * @bell:	reads and writes of @end
 * @peer_bell:	reads of @punched
 */
struct doorbell {
	TAILQ_ENTRY(doorbell) link;
	struct node *node;
	enum doorbell_state state;
	int end, punched;
	struct endpoint near, far, remote;
	char peer[LIMIT_HOST];
	uint32_t slot;
	struct service service;
	enum local_path path;
	uint32_t setup_us;
	bool nudged;
	bool patient;			/* DOORBELL_NUDGE is over */
	struct event *bell, *peer_bell, *timer;
};

struct doorbells {
	struct node *node;
	TAILQ_HEAD(, doorbell) list;
	unsigned int open;		/* not yet answered */
	unsigned int total;
	uint16_t next_host;
};

static void doorbell_set_state(struct doorbell *bell, enum doorbell_state state)
{
	assert(doorbell_edges[bell->state] & (1u << state));
	log_debug("doorbell %s: %s -> %s", bell->service.name, doorbell_names[bell->state], doorbell_names[state]);
	if (state == DOORBELL_ANSWERED)
		bell->node->doorbells->open--;
	bell->state = state;
}

static void doorbell_free(struct doorbell *bell)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	struct doorbells *bells = bell->node->doorbells;

	TAILQ_REMOVE(&bells->list, bell, link);
	bells->total--;
	bells->open -= bell->state != DOORBELL_ANSWERED;
	if (bell->bell)
		event_free(bell->bell);
	if (bell->peer_bell)
		event_free(bell->peer_bell);
	if (bell->timer)
		event_free(bell->timer);
	if (bell->end >= 0) {
		setsockopt(bell->end, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(bell->end);
	}
	if (bell->punched >= 0)
		close(bell->punched);
	free(bell);
}

/* ------------------------------------------------------------ nobody claims */

/* Both sockets become the splice's */
static void splice_it(struct doorbell *bell, const char *why)
{
	int end = bell->end, punched = bell->punched;
	struct node *node = bell->node;
	char byte;

	log_info("%s -> service %s: %s, copying between the sockets", bell->peer, bell->service.name, why);
	if (bell->nudged && recv(punched, &byte, 1, MSG_DONTWAIT) < 0)
		log_debug("doorbell: the first byte is gone: %s", strerror(errno));
	event_free(bell->bell);
	event_free(bell->peer_bell);
	bell->bell = bell->peer_bell = NULL;
	bell->end = bell->punched = -1;
	doorbell_free(bell);
	splice_start(node->splices, end, punched);
}

/* Let a listener with TCP_DEFER_ACCEPT wake up */
static void nudge(struct doorbell *bell)
{
	char byte;

	if (bell->nudged || recv(bell->punched, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
		return;
	bell->nudged = send(bell->end, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

static void on_peer_bell(evutil_socket_t fd, short what, void *arg)
{
	struct doorbell *bell = arg;

	(void)fd;
	(void)what;
	if (bell->state == DOORBELL_LATE) {
		splice_it(bell, "nobody took the socket");
		return;
	}
	nudge(bell);
	event_del(bell->peer_bell);	/* what came stays there, and would wake us again and again */
}

static void ring_failed(struct doorbell *bell, int error)
{
	static struct log_limit limit;
	char text[ENDPOINT_TEXT_SIZE];

	if (log_limited(&limit))
		log_warn("%s -> service %s: the program's listener %s does not take the connection: %s", bell->peer,
			 bell->service.name, endpoint_format(&bell->far, text), strerror(error));
	doorbell_free(bell);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct doorbell *bell = arg;

	(void)fd;
	(void)what;
	if (bell->state == DOORBELL_RINGING) {
		ring_failed(bell, ETIMEDOUT);
	} else if (bell->state == DOORBELL_ANSWERED) {
		doorbell_free(bell);
	} else if (!bell->patient) {
		bell->patient = true;
		event_add(bell->peer_bell, NULL);
		timer_set(bell->timer, DOORBELL_CLAIM - DOORBELL_NUDGE);
	} else {
		doorbell_set_state(bell, DOORBELL_LATE);
		event_add(bell->peer_bell, NULL);
	}
}

/* ------------------------------------------------------------ our end */

static void on_connected(struct doorbell *bell)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(bell->end, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (!error && !service_alive(&bell->service))
		error = ENOENT;		/* who has the connection now is anybody's guess */
	if (error) {
		ring_failed(bell, error);
		return;
	}
	error = -watch_set(bell->bell, EV_READ);
	if (error) {
		ring_failed(bell, error);
		return;
	}
	doorbell_set_state(bell, DOORBELL_WAITING);
	timer_set(bell->timer, DOORBELL_NUDGE);
}

static void on_bell(evutil_socket_t fd, short what, void *arg)
{
	struct doorbell *bell = arg;
	char scrap[256];
	ssize_t n;

	(void)what;
	switch (bell->state) {
	case DOORBELL_RINGING:
		on_connected(bell);
		break;
	case DOORBELL_WAITING:
	case DOORBELL_LATE:
		splice_it(bell, "the program used the doorbell's own connection");
		break;
	case DOORBELL_ANSWERED:
		/* The program's dup3() closed the other end; what it may have said before was to nobody */
		n = recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			doorbell_free(bell);
		break;
	case DOORBELL_STATE_COUNT:
		break;
	}
}

/* ------------------------------------------------------------ ringing */

/* The address to ring at. Return: the family of our end */
static int ring_target(const struct service *service, struct endpoint *target)
{
	*target = service->listener;
	if (!endpoint_is_any(target))
		return target->family;
	if (target->family == AF_INET6 && service->v6only)
		endpoint_parse(target, "::1", service->listener.port);
	else
		endpoint_parse(target, "127.0.0.1", service->listener.port);
	return target->family;
}

static void pool_source(struct doorbells *bells, int family, struct endpoint *source)
{
	uint32_t address;

	if (family == AF_INET6) {
		endpoint_parse(source, "::1", 0);
		return;
	}
	bells->next_host = (uint16_t)(bells->next_host % DOORBELL_HOSTS + 1);
	address = htonl(DOORBELL_NET | bells->next_host);
	memset(source, 0, sizeof(*source));
	source->family = AF_INET;
	memcpy(source->address, &address, 4);
}

/* Start connecting from a fresh source. Return: 0 or -errno */
static int ring(struct doorbell *bell, const struct service *service)
{
	const int most = 255;	/* hops: a listener may demand it (RFC 5082), here it is true */
	struct endpoint target, source;
	struct sockaddr_storage ss;
	int family = ring_target(service, &target), rc = -EADDRINUSE, i;

	bell->end = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bell->end < 0)
		return -errno;
	setsockopt(bell->end, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
		   family == AF_INET ? IP_TTL : IPV6_UNICAST_HOPS, &most, sizeof(most));
	for (i = 0; i < DOORBELL_TRIES && rc == -EADDRINUSE; i++) {
		pool_source(bell->node->doorbells, family, &source);
		rc = bind(bell->end, (const struct sockaddr *)&ss,
			  (socklen_t)endpoint_to_sockaddr(&source, family, &ss)) < 0 ? -errno : 0;
	}
	if (rc == 0 && connect(bell->end, (const struct sockaddr *)&ss,
			       (socklen_t)endpoint_to_sockaddr(&target, family, &ss)) < 0 && errno != EINPROGRESS)
		rc = -errno;
	if (rc == 0)
		rc = endpoint_local(bell->end, &bell->near);
	bell->far = target;
	return rc;
}

static struct doorbell *doorbell_new(struct node *node, const struct service *service, const struct peer *peer, int fd,
				     const struct track *track)
{
	struct doorbell *bell = calloc(1, sizeof(*bell));

	if (!bell)
		return NULL;
	bell->node = node;
	bell->end = -1;
	bell->punched = fd;
	bell->slot = peer->slot;
	bell->service = *service;
	snprintf(bell->peer, sizeof(bell->peer), "%s", peer->name);
	bell->remote = track->path.remote;
	TAILQ_INSERT_TAIL(&node->doorbells->list, bell, link);
	node->doorbells->total++;
	node->doorbells->open++;
	return bell;
}

void doorbell_ring(struct node *node, const struct service *service, const struct peer *peer,
		   int fd, const struct track *track, enum local_path path, uint32_t setup_us)
{
	static struct log_limit limit;
	struct doorbell *bell = NULL;
	int rc = -ENOENT;

	if (!service_alive(service))
		goto fail;
	rc = -EUSERS;
	if (node->doorbells->open >= DOORBELLS_MAX || node->doorbells->total >= 2 * DOORBELLS_MAX)
		goto fail;
	rc = -ENOMEM;
	bell = doorbell_new(node, service, peer, fd, track);
	if (!bell)
		goto fail;
	bell->path = path;
	bell->setup_us = setup_us;
	rc = ring(bell, service);
	if (rc < 0)
		goto fail;
	rc = -ENOMEM;
	bell->bell = event_new(node->base, bell->end, EV_WRITE | EV_PERSIST, on_bell, bell);
	bell->peer_bell = event_new(node->base, fd, EV_READ | EV_PERSIST, on_peer_bell, bell);
	bell->timer = event_new(node->base, -1, 0, on_timer, bell);
	if (!bell->bell || !bell->peer_bell || !bell->timer || event_add(bell->bell, NULL) < 0)
		goto fail;
	timer_set(bell->timer, DOORBELL_RING);
	connections_add(node, peer, service->port, true, track, path, setup_us);
	return;
fail:
	if (log_limited(&limit))
		log_warn("%s -> service %s: cannot hand the connection to the program: %s", peer->name, service->name,
			 rc == -ENOENT ? "its listener is gone" : strerror(-rc));
	if (bell)
		doorbell_free(bell);
	else
		close(fd);
}

/* ------------------------------------------------------------ LOCAL_CLAIM_DOORBELL */

static struct doorbell *find(struct doorbells *bells, const struct endpoint *near, const struct endpoint *far)
{
	struct doorbell *bell;

	TAILQ_FOREACH(bell, &bells->list, link) {
		if (bell->state != DOORBELL_ANSWERED && endpoint_equal(&bell->near, near) &&
		    endpoint_equal(&bell->far, far))
			return bell;
	}
	return NULL;
}

int doorbell_claim(struct node *node, const struct proof *proof, struct local_reply *reply)
{
	struct doorbell *bell = NULL;
	int punched;

	if (proof->good && proof->remote.family)
		bell = find(node->doorbells, &proof->remote, &proof->local);
	if (bell && bell->state == DOORBELL_RINGING && !service_alive(&bell->service)) {
		ring_failed(bell, ENOENT);
		bell = NULL;
	}
	if (!bell) {
		reply->status = LOCAL_NOT_OURS;
		reply->error = ENOENT;
		return -1;
	}
	reply->status = LOCAL_OK;
	reply->slot = bell->slot;
	reply->remote = bell->remote;
	reply->path = bell->path;
	reply->setup_us = bell->setup_us;
	snprintf(reply->peer, sizeof(reply->peer), "%s", bell->peer);
	punched = bell->punched;
	bell->punched = -1;
	event_del(bell->peer_bell);
	doorbell_set_state(bell, DOORBELL_ANSWERED);
	watch_set(bell->bell, EV_READ);		/* where that fails, the timer ends it all the same */
	timer_set(bell->timer, DOORBELL_LINGER);
	return punched;
}

struct doorbells *doorbells_new(struct node *node)
{
	struct doorbells *bells = calloc(1, sizeof(*bells));

	if (!bells)
		return NULL;
	bells->node = node;
	TAILQ_INIT(&bells->list);
	secret_random(&bells->next_host, sizeof(bells->next_host));
	return bells;
}

void doorbells_free(struct doorbells *bells)
{
	struct doorbell *bell;

	if (!bells)
		return;
	while ((bell = TAILQ_FIRST(&bells->list)))
		doorbell_free(bell);
	free(bells);
}

unsigned int doorbells_count(const struct doorbells *bells)
{
	return bells ? bells->open : 0;
}
