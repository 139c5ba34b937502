/* SPDX-License-Identifier: MIT */
/*
 * splice.c - bytes from one socket to another and back
 *
 * The fallback for programs that cannot take over a descriptor (static ones,
 * io_uring); everybody else has the bare socket and never comes here.
 *
 * Theory of operation
 *
 * A pair is two directions that run the same code.  Bytes are read into one
 * buffer that all directions share and written at once; only what the other
 * side does not take now is copied into a buffer of the direction's own, and
 * nothing more is read until it is gone.  So an idle pair holds no buffer and a
 * stalled reader holds one, of SPLICE_CHUNK at most.
 *
 * After each event the interest in both descriptors is computed anew from the
 * state: a direction wants to read its source while it is open and nothing is
 * left over, and to write its target while something is.
 *
 * Direction: OPEN -> ENDING (end of file read, bytes left over) -> ENDED
 * (shutdown() done).  Both ENDED, or any error: the pair is closed.  A socket that has ended
 * is readable for good; it is watched for edges alone, and asked for its error: a reset after it.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "resolver/give.h"
#include "resolver/splice.h"
#include "resolver/watch.h"

/* bytes for each read(): fewer cost throughput (measured against 16 KiB: half) */
#define SPLICE_CHUNK	(128 * 1024)
#define SPLICE_IDLE_S	120		/* then TCP keepalives: a host that vanished must not hold a pair for ever, and
					 * NATs keep what is used within 2 h 4 min (RFC 5382 REQ-5), many less */
#define SPLICE_TURN	8		/* reads for one wake-up, so that others get their turn */

enum direction_state {
	DIRECTION_OPEN,		/* bytes flow */
	DIRECTION_ENDING,	/* the source has ended; left-over bytes wait for the target */
	DIRECTION_ENDED,	/* the target was told of the end */
	DIRECTION_STATE_COUNT
};

static const char *const direction_names[] = { "open", "ending", "ended" };
static_assert(sizeof(direction_names) / sizeof(direction_names[0]) == DIRECTION_STATE_COUNT,
	      "each state has a name");

/**
 * struct direction
 * @from, @to:	indexes into the pair's fd
 * @left:	bytes not yet taken by the target
 */
struct direction {
	enum direction_state state;
	unsigned int from, to;
	struct rest left;
};

struct pair {
	LIST_ENTRY(pair) entry;
	struct splices *splices;
	int fd[2];
	struct event *event[2];		/* of what is wanted now */
	struct direction way[2];	/* way[i] reads from fd[i] */
};

struct splices {
	struct node *node;
	LIST_HEAD(, pair) pairs;
	unsigned int count;
	unsigned char chunk[SPLICE_CHUNK];
};

static void direction_set_state(struct direction *way, enum direction_state state)
{
	assert(state > way->state);
	log_debug("splice: direction %u: %s -> %s", way->from, direction_names[way->state], direction_names[state]);
	way->state = state;
}

static void pair_free(struct pair *pair)
{
	unsigned int i;

	LIST_REMOVE(pair, entry);
	pair->splices->count--;
	for (i = 0; i < 2; i++) {
		if (pair->event[i])
			event_free(pair->event[i]);
		close(pair->fd[i]);
		free(pair->way[i].left.data);
	}
	free(pair);
}

/* One side broke: the other one shall see more than an orderly end */
static void pair_break(struct pair *pair, int error)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	unsigned int i;

	log_debug("splice: closed: %s", strerror(error));
	if (error == ECONNRESET || error == EPIPE || error == ETIMEDOUT) {
		for (i = 0; i < 2; i++)
			setsockopt(pair->fd[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	}
	pair_free(pair);
}

static void direction_end(struct pair *pair, struct direction *way)
{
	shutdown(pair->fd[way->to], SHUT_WR);
	direction_set_state(way, DIRECTION_ENDED);
}

/* Read and write until nothing more goes. Return: 0 or -errno of a broken socket */
static int direction_run(struct pair *pair, struct direction *way)
{
	unsigned char *chunk = pair->splices->chunk;
	unsigned int turn;
	ssize_t n;
	int rc;

	rc = give_rest(pair->fd[way->to], &way->left);
	for (turn = 0; rc == 0 && turn < SPLICE_TURN && way->state == DIRECTION_OPEN && !way->left.data; turn++) {
		n = recv(pair->fd[way->from], chunk, SPLICE_CHUNK, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n < 0)
			return -errno;
		if (n == 0) {
			direction_set_state(way, DIRECTION_ENDING);
			break;
		}
		rc = give_or_keep(pair->fd[way->to], chunk, (size_t)n, &way->left);
	}
	if (rc == 0 && way->state == DIRECTION_ENDING && !way->left.data)
		direction_end(pair, way);
	return rc;
}

static void on_pair(evutil_socket_t fd, short what, void *arg);

/* Return: as watch_set() */
static int watch(struct pair *pair, unsigned int i)
{
	const struct direction *from = &pair->way[i], *to = &pair->way[1 - i];
	short wanted = (short)((from->state == DIRECTION_OPEN && !from->left.data ? EV_READ : 0) |
			       (to->left.data ? EV_WRITE : 0) |
			       (from->state == DIRECTION_ENDED ? EV_READ | EV_ET : 0));

	return watch_set(pair->event[i], wanted);
}

/* Of a socket that is read no more */
static int error_of(int fd)
{
	socklen_t size = sizeof(int);
	int error = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? -errno : -error;
}

static void pair_run(struct pair *pair)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; rc == 0 && i < 2; i++)
		rc = direction_run(pair, &pair->way[i]);
	if (rc == 0 && pair->way[0].state == DIRECTION_ENDED && pair->way[1].state == DIRECTION_ENDED) {
		pair_free(pair);
		return;
	}
	for (i = 0; rc == 0 && i < 2; i++)
		if (pair->way[i].state == DIRECTION_ENDED)
			rc = error_of(pair->fd[i]);
	for (i = 0; rc == 0 && i < 2; i++)
		rc = watch(pair, i);
	if (rc < 0)
		pair_break(pair, -rc);
}

static void on_pair(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pair_run(arg);
}

static void prepare(int fd)
{
	const int on = 1, idle = SPLICE_IDLE_S;
	socklen_t size = sizeof(int);
	int kept = 0;

	evutil_make_socket_nonblocking(fd);
	/* A punched socket has its own times, which its NATs need */
	getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &kept, &size);
	if (!kept) {
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	}
	/* the writer has decided already what goes together */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int splice_start(struct splices *splices, int a, int b)
{
	static struct log_limit limit;
	struct pair *pair = NULL;
	unsigned int i;
	int rc = -EUSERS;

	if (splices->count >= SPLICES_MAX)
		goto refuse;
	rc = -ENOMEM;
	pair = calloc(1, sizeof(*pair));
	if (!pair)
		goto refuse;
	pair->splices = splices;
	pair->fd[0] = a;
	pair->fd[1] = b;
	LIST_INSERT_HEAD(&splices->pairs, pair, entry);
	splices->count++;
	for (i = 0; i < 2; i++) {
		prepare(pair->fd[i]);
		pair->way[i].from = i;
		pair->way[i].to = 1 - i;
		pair->event[i] = event_new(splices->node->base, pair->fd[i], EV_READ | EV_PERSIST, on_pair, pair);
		if (!pair->event[i])
			goto undo;
	}
	/* The first look is left to the loop: the caller must not see the pair end under it */
	rc = -ENOBUFS;
	for (i = 0; i < 2; i++)
		if (event_add(pair->event[i], NULL) < 0)
			goto undo;
	return 0;
undo:
	pair_free(pair);
	a = b = -1;
refuse:
	if (log_limited(&limit))
		log_warn("a connection that was to be copied is closed: %s (%u pairs, at most %d)", strerror(-rc),
			 splices->count, SPLICES_MAX);
	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
	return rc;
}

struct splices *splices_new(struct node *node)
{
	struct splices *splices = calloc(1, sizeof(*splices));

	if (!splices)
		return NULL;
	splices->node = node;
	LIST_INIT(&splices->pairs);
	return splices;
}

void splices_free(struct splices *splices)
{
	struct pair *pair;

	if (!splices)
		return;
	while ((pair = LIST_FIRST(&splices->pairs)))
		pair_free(pair);
	free(splices);
}

unsigned int splices_count(const struct splices *splices)
{
	return splices ? splices->count : 0;
}
