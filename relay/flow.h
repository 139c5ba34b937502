/* SPDX-License-Identifier: MIT */
/*
 * flow.h - one direction of a pair: bytes from its source to its sink until the source has ended
 *
 * A pair has two ends (sockets) and two flows; both flows run the same code.
 */
#ifndef RELAY_FLOW_H
#define RELAY_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "common/endpoint.h"
#include "relay/carrier.h"
#include "relay/keys.h"
#include "relay/loop.h"
#include "relay/room.h"

enum flow_state {
	FLOW_MOVING,		/* the source may send more */
	FLOW_ENDING,		/* the source has ended; the carrier may hold bytes */
	FLOW_ENDED,		/* the end was passed on, or there is nobody to pass it to */
	FLOW_STATE_COUNT
};

struct flow;
struct pair;

/**
 * struct end - one socket of a pair
 * @watch:	first member
 * @pair:	whose it is
 * @from:	its address
 * @out, @in:	the flows that it is the source and the sink of
 * @readable, @writable: beliefs, see pump.c
 * @reset:	the connection is dead, not closed
 * @urgent:	sent TCP urgent data: splice() stops before it for ever, recv() does not
 */
struct end {
	struct watch watch;
	struct pair *pair;
	struct endpoint from;
	struct flow *out, *in;
	bool readable, writable;
	bool reset;
	bool urgent;
};

/**
 * struct toll - what the two keys of a pair have still to pay before more is taken from its sources
 * @uses:	of the keys
 * @ready_at:	when more may be carried; 0: now
 */
struct toll {
	struct key_use *uses[2];
	uint64_t ready_at;
};

/**
 * struct flow - all zero but for @source, @sink and @toll when it begins
 * @carrier:	borrowed, or NULL
 * @waiting:	bytes in it
 * @bytes:	passed to the sink
 */
struct flow {
	enum flow_state state;
	struct end *source, *sink;
	struct toll *toll;
	struct carrier *carrier;
	size_t waiting;
	uint64_t bytes;
	struct room room;
};

/** flow_run() - one turn. Return: true when it used that up and has more to do */
bool flow_run(struct flow *flow, uint64_t now);

/** flow_waits() - has it ended, or is there an event, or a time, that it waits for? */
bool flow_waits(const struct flow *flow);

/** flow_is_held() - its keys' rate is used up: nothing is taken */
bool flow_is_held(const struct flow *flow);

/** flow_is_flushed() - has the sink acknowledged all that the source sent before it died? */
bool flow_is_flushed(const struct flow *flow);

/** flow_leave() - give back what it has borrowed; what waits in it is lost */
void flow_leave(struct flow *flow);

/** end_died() - its connection is dead: nothing can go to it any more, what came from it still counts */
void end_died(struct end *end);

#endif
