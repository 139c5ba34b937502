/* SPDX-License-Identifier: MIT */
/*
 * parked.c - a program's own socket in SYN_SENT while its path is being made
 *
 * Theory of operation
 *
 * A program that connects without blocking must find a socket that truly is
 * connecting: poll, epoll, SO_ERROR, getpeername have to say so, and wake up when it is
 * done.  So the kernel is given the real thing.  A listener of ours on 127.113.0.1 has a backlog of 0 and one
 * connection in it that is never accepted; the kernel drops every further SYN to
 * it.  The program's socket is connected there, by us, through the descriptor that it
 * passed: it is in SYN_SENT and stays there.  Nothing leaves the host.
 *
 * When the session has its path, the program is woken by *completing* the
 * connection: a second socket of ours binds the listener's address and port
 * (SO_REUSEPORT) and connects to the program's port.  Both are in SYN_SENT then, and the kernel takes the
 * crossing SYNs for a simultaneous open (RFC 9293, 3.5).  The program sees its
 * socket become writable with SO_ERROR 0, its next call claims the real socket, and the shim puts it in place.
 *
 * A failure is shown alike: complete, then reset (SO_LINGER 0).  The program wakes with
 * POLLERR | POLLHUP, and the claim made by its getsockopt(SO_ERROR) gives the true errno.
 *
 *	PENDING --path--> COMPLETING --established--> READY --claim--> CLAIMED --closed--> (freed)
 *	   |                  | `-------claim---------------------------^
 *	   |                  `-- refused: the program is gone ---------------------------> (freed)
 *	   |                                             READY --1 s, a byte--> LATE, spliced
 *	   `--no path--> FAILING --established, reset--> FAILED --claimed, or a minute--> (freed)
 *
 * The crossing is over within the second connect(), so a claim may come while we still wait to be told:
 * COMPLETING and FAILING are answered like READY and FAILED.  Where no descriptor is left for the second socket,
 * PENDING lasts until one is: a program that is not woken would wait for the kernel's two minutes.
 *
 * Who is meant: SO_COOKIE, which belongs to one socket for as long as the
 * machine runs.  Before completing, the kernel is asked whether a socket with this cookie still sits on
 * that pair of addresses, for a port that was free meanwhile may be a stranger's by now; and once more when the
 * connection is there, for it may have become one since.  The same question, once a second, finds programs that have
 * gone away early.
 *
 * A program that uses the socket without a call that claims (static code, io_uring): see
 * doorbell.c, its LATE works like ours.
 *
 * Listeners: one for IPv4, which v4-mapped sockets reach too, and one on [::1]
 * for those that cannot.  They are made when first needed.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "resolver/parked_internal.h"
#include "resolver/reply.h"
#include "resolver/sockdiag.h"
#include "resolver/timer.h"

#define PARKED_LOOK	(1 * SECOND)	/* is the program still there? */
#define PARKED_COMPLETE	(1 * SECOND)	/* a loopback handshake takes 0.05 ms; the kernel repeats a lost SYN after 1 s */
#define PARKED_CLAIM	(1 * SECOND)	/* as DOORBELL_CLAIM */
#define PARKED_AGAIN	(50 * MS)	/* no descriptor: any session that ends frees some */
#define PARKED_STUCK	200		/* ... for 10 s */
#define PARKED_MEMORY	(60 * SECOND)	/* a failure's reason; event loops ask at once */

static const char *const parked_names[] = {
	"pending", "completing", "ready", "late", "claimed", "failing", "failed",
};
static_assert(sizeof(parked_names) / sizeof(parked_names[0]) == PARKED_STATE_COUNT, "each state has a name");

/* One bit for each state that may follow */
static const unsigned int parked_edges[] = {
	[PARKED_PENDING] = 1u << PARKED_COMPLETING | 1u << PARKED_FAILING,
	[PARKED_COMPLETING] = 1u << PARKED_READY | 1u << PARKED_CLAIMED,
	[PARKED_READY] = 1u << PARKED_LATE | 1u << PARKED_CLAIMED,
	[PARKED_LATE] = 1u << PARKED_CLAIMED,
	[PARKED_CLAIMED] = 0,
	[PARKED_FAILING] = 1u << PARKED_FAILED,
	[PARKED_FAILED] = 0,
};

void spot_set_state(struct spot *spot, enum parked_state state)
{
	assert(parked_edges[spot->state] & 1u << state);
	log_debug("parked socket for %s: %s -> %s", spot->peer.name, parked_names[spot->state], parked_names[state]);
	spot->node->parked->counts[spot->state]--;
	spot->node->parked->counts[state]++;
	spot->state = state;
}

/* By RST, which leaves no TIME_WAIT behind; for a program that failed it is the wake-up */
static void reset_end(struct spot *spot)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	spot_forget_event(&spot->event);
	if (spot->end < 0)
		return;
	setsockopt(spot->end, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(spot->end);
	spot->end = -1;
}

void spot_free(struct spot *spot)
{
	struct parked *parked = spot->node->parked;

	TAILQ_REMOVE(&parked->spots, spot, link);
	parked->counts[spot->state]--;
	if (spot->session)
		session_cancel(spot->session);
	reset_end(spot);
	spot_forget_event(&spot->real_event);
	spot_forget_event(&spot->timer);
	if (spot->real >= 0)
		close(spot->real);
	free(spot);
}

/* ------------------------------------------------------------ LOCAL_PARK */

struct spot *spot_find(struct parked *parked, uint64_t cookie)
{
	struct spot *spot;

	TAILQ_FOREACH(spot, &parked->spots, link) {
		if (spot->cookie == cookie && spot->state != PARKED_CLAIMED)
			return spot;
	}
	return NULL;
}

static void on_timer(evutil_socket_t fd, short what, void *arg);
static void on_result(void *arg, const struct session_result *result);

static struct spot *spot_new(struct node *node, uint64_t cookie, const struct peer *peer, uint16_t port)
{
	struct spot *spot = calloc(1, sizeof(*spot));

	if (!spot)
		return NULL;
	spot->timer = event_new(node->base, -1, 0, on_timer, spot);
	if (!spot->timer) {
		free(spot);
		return NULL;
	}
	spot->node = node;
	spot->cookie = cookie;
	spot->peer = *peer;
	spot->port = port;
	spot->end = spot->real = -1;
	TAILQ_INSERT_TAIL(&node->parked->spots, spot, link);
	node->parked->counts[PARKED_PENDING]++;
	return spot;
}

unsigned int parked_count(const struct parked *parked)
{
	unsigned int i, count = 0;

	for (i = 0; parked && i < PARKED_STATE_COUNT; i++) {
		if (i != PARKED_CLAIMED && i != PARKED_FAILED)
			count += parked->counts[i];
	}
	return count;
}

unsigned int parked_files(const struct parked *parked)
{
	return parked ? 2 * (parked_count(parked) - parked->counts[PARKED_PENDING]) + parked->counts[PARKED_CLAIMED] : 0;
}

/* Room, and nothing under way for this socket. Return: 0 or -errno with @reply complete */
static int admit(struct parked *parked, int fd, uint64_t *cookie, struct local_reply *reply)
{
	struct spot *old;

	if (sockdiag_cookie(fd, cookie) < 0) {
		reply_fail(reply, EOPNOTSUPP, "the kernel gives the socket no SO_COOKIE");
		return -EOPNOTSUPP;
	}
	old = spot_find(parked, *cookie);
	if (old && old->state != PARKED_FAILED) {
		reply_fail(reply, EALREADY, "the socket is on its way to %s already", old->peer.name);
		return -EALREADY;
	}
	if (old)
		spot_free(old);
	if (parked_count(parked) >= PARKED_MAX) {
		reply_fail(reply, ENOBUFS, "%d connections are being set up at once already", PARKED_MAX);
		return -EAGAIN;
	}
	return 0;
}

void parked_start(struct node *node, int fd, const struct peer *peer, const struct local_request *in,
		  struct local_reply *reply)
{
	const struct lot *where = NULL;
	struct spot *spot;
	uint64_t cookie;
	int rc;

	if (!in->target.port) {
		reply_fail(reply, EINVAL, "port 0: a port of 1 to 65535 is needed");
		return;
	}
	if (lot_examine(fd, reply) < 0 || admit(node->parked, fd, &cookie, reply) < 0)
		return;
	spot = spot_new(node, cookie, peer, in->target.port);
	if (!spot) {
		reply_fail(reply, ENOMEM, "out of memory");
		return;
	}
	spot->session = session_dial(node, peer, spot->port, lot_family(fd), request_timeout(in->timeout_ms),
				     in->route, on_result, NULL, spot);
	if (!spot->session) {
		reply_fail(reply, ENOBUFS, "too many connections are being set up at once");
		spot_free(spot);
		return;
	}
	rc = lot_park(node->parked->lots, fd, &where);
	if (rc == 0)
		rc = endpoint_local(fd, &spot->program);
	if (rc < 0) {
		reply_fail(reply, -rc, "cannot connect to the parking address %s: %s%s", LOT_ADDRESS, strerror(-rc),
			   rc == -ENETUNREACH ? "; is the loopback interface up?" : "");
		spot_free(spot);
		return;
	}
	spot->where = where;
	timer_set(spot->timer, PARKED_LOOK);
}

/* ------------------------------------------------------------ completion */

/* Does the program's socket still wait for us? */
static bool still_there(const struct spot *spot)
{
	struct sockdiag_socket socket;
	int rc = sockdiag_find(&spot->program, &spot->where->address, &socket);

	return rc == 0 ? socket.cookie == spot->cookie : rc != -ENOENT;
}

/* Is the program's socket the other end of what we have got? Anything but a clear "yes" is none */
static bool is_with_us(struct spot *spot)
{
	struct sockdiag_socket socket;

	spot->met = spot->met || (sockdiag_find(&spot->program, &spot->where->address, &socket) == 0 &&
				  socket.cookie == spot->cookie);
	return spot->met;
}

static bool is_established(const struct spot *spot)
{
	struct pollfd end = { .fd = spot->end, .events = POLLOUT };

	return poll(&end, 1, 0) == 1 && !(end.revents & (POLLERR | POLLHUP));
}

/* Cross the program's SYN with ours. Return: 0 or -errno */
static int complete(struct spot *spot)
{
	spot->end = lot_cross(spot->where, &spot->program);
	if (spot->end < 0)
		return spot->end;
	/* At once where it can be: a program that says a word and closes must not be taken for a stranger */
	if (is_established(spot) && !is_with_us(spot))
		return -ENOENT;
	spot->event = event_new(spot->node->base, spot->end, EV_WRITE, spot_on_end, spot);
	if (!spot->event || event_add(spot->event, NULL) < 0)
		return -ENOMEM;
	timer_set(spot->timer, PARKED_COMPLETE);
	return 0;
}

static void cannot_complete(struct spot *spot, int error)
{
	if (error == ECONNREFUSED || error == ENOENT)
		log_info("%s port %u: the program has closed its socket", spot->peer.name, spot->port);
	else
		log_warn("%s port %u: cannot wake the program: %s", spot->peer.name, spot->port, strerror(error));
	spot_free(spot);
}

/* Reasons are kept for a while, but not for everybody */
static void bound_failures(struct parked *parked)
{
	struct spot *spot;

	if (parked->counts[PARKED_FAILED] < PARKED_FAILURES)
		return;
	TAILQ_FOREACH(spot, &parked->spots, link) {
		if (spot->state == PARKED_FAILED) {
			spot_free(spot);
			return;
		}
	}
}

/* PENDING, and the result is known */
static void finish(struct spot *spot)
{
	int rc = still_there(spot) ? complete(spot) : -ENOENT;

	if (rc == 0)
		spot_set_state(spot, spot->result.error ? PARKED_FAILING : PARKED_COMPLETING);
	else if (spot->end < 0 && (rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS) && spot->stuck++ < PARKED_STUCK)
		timer_set(spot->timer, PARKED_AGAIN);
	else
		cannot_complete(spot, -rc);
}

static void on_result(void *arg, const struct session_result *result)
{
	struct spot *spot = arg;

	spot->session = NULL;
	spot->result = *result;
	spot->real = result->error ? -1 : result->fd;
	finish(spot);
}

void spot_fail(struct spot *spot)
{
	bound_failures(spot->node->parked);
	spot_set_state(spot, PARKED_FAILED);
	reset_end(spot);
	timer_set(spot->timer, spot->told ? 0 : PARKED_MEMORY);
}

static void on_completed(struct spot *spot)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(spot->end, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (!error && !is_with_us(spot))
		error = ENOENT;
	if (error) {
		cannot_complete(spot, error);
	} else if (spot->state == PARKED_FAILING) {
		spot_fail(spot);
	} else {
		spot_set_state(spot, PARKED_READY);
		event_assign(spot->event, spot->node->base, spot->end, EV_READ | EV_PERSIST, spot_on_end, spot);
		event_add(spot->event, NULL);
		timer_set(spot->timer, PARKED_CLAIM);
	}
}

static void on_real(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	spot_splice(arg, "the program did not take the socket");
}

void spot_on_end(evutil_socket_t fd, short what, void *arg)
{
	struct spot *spot = arg;
	char scrap[256];
	ssize_t n;

	(void)what;
	switch (spot->state) {
	case PARKED_COMPLETING:
	case PARKED_FAILING:
		on_completed(spot);
		break;
	case PARKED_READY:
	case PARKED_LATE:
		spot_splice(spot, "the program used the parked socket as it is");
		break;
	case PARKED_CLAIMED:
		n = recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			spot_free(spot);
		break;
	case PARKED_PENDING:
	case PARKED_FAILED:
	case PARKED_STATE_COUNT:
		break;
	}
}

static void go_late(struct spot *spot)
{
	spot_set_state(spot, PARKED_LATE);
	spot->real_event = event_new(spot->node->base, spot->real, EV_READ, on_real, spot);
	if (!spot->real_event || event_add(spot->real_event, NULL) < 0)
		spot_splice(spot, "out of memory");
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct spot *spot = arg;

	(void)fd;
	(void)what;
	switch (spot->state) {
	case PARKED_PENDING:
		if (!spot->session)
			finish(spot);
		else if (still_there(spot))
			timer_set(spot->timer, PARKED_LOOK);
		else
			cannot_complete(spot, ENOENT);
		break;
	case PARKED_COMPLETING:
	case PARKED_FAILING:
		cannot_complete(spot, ETIMEDOUT);
		break;
	case PARKED_READY:
		go_late(spot);
		break;
	case PARKED_CLAIMED:
	case PARKED_FAILED:
		spot_free(spot);
		break;
	case PARKED_LATE:
	case PARKED_STATE_COUNT:
		break;
	}
}

/* ------------------------------------------------------------ the table */

struct parked *parked_new(struct node *node)
{
	struct parked *parked = calloc(1, sizeof(*parked));

	if (!parked)
		return NULL;
	parked->node = node;
	TAILQ_INIT(&parked->spots);
	lot_init(parked->lots);
	return parked;
}

void parked_free(struct parked *parked)
{
	struct spot *spot;
	unsigned int i;

	if (!parked)
		return;
	while ((spot = TAILQ_FIRST(&parked->spots)))
		spot_free(spot);
	for (i = 0; i < LOT_COUNT; i++)
		lot_close(&parked->lots[i]);
	free(parked);
}
