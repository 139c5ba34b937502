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
 * (shutdown() done).  Both ENDED: the pair is closed.  A socket that has ended
 * is readable for good; it is watched for edges alone, and asked for its error: a reset after it.
 *
 * Both sockets have SO_LINGER 0 until then: when this process is killed, or one of them breaks, the other one
 * is reset, and nobody takes a cut for an end.  But not at once, as in pump_flow.c: as on TCP itself,
 * what had come before the break (pair.lost) still reaches the other side.
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
#include "resolver/drain.h"
#include "resolver/give.h"
#include "resolver/ktls.h"
#include "resolver/outqueue.h"
#include "resolver/splice.h"
#include "resolver/timer.h"
#include "resolver/watch.h"

/* bytes for each read(): fewer cost throughput (measured against 16 KiB: half) */
#define SPLICE_CHUNK	(128 * 1024)
#define SPLICE_IDLE_S	120		/* then TCP keepalives: a host that vanished must not hold a pair for ever, and
					 * NATs keep what is used within 2 h 4 min (RFC 5382 REQ-5), many less */
#define SPLICE_STALL	(5 * SECOND)	/* while one side takes nothing: has the other one gone meanwhile? */
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

/**
 * struct pair
 * @event:	of what is wanted now
 * @way:	way[i] reads from fd[i]
 * @lost:	index of the socket that has broken, by @error (-errno); -1 none.  What had come from it is still given
 *		to the other one, of which @queue tells whether it has all
 * @gone:	the other one has broken, too
 * @pause:	that the timer was set for
 * @again:	there was more to read than one turn may
 * @ordered:	both are to be closed in order, not reset
 */
struct pair {
	LIST_ENTRY(pair) entry;
	struct splices *splices;
	int fd[2];
	struct event *event[2], *timer;
	struct direction way[2];
	int lost, error;
	bool gone, again, ordered;
	uint64_t pause;
	struct outqueue queue;
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

static void set_linger(int fd, int on)
{
	const struct linger linger = { .l_onoff = on, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void pair_free(struct pair *pair)
{
	unsigned int i;

	LIST_REMOVE(pair, entry);
	pair->splices->count--;
	for (i = 0; i < 2; i++) {
		if (pair->event[i])
			event_free(pair->event[i]);
		if (pair->ordered)
			set_linger(pair->fd[i], 0);
		close(pair->fd[i]);
		free(pair->way[i].left.data);
	}
	if (pair->timer)
		event_free(pair->timer);
	free(pair);
}

/* @i: has broken, by @rc. Return: @rc */
static int lose(struct pair *pair, unsigned int i, int rc)
{
	if (rc >= 0 || rc == -ENOMEM)
		return rc;
	if (pair->lost < 0) {
		pair->lost = (int)i;
		pair->error = rc;
	}
	pair->gone = pair->gone || pair->lost != (int)i;
	return rc;
}

/* As in pump_flow.c: what the kernel calls an end of file was none, unless the error was EPIPE (CLOSE_WAIT) */
static bool is_cut(const struct pair *pair, unsigned int i)
{
	return pair->lost == (int)i && pair->error != -EPIPE;
}

/* One chunk. Return: 0, -EAGAIN nothing there, -errno */
static int take(struct pair *pair, struct direction *way)
{
	unsigned char *chunk = pair->splices->chunk;
	ssize_t n = recv(pair->fd[way->from], chunk, SPLICE_CHUNK, MSG_DONTWAIT);

	if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return -EAGAIN;		/* the event is a level: an interrupted one comes again */
	if (n < 0 || (n == 0 && is_cut(pair, way->from)))
		return lose(pair, way->from, n < 0 ? -errno : pair->error);
	if (n == 0) {
		direction_set_state(way, DIRECTION_ENDING);
		return 0;
	}
	return lose(pair, way->to, give_or_keep(pair->fd[way->to], chunk, (size_t)n, &way->left));
}

/* shutdown() would cut off what the kernel's TLS has taken and not yet sent, as for programs (shim/drain.c) */
static void say_end(const struct pair *pair, int fd)
{
	int copy = ktls_is(fd) ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;

	if (copy >= 0 && drain_take(pair->splices->node->drains, copy, true) == 0)
		return;
	if (copy >= 0)
		close(copy);
	shutdown(fd, SHUT_WR);
}

/* Read and write until nothing more goes. Return: 0, -EAGAIN nothing more to read, -errno of a broken socket */
static int direction_run(struct pair *pair, struct direction *way)
{
	int rc = lose(pair, way->to, give_rest(pair->fd[way->to], &way->left));
	unsigned int turn;

	for (turn = 0; rc == 0 && turn < SPLICE_TURN && way->state == DIRECTION_OPEN && !way->left.data; turn++)
		rc = take(pair, way);
	if (turn == SPLICE_TURN && rc == 0)
		pair->again = true;
	if ((rc == 0 || rc == -EAGAIN) && way->state == DIRECTION_ENDING && !way->left.data) {
		say_end(pair, pair->fd[way->to]);
		direction_set_state(way, DIRECTION_ENDED);
	}
	return rc;
}

static void on_pair(evutil_socket_t fd, short what, void *arg);

/* Return: as watch_set() */
static int watch(struct pair *pair, unsigned int i)
{
	const struct direction *from = &pair->way[i], *to = &pair->way[1 - i];
	bool whole = pair->lost < 0;
	short wanted = (short)((from->state == DIRECTION_OPEN && !from->left.data && whole ? EV_READ : 0) |
			       (to->left.data ? EV_WRITE : 0) |
			       (from->state == DIRECTION_ENDED || !whole ? EV_READ | EV_ET : 0));

	return watch_set(pair->event[i], pair->lost == (int)i ? 0 : wanted);
}

/* While one of them is lost. Return: as pair_move() */
static int last_move(struct pair *pair, bool tick)
{
	struct direction *way = &pair->way[pair->lost], *back = &pair->way[1 - pair->lost];
	int rc;

	free(back->left.data);
	back->left.data = NULL;
	pair->again = false;
	rc = direction_run(pair, way);
	if (rc == -ENOMEM || pair->gone)
		return rc;
	if (pair->again)
		return 0;
	if (way->state == DIRECTION_ENDED)
		outqueue_discard(pair->fd[way->to]);
	rc = outqueue_look(&pair->queue, pair->fd[way->to], tick);
	if (rc == 0 || (rc > 0 && way->left.data))
		return 0;
	/* Who was told of the end may read until there. In the far kernel TLS loses data by a reset */
	pair->ordered = way->state == DIRECTION_ENDED &&
			(rc == -ETIMEDOUT || (rc > 0 && ktls_is(pair->fd[way->to])));
	return pair->error;
}

/* Return: 0; 1 both directions have ended; -errno broken, and all is said that could be */
static int pair_move(struct pair *pair, bool tick)
{
	unsigned int i;
	int rc = 0;

	pair->again = false;
	for (i = 0; pair->lost < 0 && (rc == 0 || rc == -EAGAIN) && i < 2; i++)
		rc = direction_run(pair, &pair->way[i]);
	if (rc == -ENOMEM)
		return rc;
	if (pair->lost < 0 && pair->way[0].state == DIRECTION_ENDED && pair->way[1].state == DIRECTION_ENDED) {
		pair->ordered = true;
		return 1;
	}
	for (i = 0; pair->lost < 0 && i < 2; i++)
		if (pair->way[i].state == DIRECTION_ENDED || (tick && pair->way[i].left.data))
			lose(pair, i, outqueue_error(pair->fd[i]));
	return pair->lost < 0 ? 0 : last_move(pair, tick);
}

/* Look again without word from a socket. Return: 0 or -ENOMEM */
static int look_later(struct pair *pair)
{
	uint64_t pause = pair->lost >= 0 ? OUTQUEUE_TICK : SPLICE_STALL;

	if (pair->lost < 0 && !pair->way[0].left.data && !pair->way[1].left.data)
		return 0;
	if (pair->lost >= 0 && pair->again)
		pause = 0;
	/* One that is set stays so, however often the sockets have something to say */
	if (evtimer_pending(pair->timer, NULL) && pause >= pair->pause)
		return 0;
	pair->pause = pause;
	return timer_set(pair->timer, pause) < 0 ? -ENOMEM : 0;
}

static void on_pair(evutil_socket_t fd, short what, void *arg)
{
	struct pair *pair = arg;
	int rc = pair_move(pair, what & EV_TIMEOUT);
	unsigned int i;

	(void)fd;
	for (i = 0; rc == 0 && i < 2; i++)
		rc = watch(pair, i);
	if (rc == 0)
		rc = look_later(pair);
	if (rc == 0)
		return;
	if (rc < 0)
		log_debug("splice: closed: %s", strerror(-rc));
	pair_free(pair);
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
	set_linger(fd, 1);
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
	pair->lost = -1;
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
	pair->timer = evtimer_new(splices->node->base, on_pair, pair);
	if (!pair->timer)
		goto undo;
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
