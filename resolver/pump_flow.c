/* SPDX-License-Identifier: MIT */
/*
 * pump_flow.c - payload between a program's local socket and an encrypted wire
 *
 * Theory of operation
 *
 * As in splice.c, each direction reads into a buffer that all connections
 * share, writes at once, and keeps a copy only of what the target does not take; until that
 * is gone nothing more is read.  So an idle connection holds no buffer, and a reader that stalls
 * one of some 128 KiB a direction, plus what the kernel's own buffers hold.
 *
 * Way: OPEN -> ENDING (end of file read, bytes left over) -> ENDED (shutdown() done).
 *
 * Both sockets have SO_LINGER 0 from the start: when this process is killed, or one side breaks, the
 * kernel resets the other one, and nobody takes a cut for an end.  It is taken back when both
 * directions have ended in order.
 *
 * A socket that breaks ends the flow, but not at once: as on TCP itself, what had come from it before still
 * reaches the other side (sealed_flow.lost), and only when that has all of it, or takes no more of it, it is reset.
 *
 * A socket whose end of file was read is not left alone: a reset, or a far end that answers no more, breaks
 * it.  It is readable for good, so it is watched for edges (EV_ET), and asked for its error; one that is not
 * read because the other side takes nothing is asked now and then (FLOW_STALL).  A program
 * that has closed altogether looks like one that has but sent its last byte; so the local socket asks by
 * keepalives, as often as the kernel forgets what was closed (tcp_fin_timeout), and gets a reset then.
 */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "resolver/pump_internal.h"

#define FLOW_IDLE_S	120	/* then TCP keepalives on the wire, as SPLICE_IDLE_S */
#define FLOW_ORPHAN_S	60	/* tcp_fin_timeout where it is not said: as the kernel has it */
#define FLOW_STALL	(5 * SECOND)	/* while one side takes nothing: has the other one gone meanwhile? */
#define FLOW_TURN	4	/* chunks for one wake-up, so that others get their turn */

static const char *const way_names[] = { "open", "ending", "ended" };
static_assert(sizeof(way_names) / sizeof(way_names[0]) == WAY_STATE_COUNT, "each state has a name");

/* A record more than is taken from a program at once: the far end's need not begin where ours do */
static uint8_t plain[SEAL_CHUNK + SEAL_RECORD], sealed[SEAL_ROOM];

static void way_set_state(struct way *way, enum way_state state)
{
	assert(state > way->state);
	log_debug("pump: way %s -> %s", way_names[way->state], way_names[state]);
	way->state = state;
}

static void set_linger(int fd, int on)
{
	const struct linger linger = { .l_onoff = on, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void set_keepalive(int fd, int option, int seconds)
{
	const int on = 1;

	setsockopt(fd, IPPROTO_TCP, option, &seconds, sizeof(seconds));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

/* A punched socket has its own times, which its NATs need */
static void keep_wire(int fd)
{
	socklen_t size = sizeof(int);
	int kept = 0;

	getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &kept, &size);
	if (!kept)
		set_keepalive(fd, TCP_KEEPIDLE, FLOW_IDLE_S);
}

/* When the program has sent its last byte, which may not be read yet: has it closed altogether? */
static void ask_local(int fd)
{
	socklen_t size = sizeof(int);
	int seconds = 0;

	if (getsockopt(fd, IPPROTO_TCP, TCP_LINGER2, &seconds, &size) < 0 || seconds < 1)
		seconds = FLOW_ORPHAN_S;
	set_keepalive(fd, TCP_KEEPINTVL, seconds);
	set_keepalive(fd, TCP_KEEPIDLE, seconds);
}

int sealed_flow_start(struct sealed_flow *flow)
{
	const int on = 1;

	evutil_make_socket_nonblocking(flow->local);
	set_linger(flow->local, 1);
	set_linger(flow->wire, 1);
	/* The writer has decided already what goes together */
	setsockopt(flow->local, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(flow->wire, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	keep_wire(flow->wire);
	ask_local(flow->local);
	/* An urgent byte arrives where it stands in the stream, rather than not at all */
	setsockopt(flow->local, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	flow->again = true;
	flow->lost = -1;
	return seal_flow(flow->seal);
}

/* @fd: has broken, by @rc. Return: @rc */
static int lose(struct sealed_flow *flow, int fd, int rc)
{
	if (rc >= 0 || rc == -ENOMEM)
		return rc;
	if (flow->lost < 0) {
		flow->lost = fd;
		flow->error = rc;
	}
	flow->gone = flow->gone || fd != flow->lost;
	return rc;
}

/*
 * Of a socket that has broken the kernel says "end of file" where its error has been told already.  It is one where the
 * far end had ended before (CLOSE_WAIT), for then the error was EPIPE.
 */
static bool is_cut(const struct sealed_flow *flow, int fd)
{
	return flow->lost == fd && flow->error != -EPIPE;
}

static void way_end(struct way *way, int to)
{
	if (way->state != WAY_ENDING || way->left.data)
		return;
	shutdown(to, SHUT_WR);
	way_set_state(way, WAY_ENDED);
}

/* One chunk from the program. Return: 0, -EAGAIN nothing there, -errno */
static int take_local(struct sealed_flow *flow)
{
	ssize_t n = recv(flow->local, plain, SEAL_CHUNK, MSG_DONTWAIT);

	if (n < 0 && (errno == EINTR || errno == EWOULDBLOCK))
		return -EAGAIN;
	if (n < 0 || (n == 0 && is_cut(flow, flow->local)))
		return lose(flow, flow->local, n < 0 ? -errno : flow->error);
	if (n == 0)
		way_set_state(&flow->out, WAY_ENDING);
	n = seal_encrypt(flow->seal, plain, (size_t)n, sealed);
	return n < 0 ? (int)n : lose(flow, flow->wire, give_or_keep(flow->wire, sealed, (size_t)n, &flow->out.left));
}

/* One chunk from the wire. Return: 0, -EAGAIN nothing there, -errno */
static int take_wire(struct sealed_flow *flow)
{
	bool end;
	ssize_t n = seal_decrypt(flow->seal, plain, sizeof(plain), &end);

	if (end && !seal_user(flow->seal) && is_cut(flow, flow->wire))
		return flow->error;
	if (end)
		way_set_state(&flow->in, WAY_ENDING);
	if (n < 0)
		return n == -EAGAIN || n == -ENOMEM ? (int)n : lose(flow, flow->wire, (int)n);
	return lose(flow, flow->local, give_or_keep(flow->local, plain, (size_t)n, &flow->in.left));
}

static int way_run(struct sealed_flow *flow, struct way *way)
{
	bool out = way == &flow->out;
	int to = out ? flow->wire : flow->local, rc = lose(flow, to, give_rest(to, &way->left));
	unsigned int turn;

	for (turn = 0; rc == 0 && turn < FLOW_TURN && way->state == WAY_OPEN && !way->left.data; turn++)
		rc = out ? take_local(flow) : take_wire(flow);
	if (turn == FLOW_TURN && rc == 0)
		flow->again = true;
	if (rc == 0 || rc == -EAGAIN)
		way_end(way, to);
	return rc;
}

/*
 * One side is lost: the other one gets what had come from it, then its end.
 * Return: as sealed_flow_run(); -errno when the other one has all, or has broken, too
 */
static int last_run(struct sealed_flow *flow, bool tick)
{
	bool out = flow->lost == flow->local;
	struct way *way = out ? &flow->out : &flow->in, *back = out ? &flow->in : &flow->out;
	int to = out ? flow->wire : flow->local, rc;

	free(back->left.data);
	back->left.data = NULL;
	flow->again = false;
	rc = way_run(flow, way);
	if (rc == -ENOMEM || flow->gone)
		return rc;
	if (flow->again)
		return 0;
	/* Else nothing more comes, or what has come is not taken: that shows in what is queued, too */
	if (way->state == WAY_ENDED)
		outqueue_discard(to);
	rc = outqueue_look(&flow->queue, to, tick);
	if (rc == 0 || (rc > 0 && way->left.data))
		return 0;
	/* Who was told of the end may read until there. In the far kernel TLS loses data by a reset */
	flow->ordered = way->state == WAY_ENDED && (rc == -ETIMEDOUT || (rc > 0 && out && !seal_user(flow->seal)));
	return flow->error;
}

int sealed_flow_run(struct sealed_flow *flow, bool tick)
{
	struct way *out = &flow->out, *in = &flow->in;
	int rc = 0;

	flow->again = false;
	if (flow->lost < 0) {
		rc = way_run(flow, out);
		if (rc == 0 || rc == -EAGAIN)
			rc = way_run(flow, in);
		if (rc == -EAGAIN)
			rc = 0;
		flow->ordered = out->state == WAY_ENDED && in->state == WAY_ENDED;
		if (rc == 0 && flow->ordered)
			return 1;
		if (rc == 0 && (out->state == WAY_ENDED || (tick && out->left.data)))
			rc = lose(flow, flow->local, outqueue_error(flow->local));
		if (rc == 0 && (in->state == WAY_ENDED || (tick && in->left.data)))
			rc = lose(flow, flow->wire, outqueue_error(flow->wire));
	}
	return flow->lost < 0 ? rc : last_run(flow, tick);
}

/* @from: the way that reads the socket; @to: that writes it */
static short wants(const struct sealed_flow *flow, int fd, const struct way *from, const struct way *to)
{
	if (fd == flow->lost)
		return 0;
	return (short)((from->state == WAY_OPEN && !from->left.data && flow->lost < 0 ? EV_READ : 0) |
		       (to->left.data ? EV_WRITE : 0) |
		       (from->state == WAY_ENDED || flow->lost >= 0 ? EV_READ | EV_ET : 0));
}

short sealed_flow_wants_local(const struct sealed_flow *flow)
{
	return wants(flow, flow->local, &flow->out, &flow->in);
}

short sealed_flow_wants_wire(const struct sealed_flow *flow)
{
	return wants(flow, flow->wire, &flow->in, &flow->out);
}

uint64_t sealed_flow_pause(const struct sealed_flow *flow)
{
	if (flow->again)
		return 0;
	if (flow->lost >= 0)
		return OUTQUEUE_TICK;
	return flow->out.left.data || flow->in.left.data ? FLOW_STALL : NEVER;
}

void sealed_flow_stop(struct sealed_flow *flow)
{
	if (flow->ordered) {
		set_linger(flow->local, 0);
		set_linger(flow->wire, 0);
	}
	close(flow->local);
	close(flow->wire);
	free(flow->out.left.data);
	free(flow->in.left.data);
	seal_free(flow->seal);
	memset(flow, 0, sizeof(*flow));
	flow->local = flow->wire = -1;
}
