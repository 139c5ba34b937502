/* SPDX-License-Identifier: MIT */
/*
 * visitor.c - one side from its accept to its join
 *
 *	HELLO ----good ticket, partner waits----------------> JOINED (pump.c)
 *	HELLO ----good ticket--> WAITING --partner came-----> JOINED
 *	HELLO, WAITING ---refused, no partner in time-------> LEAVING --> GONE
 *	HELLO ---no hello in time, broken connection--------> GONE
 *	WAITING -connection broken or given up--------------> GONE
 *
 * Not a byte behind the hello is read here: a side that sends at once finds its
 * bytes in the kernel's queue when the pump starts.
 */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/frame.h"
#include "common/log.h"
#include "common/places.h"
#include "common/punch.pb-c.h"
#include "common/sources.h"
#include "relay/keys.h"
#include "relay/limits.h"
#include "relay/lobby.h"
#include "relay/loop.h"
#include "relay/nonces.h"
#include "relay/pump.h"
#include "relay/room.h"
#include "relay/stats.h"
#include "relay/visitor.h"

enum visitor_state {
	VISITOR_HELLO,		/* its RelayHello is being read */
	VISITOR_WAITING,	/* sits in the lobby; nothing is read */
	/* has got its refusal; what it still sends is thrown away, so that no RST overtakes it */
	VISITOR_LEAVING,
	VISITOR_GONE,		/* joined or closed; memory goes at the end of this round of events */
	VISITOR_STATE_COUNT
};

static const char *const visitor_state_names[] = { "hello", "waiting", "leaving", "gone" };
static_assert(sizeof(visitor_state_names) / sizeof(visitor_state_names[0]) == VISITOR_STATE_COUNT,
	      "one name a state");

TAILQ_HEAD(visitor_list, visitor);

struct visitor {
	struct watch watch;
	struct grave grave;
	struct lobby_seat seat;
	struct place place;		/* among the strangers, or from a good ticket on among those who wait */
	enum visitor_state state;
	struct endpoint from;
	uint64_t deadline;		/* of HELLO and LEAVING; the lobby has that of WAITING */
	TAILQ_ENTRY(visitor) link;	/* in a list by state; deadlines ascend */
	size_t have;			/* HELLO: bytes of frame; LEAVING: bytes thrown away */
	uint8_t frame[RELAY_HELLO_MAX + FRAME_HEADER];
};

static struct visitor_list lists[VISITOR_STATE_COUNT];
static uint8_t ticket_secret[RELAY_SECRET_SIZE];
static struct lobby *lobby;
static struct nonces *nonces;
static struct sources *sources;
static struct places *strangers, *waiters;

int visitors_open(const uint8_t secret[RELAY_SECRET_SIZE], unsigned int descriptors,
		  unsigned int pairs)
{
	const unsigned int most_strangers = places_fit(RELAY_STRANGERS, descriptors, RELAY_STRANGERS_FIT);
	const unsigned int most_waiters = places_fit(RELAY_VISITORS, descriptors, RELAY_VISITORS_FIT);
	const unsigned int fits = places_fit(RELAY_PER_SOURCE, 2 * pairs, RELAY_PER_SOURCE_FIT);
	const unsigned int per_source = fits > RELAY_PER_SOURCE_LEAST ? fits : RELAY_PER_SOURCE_LEAST;

	memcpy(ticket_secret, secret, sizeof(ticket_secret));
	for (int i = 0; i < VISITOR_STATE_COUNT; i++)
		TAILQ_INIT(&lists[i]);
	lobby = lobby_new(RELAY_PARTNER_TIME);
	nonces = nonces_new(RELAY_NONCES, RELAY_NONCES_PART);
	sources = sources_new(RELAY_SOURCES, per_source, &RELAY_HELLO_RATE);
	strangers = places_new(most_strangers,
			       places_fit(RELAY_STRANGERS_SHARE, most_strangers, STRANGERS_SHARE_FIT),
			       RELAY_STRANGER_TIME);
	waiters = places_new(most_waiters, places_fit(RELAY_PER_SOURCE, most_waiters, 2), NEVER);
	return lobby && nonces && sources && strangers && waiters ? 0 : -ENOMEM;
}

static bool is_edge(enum visitor_state from, enum visitor_state to)
{
	static const bool edges[VISITOR_STATE_COUNT][VISITOR_STATE_COUNT] = {
		[VISITOR_HELLO] = {
			[VISITOR_WAITING] = true, [VISITOR_LEAVING] = true, [VISITOR_GONE] = true,
		},
		[VISITOR_WAITING] = { [VISITOR_LEAVING] = true, [VISITOR_GONE] = true },
		[VISITOR_LEAVING] = { [VISITOR_GONE] = true },
	};

	return edges[from][to];
}

static void visitor_set_state(struct visitor *visitor, enum visitor_state state)
{
	char text[ENDPOINT_TEXT_SIZE];

	assert(is_edge(visitor->state, state));
	if (log_enabled(LOG_LEVEL_DEBUG))
		log_debug("%s: %s -> %s", endpoint_format(&visitor->from, text),
			  visitor_state_names[visitor->state], visitor_state_names[state]);
	TAILQ_REMOVE(&lists[visitor->state], visitor, link);
	visitor->state = state;
	TAILQ_INSERT_TAIL(&lists[state], visitor, link);
}

static void count_places(void)
{
	stats.strangers_now = places_taken(strangers);
	stats.waiting_now = places_taken(waiters);
}

/* The descriptor is closed, or belongs to a pair already */
static void visitor_gone(struct visitor *visitor)
{
	lobby_leave(lobby, &visitor->seat);
	loop_end(&visitor->watch);
	visitor_set_state(visitor, VISITOR_GONE);
	TAILQ_REMOVE(&lists[VISITOR_GONE], visitor, link);
	places_leave(&visitor->place);
	stats.visitors_now--;
	count_places();
	loop_free(&visitor->grave, visitor);
}

static void visitor_drop(struct visitor *visitor, uint64_t now)
{
	sources_release(sources, &visitor->from, now);
	visitor_gone(visitor);
}

static int reply(int fd, Punch__RelayStatus status)
{
	Punch__RelayReply message = PUNCH__RELAY_REPLY__INIT;
	uint8_t *frame;
	ssize_t size, sent;

	message.status = status;
	size = frame_pack(&message.base, &frame);
	if (size < 0)
		return (int)size;
	/* The first bytes on this socket: they always fit */
	sent = send(fd, frame, (size_t)size, MSG_NOSIGNAL);
	free(frame);
	return sent == size ? 0 : -EPIPE;
}

static void visitor_refuse(struct visitor *visitor, Punch__RelayStatus status, enum refusal refusal,
			   uint64_t now)
{
	static struct log_limit limit;
	char text[ENDPOINT_TEXT_SIZE];

	stats.refused[refusal]++;
	if (log_enabled(LOG_LEVEL_INFO) && log_limited(&limit))
		log_info("%s: refused: %s", endpoint_format(&visitor->from, text),
			 protobuf_c_enum_descriptor_get_value(&punch__relay_status__descriptor,
							      (int)status)->name);
	lobby_leave(lobby, &visitor->seat);
	if (reply(visitor->watch.fd, status) || shutdown(visitor->watch.fd, SHUT_WR)) {
		visitor_drop(visitor, now);
		return;
	}
	visitor->have = 0;
	visitor->deadline = now + RELAY_LEAVE_TIME;
	visitor_set_state(visitor, VISITOR_LEAVING);
}

/* One more pair for both keys of a ticket. Return: false when one of them has its number, told */
static bool hold_keys(const struct ticket *ticket, struct key_use *uses[2], uint64_t now)
{
	const uint8_t *key = ticket->caller_key;
	static struct log_limit limit;
	int err = key_hold(key, &uses[0], now);

	if (!err) {
		key = ticket->callee_key;
		err = key_hold(key, &uses[1], now);
		if (err)
			key_release(uses[0]);
	}
	if (err == -EUSERS && log_limited(&limit))
		log_warn("key %02x%02x%02x%02x...: has as many pairs as one key may have (pairs-per-key)",
			 key[0], key[1], key[2], key[3]);
	return !err;
}

static void visitors_join(struct visitor *a, struct visitor *b, const struct ticket *ticket, uint64_t now)
{
	static struct log_limit limit;
	struct key_use *uses[2];

	if (pump_is_full()) {
		if (log_limited(&limit))
			log_warn("%u pairs, as many as there may be: new ones are refused", stats.pairs_now);
		visitor_refuse(a, PUNCH__RELAY_STATUS__RELAY_LIMIT, REFUSED_LIMIT, now);
		visitor_refuse(b, PUNCH__RELAY_STATUS__RELAY_LIMIT, REFUSED_LIMIT, now);
		return;
	}
	if (!hold_keys(ticket, uses, now)) {
		visitor_refuse(a, PUNCH__RELAY_STATUS__RELAY_LIMIT, REFUSED_KEY, now);
		visitor_refuse(b, PUNCH__RELAY_STATUS__RELAY_LIMIT, REFUSED_KEY, now);
		return;
	}
	/* Replies first: the pump's bytes come right behind them */
	if (reply(a->watch.fd, PUNCH__RELAY_STATUS__RELAY_JOINED)) {
		visitor_drop(a, now);
		visitor_refuse(b, PUNCH__RELAY_STATUS__RELAY_NO_PARTNER, REFUSED_PARTNER, now);
	} else if (reply(b->watch.fd, PUNCH__RELAY_STATUS__RELAY_JOINED) ||
		   pump_join(&a->watch, &a->from, &b->watch, &b->from, uses, now)) {
		/* The other one was told JOINED: for it the path just ends */
		visitor_drop(a, now);
		visitor_drop(b, now);
	} else {
		visitor_gone(a);
		visitor_gone(b);
		return;
	}
	key_release(uses[0]);
	key_release(uses[1]);
}

static struct visitor *visitor_of_seat(struct lobby_seat *seat)
{
	return (struct visitor *)(void *)((char *)seat - offsetof(struct visitor, seat));
}

/*
 * A place among strangers or among those who wait, maybe that of another one, which goes.
 * Return: false when there is none
 */
static bool visitor_place(struct visitor *visitor, struct places *places, uint64_t now)
{
	struct visitor *other;
	struct place *loser;
	int err;

	places_leave(&visitor->place);
	err = places_take(places, &visitor->place, &visitor->from, now, &loser);
	if (loser) {
		other = (struct visitor *)(void *)((char *)loser - offsetof(struct visitor, place));
		stats.refused[REFUSED_CROWD]++;
		if (other->state == VISITOR_WAITING)
			reply(other->watch.fd, PUNCH__RELAY_STATUS__RELAY_LIMIT);
		visitor_drop(other, now);
	}
	count_places();
	return !err;
}

static void visitor_seat(struct visitor *visitor, const struct ticket *ticket, uint64_t now)
{
	struct lobby_seat *partner, *displaced;

	partner = lobby_enter(lobby, &visitor->seat, ticket, now, &displaced);
	if (displaced)
		visitor_refuse(visitor_of_seat(displaced), PUNCH__RELAY_STATUS__RELAY_USED,
			       REFUSED_USED, now);
	if (partner)
		visitors_join(visitor_of_seat(partner), visitor, ticket, now);
	else if (visitor_place(visitor, waiters, now))
		visitor_set_state(visitor, VISITOR_WAITING);
	else
		visitor_refuse(visitor, PUNCH__RELAY_STATUS__RELAY_LIMIT, REFUSED_LIMIT, now);
}

/* Is the ticket in a whole frame good for a seat? Return: 0 or -errno of ticket_open() or nonces_use() */
static int ticket_check(const struct visitor *visitor, struct ticket *ticket)
{
	uint64_t now_s = (uint64_t)time(NULL);
	Punch__RelayHello *hello;
	int err;

	hello = (Punch__RelayHello *)frame_unpack(&punch__relay_hello__descriptor, visitor->frame,
						  visitor->have);
	if (!hello)
		return -EBADMSG;
	err = ticket_open(ticket, ticket_secret, hello->ticket.data, hello->ticket.len, now_s);
	protobuf_c_message_free_unpacked(&hello->base, NULL);
	return err ? err : nonces_use(nonces, ticket->nonce, &visitor->from, ticket->expires_s, now_s);
}

static void visitor_hello(struct visitor *visitor, uint64_t now)
{
	struct ticket ticket;

	switch (ticket_check(visitor, &ticket)) {
	case 0:
		visitor_seat(visitor, &ticket, now);
		break;
	case -ETIME:
		visitor_refuse(visitor, PUNCH__RELAY_STATUS__RELAY_EXPIRED, REFUSED_EXPIRED, now);
		break;
	case -EALREADY:
		visitor_refuse(visitor, PUNCH__RELAY_STATUS__RELAY_USED, REFUSED_USED, now);
		break;
	case -EUSERS:
	case -ENOBUFS:
	case -ENOMEM:
		visitor_refuse(visitor, PUNCH__RELAY_STATUS__RELAY_LIMIT, REFUSED_LIMIT, now);
		break;
	default:
		visitor_refuse(visitor, PUNCH__RELAY_STATUS__RELAY_BAD_TICKET, REFUSED_TICKET, now);
	}
}

/* Bytes that the hello still lacks, 0 when it is whole, or -EMSGSIZE */
static ssize_t hello_lacks(const struct visitor *visitor)
{
	ssize_t whole = frame_size(visitor->frame, visitor->have);

	if (whole < 0)
		return whole;
	if (!whole)
		return (ssize_t)(FRAME_HEADER - visitor->have);
	if ((size_t)whole > sizeof(visitor->frame))
		return -EMSGSIZE;
	return whole - (ssize_t)visitor->have;
}

static void visitor_read(struct visitor *visitor, uint64_t now)
{
	ssize_t lacks, n;

	while ((lacks = hello_lacks(visitor)) > 0) {
		n = recv(visitor->watch.fd, visitor->frame + visitor->have, (size_t)lacks, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			visitor_drop(visitor, now);
			return;
		}
		visitor->have += (size_t)n;
	}
	if (lacks < 0)
		visitor_refuse(visitor, PUNCH__RELAY_STATUS__RELAY_BAD_TICKET, REFUSED_TICKET, now);
	else
		visitor_hello(visitor, now);
}

/* A side that closed without sending anything has given up; one that sent and half-closed has not */
static bool has_given_up(const struct visitor *visitor, uint32_t events)
{
	char byte;

	return (events & (EPOLLHUP | EPOLLERR)) ||
	       ((events & EPOLLRDHUP) &&
		recv(visitor->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0);
}

/* Return: true when it has closed, or sent more than we are willing to throw away */
static bool has_left(struct visitor *visitor)
{
	char rubbish[4096];
	ssize_t n;

	while (visitor->have < RELAY_DISCARD) {
		n = recv(visitor->watch.fd, rubbish, sizeof(rubbish), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 || errno != EAGAIN;
		visitor->have += (size_t)n;
	}
	return true;
}

static void visitor_ready(struct watch *watch, uint32_t events, uint64_t now)
{
	struct visitor *visitor = (struct visitor *)watch;	/* its first member */

	if (visitor->state == VISITOR_HELLO)
		visitor_read(visitor, now);
	else if (visitor->state == VISITOR_WAITING ? has_given_up(visitor, events) : has_left(visitor))
		visitor_drop(visitor, now);
}

static void set_options(int fd)
{
	const struct { int level, name, value; } options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_OOBINLINE, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, RELAY_KEEP_IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, RELAY_KEEP_INTERVAL_S },
		{ IPPROTO_TCP, TCP_KEEPCNT, RELAY_KEEP_COUNT },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, RELAY_USER_TIMEOUT_MS },
	};

	/* Each of them is an improvement, none a condition: failures show in nothing but timing */
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			   sizeof(options[i].value));
}

void visitor_new(int fd, const struct endpoint *from, uint64_t now)
{
	struct visitor *visitor;

	stats.visitors++;
	if (sources_admit(sources, from, now)) {
		stats.refused[REFUSED_SOURCE]++;
		close(fd);
		return;
	}
	visitor = calloc(1, sizeof(*visitor));
	if (visitor)
		visitor->from = *from;
	if (!visitor || !visitor_place(visitor, strangers, now)) {
		stats.refused[REFUSED_LIMIT]++;
		reply(fd, PUNCH__RELAY_STATUS__RELAY_LIMIT);
		close(fd);
		free(visitor);
		sources_release(sources, from, now);
		return;
	}
	set_options(fd);
	room_visit(fd);
	visitor->watch.fd = fd;
	visitor->watch.ready = visitor_ready;
	visitor->deadline = now + RELAY_HELLO_TIME;
	TAILQ_INSERT_TAIL(&lists[VISITOR_HELLO], visitor, link);
	stats.visitors_now++;
	if (loop_add(&visitor->watch, EPOLLIN | EPOLLRDHUP))
		visitor_drop(visitor, now);
}

void visitor_released(const struct endpoint *from, uint64_t now)
{
	sources_release(sources, from, now);
}

static struct visitor *visitor_late(enum visitor_state state, uint64_t now)
{
	struct visitor *visitor = TAILQ_FIRST(&lists[state]);

	return visitor && visitor->deadline <= now ? visitor : NULL;
}

uint64_t visitors_run(uint64_t now)
{
	const struct visitor *first[2];
	struct lobby_seat *seat;
	struct visitor *visitor;
	uint64_t next;

	while ((visitor = visitor_late(VISITOR_HELLO, now))) {
		stats.refused[REFUSED_SLOW]++;
		visitor_drop(visitor, now);
	}
	while ((seat = lobby_expired(lobby, now)))
		visitor_refuse(visitor_of_seat(seat), PUNCH__RELAY_STATUS__RELAY_NO_PARTNER,
			       REFUSED_PARTNER, now);
	while ((visitor = visitor_late(VISITOR_LEAVING, now)))
		visitor_drop(visitor, now);
	next = lobby_deadline(lobby);
	first[0] = TAILQ_FIRST(&lists[VISITOR_HELLO]);
	first[1] = TAILQ_FIRST(&lists[VISITOR_LEAVING]);
	for (int i = 0; i < 2; i++)
		if (first[i])
			next = clock_before(next, first[i]->deadline);
	return next;
}

void visitors_close(uint64_t now)
{
	struct visitor *visitor;

	for (int state = 0; state < VISITOR_GONE; state++)
		while ((visitor = TAILQ_FIRST(&lists[state])))
			visitor_drop(visitor, now);
	lobby_free(lobby);
	nonces_free(nonces);
	sources_free(sources);
	places_free(strangers);
	places_free(waiters);
	explicit_bzero(ticket_secret, sizeof(ticket_secret));
}
