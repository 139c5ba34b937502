/* SPDX-License-Identifier: MIT */
/*
 * relayleg.c - one side's connection to a relay, up to "joined"
 *
 * The socket becomes the program's own, so what is read here is exactly the
 * RelayReply frame and never a byte after it, and no socket option is changed:
 * the hello is one small write on an idle connection, which Nagle's rule
 * (RFC 9293, 3.7.4) lets out at once.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/convert.h"
#include "common/frame.h"
#include "common/log.h"
#include "common/ticket.h"
#include "resolver/dns.h"
#include "resolver/race.h"
#include "resolver/relayleg.h"
#include "resolver/timer.h"

/* The relay itself gives up waiting for the partner earlier and says so; this is for one that is dead */
#define RELAYLEG_LIMIT	(25 * SECOND)
#define REPLY_MOST	64	/* bytes of a RelayReply; real ones have 2 */

enum relayleg_state {
	RELAYLEG_RESOLVING,	/* DNS; literals too, for the sake of one way */
	RELAYLEG_CONNECTING,
	RELAYLEG_PRESENTING,	/* connected, the ticket is being written */
	RELAYLEG_WAITING,	/* for the reply, which comes with the partner */
	RELAYLEG_STATE_COUNT
};

static const char *const state_names[] = { "resolving", "connecting", "presenting", "waiting" };
static_assert(sizeof(state_names) / sizeof(*state_names) == RELAYLEG_STATE_COUNT, "a name for each state");

struct relayleg {
	struct node *node;
	enum relayleg_state state;
	struct endpoint server;		/* whose offer it is */
	char name[LIMIT_HOST + 16];
	int family;
	struct dns_query *query;
	struct race *race;
	struct event *limit;
	struct event *io;
	int fd;
	uint8_t *hello;			/* frame */
	size_t hello_size, hello_sent;
	uint8_t reply[FRAME_HEADER + REPLY_MOST];
	size_t reply_have;
	relayleg_done *done;
	void *arg;
};

/* States follow each other in their order, each once */
static void relayleg_set_state(struct relayleg *leg, enum relayleg_state to)
{
	assert(to == leg->state + 1);
	log_debug("relay %s: %s -> %s", leg->name, state_names[leg->state], state_names[to]);
	leg->state = to;
}

void relayleg_cancel(struct relayleg *leg)
{
	if (!leg)
		return;
	dns_cancel(leg->query);
	race_cancel(leg->race);
	if (leg->io)
		event_free(leg->io);
	if (leg->limit)
		event_free(leg->limit);
	if (leg->fd >= 0)
		close(leg->fd);
	free(leg->hello);
	free(leg);
}

/* The one end: hand out the socket or the reason */
static void finish(struct relayleg *leg, int error, const char *what)
{
	relayleg_done *done = leg->done;
	void *arg = leg->arg;
	char text[512] = "";
	int fd = -1;

	if (error) {
		snprintf(text, sizeof(text), "relay %s: %s", leg->name, what);
		log_debug("%s", text);
	} else {
		fd = leg->fd;
		leg->fd = -1;
		if (leg->io)	/* before the descriptor changes hands */
			event_del(leg->io);
	}
	relayleg_cancel(leg);
	done(arg, fd, error, text);
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct relayleg *leg = arg;
	char text[64];

	(void)fd;
	(void)what;
	snprintf(text, sizeof(text), "no answer in %llu s (%s)", RELAYLEG_LIMIT / SECOND,
		 state_names[leg->state]);
	finish(leg, -ETIMEDOUT, text);
}

static void on_reply(struct relayleg *leg, const Punch__RelayReply *reply)
{
	switch (reply->status) {
	case PUNCH__RELAY_STATUS__RELAY_JOINED:
		finish(leg, 0, "");
		break;
	case PUNCH__RELAY_STATUS__RELAY_BAD_TICKET:
		finish(leg, -EACCES, "it does not accept the rendezvous's ticket: do both have the same relay-secret?");
		break;
	case PUNCH__RELAY_STATUS__RELAY_EXPIRED:
		finish(leg, -ETIME, "the ticket has expired: are the clocks of rendezvous and relay right?");
		break;
	case PUNCH__RELAY_STATUS__RELAY_USED:
		finish(leg, -EALREADY, "the ticket was used before");
		break;
	case PUNCH__RELAY_STATUS__RELAY_NO_PARTNER:
		finish(leg, -EHOSTUNREACH, "the other side did not come to it");
		break;
	case PUNCH__RELAY_STATUS__RELAY_LIMIT:
		finish(leg, -EAGAIN, "it is full, or this address asks too often");
		break;
	default:
		finish(leg, -EPROTO, "it gave an answer that this version does not know");
	}
}

/* How many bytes may be read without taking one of the pipe's? */
static ssize_t reply_wanted(const struct relayleg *leg)
{
	ssize_t size = frame_size(leg->reply, leg->reply_have);

	if (!size)
		return (ssize_t)(FRAME_HEADER - leg->reply_have);
	if (size < 0 || (size_t)size > sizeof(leg->reply))
		return -EMSGSIZE;
	return size - (ssize_t)leg->reply_have;
}

static void receive_reply(struct relayleg *leg)
{
	ssize_t wanted, n;
	ProtobufCMessage *reply;

	while ((wanted = reply_wanted(leg)) > 0) {
		n = recv(leg->fd, leg->reply + leg->reply_have, (size_t)wanted, 0);
		if (n < 0 && (errno == EINTR))
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			finish(leg, n ? -errno : -ECONNRESET,
			       n ? strerror(errno) : "it closed the connection without an answer");
			return;
		}
		leg->reply_have += (size_t)n;
	}
	reply = wanted ? NULL : frame_unpack(&punch__relay_reply__descriptor, leg->reply, leg->reply_have);
	if (!reply) {
		finish(leg, -EPROTO, "it sent something that is no answer: is it a punch-relay?");
		return;
	}
	event_del(leg->io);
	on_reply(leg, (const Punch__RelayReply *)reply);
	protobuf_c_message_free_unpacked(reply, NULL);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	receive_reply(arg);
}

static int watch(struct relayleg *leg, short what, event_callback_fn callback)
{
	if (leg->io)
		event_free(leg->io);
	leg->io = event_new(leg->node->base, leg->fd, (short)(what | EV_PERSIST), callback, leg);
	return leg->io && !event_add(leg->io, NULL) ? 0 : -ENOMEM;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct relayleg *leg = arg;
	ssize_t n;

	(void)what;
	n = send(fd, leg->hello + leg->hello_sent, leg->hello_size - leg->hello_sent, MSG_NOSIGNAL);
	if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (n < 0) {
		finish(leg, -errno, strerror(errno));
		return;
	}
	leg->hello_sent += (size_t)n;
	if (leg->hello_sent < leg->hello_size)
		return;
	relayleg_set_state(leg, RELAYLEG_WAITING);
	if (watch(leg, EV_READ, on_readable))
		finish(leg, -ENOMEM, "out of memory");
}

static void on_race(void *arg, int fd, const struct endpoint *reached, int error, const char *text)
{
	struct relayleg *leg = arg;

	(void)reached;
	leg->race = NULL;
	if (error) {
		finish(leg, error, text);
		return;
	}
	leg->fd = fd;
	relayleg_set_state(leg, RELAYLEG_PRESENTING);
	if (watch(leg, EV_WRITE, on_writable))
		finish(leg, -ENOMEM, "out of memory");
}

static void on_addresses(void *arg, int error, const char *text, const struct endpoint *results,
			 unsigned int count)
{
	struct endpoint kept[DNS_RESULTS];
	struct relayleg *leg = arg;

	leg->query = NULL;
	if (error) {
		finish(leg, error, text);
		return;
	}
	/* a name is judged by what it leads to */
	count = endpoint_keep_referred(&leg->server, results, count, kept);
	if (!count) {
		finish(leg, -EACCES,
		       "refused: it is on this host or in a private network, which its rendezvous is not");
		return;
	}
	leg->race = race_new(leg->node->base, kept, count, leg->family, RELAYLEG_LIMIT, on_race, leg);
	if (!leg->race) {
		finish(leg, -ENOMEM, "out of memory");
		return;
	}
	relayleg_set_state(leg, RELAYLEG_CONNECTING);
}

static int make_hello(struct relayleg *leg, const uint8_t *ticket, size_t size)
{
	Punch__RelayHello hello;
	uint8_t *copy = malloc(size ? size : 1);
	ssize_t packed;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, ticket, size);
	punch__relay_hello__init(&hello);
	hello.ticket.data = copy;
	hello.ticket.len = size;
	packed = frame_pack(&hello.base, &leg->hello);
	free(copy);
	if (packed < 0)
		return (int)packed;
	leg->hello_size = (size_t)packed;
	return 0;
}

struct relayleg *relayleg_new(struct node *node, const struct endpoint *server, const char *address,
			      uint16_t port, int family, const uint8_t *ticket, size_t size, relayleg_done *done,
			      void *arg)
{
	struct relayleg *leg = size <= TICKET_MAX ? calloc(1, sizeof(*leg)) : NULL;
	char where[ENDPOINT_TEXT_SIZE];
	struct endpoint ep;

	if (!leg)
		return NULL;
	leg->node = node;
	leg->server = *server;
	leg->family = family;
	leg->fd = -1;
	leg->done = done;
	leg->arg = arg;
	/* With its port in the text: relays are not looked for in SRV */
	if (endpoint_parse(&ep, address, port))
		snprintf(leg->name, sizeof(leg->name), "%.*s:%u", LIMIT_HOST - 1, address, port);
	else
		snprintf(leg->name, sizeof(leg->name), "%s", endpoint_format(&ep, where));
	leg->limit = evtimer_new(node->base, on_limit, leg);
	if (!leg->limit || timer_set(leg->limit, RELAYLEG_LIMIT) || make_hello(leg, ticket, size))
		goto fail;
	leg->query = dns_lookup(node->dns, leg->name, port, on_addresses, leg);
	if (!leg->query)
		goto fail;
	return leg;
fail:
	relayleg_cancel(leg);
	return NULL;
}
