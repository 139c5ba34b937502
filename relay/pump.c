/* SPDX-License-Identifier: MIT */
/*
 * pump.c - joined pairs: bytes from each side to the other until both have ended
 *
 * Theory of operation
 * -------------------
 *
 * A pair has two ends (sockets) and two flows (directions, flow.c); both flows run the same code.
 *
 * Readiness.  Each end keeps two beliefs, readable and writable; events make them true, EAGAIN makes
 * them false, and after every event both flows are run from these beliefs alone.  The epoll
 * registration is edge-triggered and never changes.  Level-triggered was not an option: EPOLLHUP
 * cannot be masked, and an end that has sent and got its FIN while its last bytes wait for a stalled
 * sink would spin.  The invariant, asserted after each turn: a flow that has not ended either is
 * queued for another turn, or waits for an event on the end whose belief is false.
 *
 * End of file.  The source's FIN ends the flow, which passes the FIN on behind the last byte.  When
 * both have ended the sockets are closed; what is in their send queues the kernel still delivers.
 *
 * Reset.  A source that was reset may have sent bytes before (a server that closes with a request
 * unread sends its answer and then RST); over a direct connection the reader would still get them.
 * So the flow from the dead end goes on until the kernel has no more of its bytes, the sink has
 * acknowledged them or 5 s have passed, and only then is the sink reset.  The flow towards the dead
 * end stops at once.  There is no event for "acknowledged": the list `flushes` is looked at every
 * 10 ms, so many pairs at most each time, in turn.  Whoever resets pairs whose readers are shut so
 * costs others nothing that grows with their number.
 *
 * Rate.  Where keys have a limit of bytes a second, both keys of a pair pay for what is taken from
 * its sources.  While one of them is too far ahead nothing is taken: back-pressure, as from a stalled
 * sink.  Such a pair is in the list `held`, which is looked at every 10 ms at most; it moves to the
 * end when it has taken something, so that all pairs of a key have their turns.  What a dead end has
 * left is passed on at once.
 *
 *	JOINED --both flows ended--> OVER
 *	JOINED --an end was reset--> FLUSHING --flushed, time over, other end reset too--> OVER
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

#include "common/clock.h"
#include "common/log.h"
#include "relay/carrier.h"
#include "relay/flow.h"
#include "relay/keys.h"
#include "relay/limits.h"
#include "relay/pump.h"
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
	struct toll toll;
	TAILQ_ENTRY(pair) all, turn, flush, hold;
};

static struct pair_list pairs = TAILQ_HEAD_INITIALIZER(pairs);
static struct pair_list turns = TAILQ_HEAD_INITIALIZER(turns);		/* used up their turn */
static struct pair_list held = TAILQ_HEAD_INITIALIZER(held);		/* wait for the rate of a key */
static struct pair_list flushes = TAILQ_HEAD_INITIALIZER(flushes);	/* FLUSHING */
static uint64_t held_look = NEVER;	/* when to look at held again */
static uint64_t flush_look = NEVER;	/* when to look at flushes again */
static unsigned int pump_most;
static void (*pump_released)(const struct endpoint *from, uint64_t now);

struct stats stats;

void pump_open(unsigned int most, void (*released)(const struct endpoint *from, uint64_t now))
{
	pump_most = most;
	pump_released = released;
}

bool pump_is_full(void)
{
	return stats.pairs_now >= pump_most;
}

static void pair_set_state(struct pair *pair, enum pair_state state)
{
	assert(state > pair->state);	/* never back */
	log_debug("pair %llu: %s -> %s", (unsigned long long)pair->id,
		  pair_state_names[pair->state], pair_state_names[state]);
	pair->state = state;
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
		flow_leave(&pair->flows[i]);
		if (abort)
			end_abort(&pair->ends[i]);
		loop_end(&pair->ends[i].watch);
		pump_released(&pair->ends[i].from, now);
		key_release(pair->toll.uses[i]);
	}
	stats.pairs_now--;
	stats.resets += abort;
	loop_free(&pair->grave, pair);
}

/* Has the living end got everything that the dead one sent? */
static bool is_flushed(const struct pair *pair)
{
	return flow_is_flushed(&pair->flows[pair->ends[0].reset ? 0 : 1]);
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
		held_look = clock_before(held_look, pair->toll.ready_at > now + RELAY_KEY_TICK ?
					 pair->toll.ready_at : now + RELAY_KEY_TICK);
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
		pair->toll.ready_at = keys_wait(pair->toll.uses, now);
	for (int i = 0; i < 2; i++)
		more |= flow_run(&pair->flows[i], now);
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
	end->out = flow;
	end->in = &pair->flows[!i];
	flow->source = end;
	flow->sink = &pair->ends[!i];
	flow->toll = &pair->toll;
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
	memcpy(pair->toll.uses, uses, sizeof(pair->toll.uses));
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
		pair->toll.ready_at = keys_wait(pair->toll.uses, now);
		if (pair->toll.ready_at) {
			held_look = clock_before(held_look, pair->toll.ready_at);
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
