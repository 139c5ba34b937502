/* SPDX-License-Identifier: MIT */
/*
 * flow.c - one direction of a pair: bytes from its source to its sink until the source has ended
 *
 * Theory of operation
 * -------------------
 *
 * A flow takes bytes from its source into a borrowed carrier (a pipe, by splice) and from there to
 * its sink.  It fills only an empty carrier and only when the sink is believed writable, so that a
 * stalled reader stops the reading of its source: what the source goes on sending stays in the
 * kernel, whose buffers are watched (room.c), and then in the source.  A carrier that is empty goes
 * back to the pool at the end of the turn.
 *
 * EAGAIN of a splice from socket to pipe may mean "pipe full"; it never does here because only empty
 * carriers are filled.  It may also mean "urgent data next" (telnet, FTP), which splice never
 * passes: from EPOLLPRI on the source is read by recv().  Likewise its "end of file" is believed
 * only when recv() sees none, too.  The urgent byte stays in its place of the stream (SO_OOBINLINE);
 * that it was urgent is lost.
 *
 *	MOVING --source ended or died--> ENDING --carrier empty: FIN passed on--> ENDED
 *	MOVING, ENDING --sink died, all that waits is dropped--> ENDED
 *
 * The other flow of the pair does not notice that this one has ended.
 */
#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/log.h"
#include "relay/flow.h"
#include "relay/limits.h"
#include "relay/stats.h"

static const char *const flow_state_names[] = { "moving", "ending", "ended" };
static_assert(sizeof(flow_state_names) / sizeof(flow_state_names[0]) == FLOW_STATE_COUNT,
	      "one name a state");

static void flow_set_state(struct flow *flow, enum flow_state state)
{
	char text[ENDPOINT_TEXT_SIZE];

	assert(state > flow->state && state < FLOW_STATE_COUNT);	/* never back */
	if (log_enabled(LOG_LEVEL_DEBUG))
		log_debug("flow from %s: %s -> %s", endpoint_format(&flow->source->from, text),
			  flow_state_names[flow->state], flow_state_names[state]);
	flow->state = state;
}

static void carrier_drop(struct flow *flow)
{
	if (flow->carrier)
		carrier_return(flow->carrier, flow->waiting);
	flow->carrier = NULL;
	flow->waiting = 0;
}

void flow_leave(struct flow *flow)
{
	carrier_drop(flow);
	room_leave(&flow->room);
}

void end_died(struct end *end)
{
	end->reset = true;
	end->readable = true;
	carrier_drop(end->in);
	if (end->in->state != FLOW_ENDED)
		flow_set_state(end->in, FLOW_ENDED);
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

bool flow_is_held(const struct flow *flow)
{
	return flow->state == FLOW_MOVING && !flow->source->reset && flow->toll->ready_at;
}

static void flow_pay(const struct flow *flow, uint64_t now)
{
	keys_charge(flow->toll->uses, flow->waiting, now);
	flow->toll->ready_at = keys_wait(flow->toll->uses, now);
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
	flow_set_state(flow, FLOW_ENDING);
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

bool flow_run(struct flow *flow, uint64_t now)
{
	bool more = true;

	for (int i = 0; more && i < RELAY_TURN; i++) {
		more = (flow->waiting || flow_fill(flow, now)) && flow_drain(flow) &&
		       flow->state == FLOW_MOVING;
		room_look(&flow->room, flow->bytes, !more && (flow->waiting || flow_is_held(flow)), now);
	}
	if (flow->waiting)
		return false;
	carrier_drop(flow);
	if (flow->state == FLOW_ENDING) {
		if (!flow->source->reset)
			shutdown(flow->sink->watch.fd, SHUT_WR);
		flow_set_state(flow, FLOW_ENDED);
	}
	return more;
}

bool flow_waits(const struct flow *flow)
{
	return flow->state == FLOW_ENDED || !flow->sink->writable ||
	       (!flow->waiting && (!flow->source->readable || flow_is_held(flow)));
}

bool flow_is_flushed(const struct flow *flow)
{
	int queued = 0;

	return flow->state == FLOW_ENDED &&
	       (ioctl(flow->sink->watch.fd, SIOCOUTQ, &queued) || !queued);
}
