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
 *	   |                  | COMPLETING, READY, LATE --claim, to be copied--> spliced
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
#include "resolver/watch.h"

#define PARKED_LOOK	(1 * SECOND)	/* is the program still there? */
/* a loopback handshake takes 0.05 ms; the kernel repeats a lost SYN after 1 s */
#define PARKED_COMPLETE	(1 * SECOND)
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
static_assert(sizeof(parked_edges) / sizeof(parked_edges[0]) == PARKED_STATE_COUNT, "edges of each state");

void parked_socket_set_state(struct parked_socket *sock, enum parked_state state)
{
	assert(parked_edges[sock->state] & 1u << state);
	log_debug("parked socket for %s: %s -> %s", sock->peer.name, parked_names[sock->state], parked_names[state]);
	sock->node->parked->counts[sock->state]--;
	sock->node->parked->counts[state]++;
	sock->state = state;
}

/* By RST, which leaves no TIME_WAIT behind; for a program that failed it is the wake-up */
static void reset_end(struct parked_socket *sock)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	parked_socket_forget_event(&sock->event);
	if (sock->end < 0)
		return;
	setsockopt(sock->end, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(sock->end);
	sock->end = -1;
}

void parked_socket_free(struct parked_socket *sock)
{
	struct parked *parked = sock->node->parked;

	TAILQ_REMOVE(&parked->sockets, sock, link);
	parked->counts[sock->state]--;
	if (sock->session)
		session_cancel(sock->session);
	reset_end(sock);
	parked_socket_forget_event(&sock->real_event);
	parked_socket_forget_event(&sock->timer);
	if (sock->real >= 0)
		close(sock->real);
	free(sock);
}

/* ------------------------------------------------------------ LOCAL_PARK */

struct parked_socket *parked_socket_find(struct parked *parked, uint64_t cookie)
{
	struct parked_socket *sock;

	TAILQ_FOREACH(sock, &parked->sockets, link) {
		if (sock->cookie == cookie && sock->state != PARKED_CLAIMED)
			return sock;
	}
	return NULL;
}

static void on_timer(evutil_socket_t fd, short what, void *arg);
static void on_result(void *arg, const struct session_result *result);

static struct parked_socket *parked_socket_new(struct node *node, uint64_t cookie, const struct peer *peer,
					       uint16_t port)
{
	struct parked_socket *sock = calloc(1, sizeof(*sock));

	if (!sock)
		return NULL;
	sock->timer = event_new(node->base, -1, 0, on_timer, sock);
	if (!sock->timer) {
		free(sock);
		return NULL;
	}
	sock->node = node;
	sock->cookie = cookie;
	sock->peer = *peer;
	sock->port = port;
	sock->end = sock->real = -1;
	TAILQ_INSERT_TAIL(&node->parked->sockets, sock, link);
	node->parked->counts[PARKED_PENDING]++;
	return sock;
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

bool parked_owes(const struct parked *parked)
{
	const struct parked_socket *sock;

	if (!parked || !parked->counts[PARKED_FAILED])
		return false;
	TAILQ_FOREACH(sock, &parked->sockets, link) {
		if (sock->state == PARKED_FAILED && !sock->told)
			return true;
	}
	return false;
}

unsigned int parked_files(const struct parked *parked)
{
	if (!parked)
		return 0;
	return 2 * (parked_count(parked) - parked->counts[PARKED_PENDING]) + parked->counts[PARKED_CLAIMED];
}

/*
 * Room, and nothing under way for this socket: it is unconnected (lot_examine()), so what was under way the program
 * has undone, with connect(AF_UNSPEC) or shutdown(). Return: 0 or -errno with @reply complete
 */
static int admit(struct parked *parked, int fd, uint64_t *cookie, struct local_reply *reply)
{
	struct parked_socket *old;

	if (sockdiag_cookie(fd, cookie) < 0) {
		reply_fail(reply, EOPNOTSUPP, "the kernel gives the socket no SO_COOKIE");
		return -EOPNOTSUPP;
	}
	old = parked_socket_find(parked, *cookie);
	if (old)
		parked_socket_free(old);
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
	struct parked_socket *sock;
	uint64_t cookie;
	int rc;

	if (!in->target.port) {
		reply_fail(reply, EINVAL, "port 0: a port of 1 to 65535 is needed");
		return;
	}
	if (lot_examine(fd, reply) < 0 || admit(node->parked, fd, &cookie, reply) < 0)
		return;
	sock = parked_socket_new(node, cookie, peer, in->target.port);
	if (!sock) {
		reply_fail(reply, ENOMEM, "out of memory");
		return;
	}
	sock->session = session_dial(node, peer, sock->port, lot_family(fd), request_timeout(in->timeout_ms),
				     in->route, on_result, NULL, sock);
	if (!sock->session) {
		reply_fail(reply, ENOBUFS, "too many connections are being set up at once");
		parked_socket_free(sock);
		return;
	}
	rc = lot_park(node->parked->lots, fd, &where);
	if (rc == 0)
		rc = endpoint_local(fd, &sock->program);
	if (rc < 0) {
		reply_fail(reply, -rc, "cannot connect to the parking address %s: %s%s", LOT_ADDRESS, strerror(-rc),
			   rc == -ENETUNREACH ? "; is the loopback interface up?" : "");
		parked_socket_free(sock);
		return;
	}
	sock->where = where;
	timer_set(sock->timer, PARKED_LOOK);
}

/* ------------------------------------------------------------ completion */

/* Does the program's socket still wait for us? */
static bool still_there(const struct parked_socket *sock)
{
	struct sockdiag_socket socket;
	int rc = sockdiag_find(&sock->program, &sock->where->address, &socket);

	return rc == 0 ? socket.cookie == sock->cookie : rc != -ENOENT;
}

/* Is the program's socket the other end of what we have got? Anything but a clear "yes" is none */
static bool is_with_us(struct parked_socket *sock)
{
	struct sockdiag_socket socket;

	sock->met = sock->met || (sockdiag_find(&sock->program, &sock->where->address, &socket) == 0 &&
				  socket.cookie == sock->cookie);
	return sock->met;
}

static bool is_established(const struct parked_socket *sock)
{
	struct pollfd end = { .fd = sock->end, .events = POLLOUT };

	return poll(&end, 1, 0) == 1 && !(end.revents & (POLLERR | POLLHUP));
}

bool parked_socket_is_joined(struct parked_socket *sock)
{
	return is_established(sock) && is_with_us(sock);
}

/* Cross the program's SYN with ours. Return: 0 or -errno */
static int complete(struct parked_socket *sock)
{
	sock->end = lot_cross(sock->where, &sock->program);
	if (sock->end < 0)
		return sock->end;
	/* At once where it can be: a program that says a word and closes must not be taken for a stranger */
	if (is_established(sock) && !is_with_us(sock))
		return -ENOENT;
	sock->event = event_new(sock->node->base, sock->end, EV_WRITE, parked_socket_on_end, sock);
	if (!sock->event || event_add(sock->event, NULL) < 0)
		return -ENOMEM;
	timer_set(sock->timer, PARKED_COMPLETE);
	return 0;
}

static void cannot_complete(struct parked_socket *sock, int error)
{
	if (error == ECONNREFUSED || error == ENOENT)
		log_info("%s port %u: the program has closed its socket", sock->peer.name, sock->port);
	else
		log_warn("%s port %u: cannot wake the program: %s", sock->peer.name, sock->port, strerror(error));
	parked_socket_free(sock);
}

/* Reasons are kept for a while, but not for everybody */
static void bound_failures(struct parked *parked)
{
	struct parked_socket *sock;

	if (parked->counts[PARKED_FAILED] < PARKED_FAILURES)
		return;
	TAILQ_FOREACH(sock, &parked->sockets, link) {
		if (sock->state == PARKED_FAILED) {
			parked_socket_free(sock);
			return;
		}
	}
}

/* PENDING, and the result is known */
static void finish(struct parked_socket *sock)
{
	int rc = still_there(sock) ? complete(sock) : -ENOENT;

	if (rc == 0)
		parked_socket_set_state(sock, sock->result.error ? PARKED_FAILING : PARKED_COMPLETING);
	else if (sock->end < 0 && (rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS) && sock->stuck++ < PARKED_STUCK)
		timer_set(sock->timer, PARKED_AGAIN);
	else
		cannot_complete(sock, -rc);
}

static void on_result(void *arg, const struct session_result *result)
{
	struct parked_socket *sock = arg;

	sock->session = NULL;
	sock->result = *result;
	sock->real = result->error ? -1 : result->fd;
	finish(sock);
}

void parked_socket_fail(struct parked_socket *sock)
{
	bound_failures(sock->node->parked);
	parked_socket_set_state(sock, PARKED_FAILED);
	reset_end(sock);
	timer_set(sock->timer, sock->told ? 0 : PARKED_MEMORY);
}

static void on_completed(struct parked_socket *sock)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(sock->end, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (!error && !is_with_us(sock))
		error = ENOENT;
	if (!error && sock->state != PARKED_FAILING)
		error = -watch_set(sock->event, EV_READ);
	if (error) {
		cannot_complete(sock, error);
	} else if (sock->state == PARKED_FAILING) {
		parked_socket_fail(sock);
	} else {
		parked_socket_set_state(sock, PARKED_READY);
		timer_set(sock->timer, PARKED_CLAIM);
	}
}

static void on_real(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	parked_socket_splice(arg, "the program did not take the socket");
}

void parked_socket_on_end(evutil_socket_t fd, short what, void *arg)
{
	struct parked_socket *sock = arg;
	char scrap[256];
	ssize_t n;

	(void)what;
	switch (sock->state) {
	case PARKED_COMPLETING:
	case PARKED_FAILING:
		on_completed(sock);
		break;
	case PARKED_READY:
	case PARKED_LATE:
		parked_socket_splice(sock, "the program used the parked socket as it is");
		break;
	case PARKED_CLAIMED:
		n = recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			parked_socket_free(sock);
		break;
	case PARKED_PENDING:
	case PARKED_FAILED:
	case PARKED_STATE_COUNT:
		break;
	}
}

static void go_late(struct parked_socket *sock)
{
	parked_socket_set_state(sock, PARKED_LATE);
	sock->real_event = event_new(sock->node->base, sock->real, EV_READ, on_real, sock);
	if (!sock->real_event || event_add(sock->real_event, NULL) < 0)
		parked_socket_splice(sock, "out of memory");
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct parked_socket *sock = arg;

	(void)fd;
	(void)what;
	switch (sock->state) {
	case PARKED_PENDING:
		if (!sock->session)
			finish(sock);
		else if (still_there(sock))
			timer_set(sock->timer, PARKED_LOOK);
		else
			cannot_complete(sock, ENOENT);
		break;
	case PARKED_COMPLETING:
	case PARKED_FAILING:
		cannot_complete(sock, ETIMEDOUT);
		break;
	case PARKED_READY:
		go_late(sock);
		break;
	case PARKED_CLAIMED:
	case PARKED_FAILED:
		parked_socket_free(sock);
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
	TAILQ_INIT(&parked->sockets);
	lot_init(parked->lots);
	return parked;
}

void parked_free(struct parked *parked)
{
	struct parked_socket *sock;
	unsigned int i;

	if (!parked)
		return;
	while ((sock = TAILQ_FIRST(&parked->sockets)))
		parked_socket_free(sock);
	for (i = 0; i < LOT_COUNT; i++)
		lot_close(&parked->lots[i]);
	free(parked);
}
