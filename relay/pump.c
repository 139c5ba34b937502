/* SPDX-License-Identifier: MIT */
/*
 * pump.c - joined pairs: bytes from each side to the other until both have ended
 *
 * Theory of operation
 * -------------------
 *
 * A pair has two ends (sockets) and two flows (directions); both flows run the same code. A flow takes bytes from
 * its source into a borrowed carrier (a pipe, by splice) and from there to its sink.  It fills only an
 * empty carrier and only when the sink is believed writable, so that a stalled reader stops the reading of its
 * source: what the source goes on sending stays in the kernel, whose buffers are capped, and then in the source.
 * A carrier that is empty goes back to the pool at the end of the turn.
 *
 * Readiness.  Each end keeps two beliefs, readable and writable; events make them true, EAGAIN makes them false,
 * and after every event both flows are run from these beliefs alone.  The
 * epoll registration is edge-triggered and never changes.  Level-triggered was not an option: EPOLLHUP cannot be
 * masked, and an end that has sent and got its FIN while its last bytes wait for a
 * stalled sink would spin.  The invariant, asserted after each turn: a flow that has not ended
 * either is queued for another turn, or waits for an event on the end whose belief is false.
 *
 * EAGAIN of a splice from socket to pipe may mean "pipe full"; it never does here because only empty carriers are filled.
 * It may also mean "urgent data next" (telnet, FTP), which splice never passes: from EPOLLPRI on the source
 * is read by recv().  Likewise its "end of file" is believed only when recv() sees none, too.  The urgent byte stays in its place of the stream (SO_OOBINLINE); that it was urgent is lost.
 *
 * End of file.  The source's FIN puts the flow in ENDING; when the carrier is empty, shutdown(SHUT_WR) passes the FIN
 * on: ENDED.  The other flow does not notice.  When both have ended the sockets are closed; what is in
 * their send queues the kernel still delivers.
 *
 * Reset.  A source that was reset may have sent bytes before (a server that closes with a request unread sends its answer
 * and then RST); over a direct connection the reader would still get them.  So the flow
 * from the dead end goes on until the kernel has no more of its bytes, the sink has acknowledged them
 * or 5 s have passed, and only then is the sink reset. The flow towards the dead end stops at once.  There is no event
 * for "acknowledged": the list `flushes` is looked at every 10 ms, so many pairs at most each time, in turn.  Whoever
 * resets pairs whose readers are shut so costs others nothing that grows with their number.
 *
 * Rate.  Where keys have a limit of bytes a second, both keys of a pair pay for what is taken from its sources.  While one of them
 * is too far ahead nothing is taken: back-pressure, as from a stalled sink.  Such a pair is in the list `held`, which is
 * looked at every 10 ms at most; it moves to the end when it has taken something, so that all pairs of a key have their turns.
 * What a dead end has left is passed on at once.
 *
 *	JOINED --both flows ended--> OVER
 *	JOINED --an end was reset--> FLUSHING --flushed, time over, other end reset too--> OVER
 */
#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"
#include "relay/carrier.h"
#include "relay/keys.h"
#include "relay/limits.h"
#include "relay/pump.h"
#include "relay/room.h"
#include "relay/stats.h"

enum pair_state {
	PAIR_JOINED,		/* bytes go both ways, or one way when a flow has ended */
	PAIR_FLUSHING,		/* one end is dead; its last bytes go to the other one */
	PAIR_OVER,		/* closed; memory goes at the end of this round of events */
	PAIR_STATE_COUNT
};

static const char *const pair_state_names[] = { "joined", "flushing", "over" };
static_assert(sizeof(pair_state_names) / sizeof(pair_state_names[0]) == PAIR_STATE_COUNT,
	      "one name a state");

enum flow_state {
	FLOW_MOVING,		/* the source may send more */
	FLOW_ENDING,		/* the source has ended; the carrier may hold bytes */
	FLOW_ENDED		/* the end was passed on, or there is nobody to pass it to */
};

struct pair;

struct end {
	struct watch watch;
	struct pair *pair;
	struct endpoint from;
	bool readable, writable;	/* beliefs */
	bool reset;			/* the connection is dead, not closed */
	bool urgent;			/* sent TCP urgent data: splice() stops before it for ever, recv() does not */
};

struct flow {
	enum flow_state state;
	struct end *source, *sink;
	struct carrier *carrier;	/* borrowed, or NULL */
	size_t waiting;			/* bytes in it */
	uint64_t bytes;			/* passed to the sink */
	struct room room;
};

TAILQ_HEAD(pair_list, pair);

struct pair {
	struct grave grave;
	enum pair_state state;
	uint64_t id;			/* for the log */
	uint64_t deadline;		/* of FLUSHING */
	uint64_t looked;		/* in FLUSHING: when last */
	struct end ends[2];
	struct flow flows[2];		/* flows[i] goes out of ends[i] */
	bool queued;			/* in turns */
	bool is_held;			/* in held */
	struct key_use *uses[2];
	uint64_t ready_at;		/* when both keys may have more carried; 0: now */
	TAILQ_ENTRY(pair) all, turn, flush, hold;
};

static struct pair_list pairs = TAILQ_HEAD_INITIALIZER(pairs);
static struct pair_list turns = TAILQ_HEAD_INITIALIZER(turns);		/* used up their turn */
static struct pair_list held = TAILQ_HEAD_INITIALIZER(held);		/* wait for the rate of a key */
static struct pair_list flushes = TAILQ_HEAD_INITIALIZER(flushes);	/* FLUSHING */
static uint64_t held_look = NEVER;	/* when to look at held again */
static uint64_t flush_look = NEVER;	/* when to look at flushes again */
static void (*pump_released)(const struct endpoint *from, uint64_t now);

struct stats stats;

void pump_open(void (*released)(const struct endpoint *from, uint64_t now))
{
	pump_released = released;
}

static void pair_set_state(struct pair *pair, enum pair_state state)
{
	assert(state > pair->state);	/* never back */
	log_debug("pair %llu: %s -> %s", (unsigned long long)pair->id,
		  pair_state_names[pair->state], pair_state_names[state]);
	pair->state = state;
}

static void carrier_drop(struct flow *flow)
{
	if (flow->carrier)
		carrier_return(flow->carrier, flow->waiting);
	flow->carrier = NULL;
	flow->waiting = 0;
}

/* Close without FIN: a side must not take an abort for the regular end */
static void end_abort(struct end *end)
{
	const struct linger rst = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(end->watch.fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
}

static void pair_over(struct pair *pair, bool abort, uint64_t now)
{
	char a[ENDPOINT_TEXT_SIZE], b[ENDPOINT_TEXT_SIZE];

	if (pair->state == PAIR_FLUSHING)
		TAILQ_REMOVE(&flushes, pair, flush);
	if (pair->queued)
		TAILQ_REMOVE(&turns, pair, turn);
	if (pair->is_held)
		TAILQ_REMOVE(&held, pair, hold);
	TAILQ_REMOVE(&pairs, pair, all);
	pair->is_held = false;
	pair->queued = false;
	pair_set_state(pair, PAIR_OVER);
	log_info("pair %llu: %s sent %llu bytes, %s sent %llu bytes%s",
		 (unsigned long long)pair->id, endpoint_format(&pair->ends[0].from, a),
		 (unsigned long long)pair->flows[0].bytes, endpoint_format(&pair->ends[1].from, b),
		 (unsigned long long)pair->flows[1].bytes, abort ? ", reset" : "");
	for (int i = 0; i < 2; i++) {
		carrier_drop(&pair->flows[i]);
		room_leave(&pair->flows[i].room);
		if (abort)
			end_abort(&pair->ends[i]);
		loop_end(&pair->ends[i].watch);
		pump_released(&pair->ends[i].from, now);
		key_release(pair->uses[i]);
	}
	stats.pairs_now--;
	stats.resets += abort;
	loop_free(&pair->grave, pair);
}

/* A connection died: nothing can go to it any more, what came from it still counts */
static void end_died(struct end *end)
{
	struct pair *pair = end->pair;
	struct flow *towards = &pair->flows[end == &pair->ends[0] ? 1 : 0];

	end->reset = true;
	end->readable = true;
	carrier_drop(towards);
	towards->state = FLOW_ENDED;
}

/* Bytes into an empty carrier. Return: as carrier_fill() */
static ssize_t flow_take(struct flow *flow)
{
	struct end *source = flow->source;
	ssize_t n = -ENOMEM;
	char byte;

	if (!flow->carrier)
		flow->carrier = carrier_borrow(source->urgent);
	if (flow->carrier)
		n = carrier_fill(flow->carrier, source->watch.fd);
	/* Before an urgent byte that the FIN has followed already, splice() says "end of file" */
	if (n == 0 && !source->urgent &&
	    recv(source->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0) {
		source->urgent = true;
		carrier_drop(flow);
		return flow_take(flow);
	}
	return n;
}

/* A key's rate is used up */
static bool flow_is_held(const struct flow *flow)
{
	return flow->state == FLOW_MOVING && !flow->source->reset && flow->source->pair->ready_at;
}

static void flow_pay(const struct flow *flow, uint64_t now)
{
	struct pair *pair = flow->source->pair;

	keys_charge(pair->uses, flow->waiting, now);
	pair->ready_at = keys_wait(pair->uses, now);
}

/* Return: true when bytes wait in the carrier */
static bool flow_fill(struct flow *flow, uint64_t now)
{
	ssize_t n;

	if (flow->state != FLOW_MOVING || !flow->source->readable || !flow->sink->writable ||
	    flow_is_held(flow))
		return false;
	n = flow_take(flow);
	if (n > 0) {
		flow->waiting = (size_t)n;
		flow_pay(flow, now);
		return true;
	}
	if (n == -EAGAIN) {
		flow->source->readable = false;
		return false;
	}
	flow->state = FLOW_ENDING;
	if (n < 0 && !flow->source->reset)
		end_died(flow->source);
	return false;
}

/* Return: true when the carrier is empty */
static bool flow_drain(struct flow *flow)
{
	ssize_t n;

	while (flow->waiting && flow->sink->writable) {
		n = carrier_drain(flow->carrier, flow->sink->watch.fd, flow->waiting);
		if (n > 0) {
			flow->waiting -= (size_t)n;
			flow->bytes += (uint64_t)n;
			stats.bytes += (uint64_t)n;
		} else if (n == -EAGAIN) {
			flow->sink->writable = false;
		} else {
			end_died(flow->sink);
		}
	}
	return !flow->waiting;
}

/* Return: true when it used up its turn and has more to do */
static bool flow_run(struct flow *flow, uint64_t now)
{
	bool more = true;

	for (int i = 0; more && i < RELAY_TURN; i++)
		more = (flow->waiting || flow_fill(flow, now)) && flow_drain(flow) &&
		       flow->state == FLOW_MOVING;
	if (flow->waiting)
		return false;
	carrier_drop(flow);
	if (flow->state == FLOW_ENDING) {
		if (!flow->source->reset)
			shutdown(flow->sink->watch.fd, SHUT_WR);
		flow->state = FLOW_ENDED;
	}
	return more;
}

static bool flow_waits(const struct flow *flow)
{
	return flow->state == FLOW_ENDED || !flow->sink->writable ||
	       (!flow->waiting && (!flow->source->readable || flow_is_held(flow)));
}

/* Has the living end got everything that the dead one sent? */
static bool is_flushed(const struct pair *pair)
{
	const struct flow *flow = &pair->flows[pair->ends[0].reset ? 0 : 1];
	int queued = 0;

	return flow->state == FLOW_ENDED &&
	       (ioctl(flow->sink->watch.fd, SIOCOUTQ, &queued) || !queued);
}

/* After flows have run. Return: false when the pair is over */
static bool pair_settle(struct pair *pair, uint64_t now)
{
	if (pair->ends[0].reset || pair->ends[1].reset) {
		if ((pair->ends[0].reset && pair->ends[1].reset) || is_flushed(pair) ||
		    (pair->state == PAIR_FLUSHING && now >= pair->deadline)) {
			pair_over(pair, true, now);
			return false;
		}
		if (pair->state == PAIR_JOINED) {
			pair->deadline = now + RELAY_FLUSH_TIME;
			TAILQ_INSERT_TAIL(&flushes, pair, flush);
			flush_look = clock_before(flush_look, now + RELAY_FLUSH_LOOK);
			pair_set_state(pair, PAIR_FLUSHING);
		}
	} else if (pair->flows[0].state == FLOW_ENDED && pair->flows[1].state == FLOW_ENDED) {
		pair_over(pair, false, now);
		return false;
	}
	return true;
}

/* In held is who would go on but for its keys' rate */
static void pair_hold(struct pair *pair, uint64_t now)
{
	bool hold = false;

	for (int i = 0; i < 2; i++)
		hold |= flow_is_held(&pair->flows[i]) && pair->flows[i].source->readable;
	if (hold && !pair->is_held) {
		TAILQ_INSERT_TAIL(&held, pair, hold);
		held_look = clock_before(held_look, pair->ready_at > now + RELAY_KEY_TICK ?
					 pair->ready_at : now + RELAY_KEY_TICK);
	}
	if (!hold && pair->is_held)
		TAILQ_REMOVE(&held, pair, hold);
	pair->is_held = hold;
}

static void pair_run(struct pair *pair, uint64_t now)
{
	bool more = false;

	/* One that is held waits for its turn, whatever happens meanwhile */
	if (!pair->is_held)
		pair->ready_at = keys_wait(pair->uses, now);
	for (int i = 0; i < 2; i++) {
		more |= flow_run(&pair->flows[i], now);
		room_look(&pair->flows[i].room, pair->flows[i].bytes, now);
	}
	/* A death seen by the second flow gives the first one something to pass on */
	if (pair->ends[0].reset || pair->ends[1].reset)
		more |= flow_run(&pair->flows[0], now);
	if (!pair_settle(pair, now))
		return;
	assert(more || (flow_waits(&pair->flows[0]) && flow_waits(&pair->flows[1])));
	pair_hold(pair, now);
	if (more && !pair->queued)
		TAILQ_INSERT_TAIL(&turns, pair, turn);
	if (!more && pair->queued)
		TAILQ_REMOVE(&turns, pair, turn);
	pair->queued = more;
}

static void end_ready(struct watch *watch, uint32_t events, uint64_t now)
{
	struct end *end = (struct end *)watch;	/* its first member */

	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		end->readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		end->writable = true;
	if (events & EPOLLPRI)
		end->urgent = true;
	if ((events & EPOLLERR) && !end->reset)
		end_died(end);
	pair_run(end->pair, now);
}

static void end_init(struct pair *pair, int i, const struct endpoint *from)
{
	struct end *end = &pair->ends[i];
	struct flow *flow = &pair->flows[i];

	end->watch.fd = -1;
	end->watch.ready = end_ready;
	end->pair = pair;
	end->from = *from;
	end->readable = true;	/* the first EAGAIN corrects it */
	end->writable = true;
	flow->source = end;
	flow->sink = &pair->ends[!i];
}

int pump_join(struct watch *a, const struct endpoint *from_a, struct watch *b,
	      const struct endpoint *from_b, struct key_use *const uses[2], uint64_t now)
{
	const uint32_t events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP;
	struct pair *pair = calloc(1, sizeof(*pair));
	const int off = 0;
	int err;

	if (!pair)
		return -ENOMEM;
	end_init(pair, 0, from_a);
	end_init(pair, 1, from_b);
	memcpy(pair->uses, uses, sizeof(pair->uses));
	pair->id = ++stats.pairs;
	err = loop_move(a, &pair->ends[0].watch, events);
	if (err) {
		free(pair);
		return err;
	}
	err = loop_move(b, &pair->ends[1].watch, events);
	if (err) {
		/* Going back cannot fail: the registration exists */
		loop_move(&pair->ends[0].watch, a, events);
		free(pair);
		return err;
	}
	for (int i = 0; i < 2; i++) {
		setsockopt(pair->ends[i].watch.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &off, sizeof(off));
		room_enter(&pair->flows[i].room, pair->ends[i].watch.fd, pair->ends[!i].watch.fd, now);
	}
	TAILQ_INSERT_TAIL(&pairs, pair, all);
	stats.pairs_now++;
	pair_run(pair, now);
	return 0;
}

/* Let those go on whose keys may; the others keep their place. Return: when to look again */
static uint64_t held_run(uint64_t now)
{
	struct pair *pair, *next, *last = TAILQ_LAST(&held, pair_list);
	bool is_last = false;

	if (now < held_look)
		return held_look;
	held_look = NEVER;
	for (pair = TAILQ_FIRST(&held); pair && !is_last; pair = next) {
		next = TAILQ_NEXT(pair, hold);
		is_last = pair == last;	/* behind it are those that have had their turn just now */
		pair->ready_at = keys_wait(pair->uses, now);
		if (pair->ready_at) {
			held_look = clock_before(held_look, pair->ready_at);
			continue;
		}
		TAILQ_REMOVE(&held, pair, hold);
		pair->is_held = false;
		pair_run(pair, now);
	}
	if (held_look != NEVER && held_look < now + RELAY_KEY_TICK)
		held_look = now + RELAY_KEY_TICK;
	return held_look;
}

/* Look at those whose turn it is, and end whose time is over. Return: when to look again */
static uint64_t flushes_run(uint64_t now)
{
	struct pair *pair;

	if (now < flush_look)
		return flush_look;
	flush_look = now + RELAY_FLUSH_LOOK;
	for (int i = 0; i < RELAY_FLUSH_BATCH && (pair = TAILQ_FIRST(&flushes)); i++) {
		/* One that was looked at in this round is not looked at again */
		if (pair->looked == now)
			break;
		pair->looked = now;
		TAILQ_REMOVE(&flushes, pair, flush);
		TAILQ_INSERT_TAIL(&flushes, pair, flush);
		stats.looks++;
		pair_settle(pair, now);
	}
	if (TAILQ_EMPTY(&flushes))
		flush_look = NEVER;
	return flush_look;
}

uint64_t pump_run(uint64_t now)
{
	uint64_t next_held = held_run(now);
	struct pair_list round = TAILQ_HEAD_INITIALIZER(round);
	struct pair *pair;
	uint64_t next_flush;

	TAILQ_CONCAT(&round, &turns, turn);
	while ((pair = TAILQ_FIRST(&round))) {
		TAILQ_REMOVE(&round, pair, turn);
		pair->queued = false;
		pair_run(pair, now);
	}
	next_flush = flushes_run(now);
	if (!TAILQ_EMPTY(&turns))
		return now;
	next_held = clock_before(next_held, held_look);	/* the turns may have added some */
	return clock_before(next_held, next_flush);
}

void pump_close(uint64_t now)
{
	struct pair *pair;

	while ((pair = TAILQ_FIRST(&pairs)))
		pair_over(pair, true, now);
	carrier_close();
}
