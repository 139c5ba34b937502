/* SPDX-License-Identifier: MIT */
/*
 * pump_internal.h - what pump.c and pump_flow.c share; nobody else includes it
 */
#ifndef PUNCH_PUMP_INTERNAL_H
#define PUNCH_PUMP_INTERNAL_H

#include <stdbool.h>
#include <sys/queue.h>
#include <event2/event.h>

#include "resolver/give.h"
#include "resolver/outqueue.h"
#include "resolver/pump.h"
#include "resolver/seal.h"

enum way_state {
	WAY_OPEN,		/* bytes flow */
	WAY_ENDING,		/* the source has ended; left-over bytes wait for the target */
	WAY_ENDED,		/* the target was told of the end */
	WAY_STATE_COUNT
};

/**
 * struct way - one direction
 * @left:	bytes that the target has not taken
 */
struct way {
	enum way_state state;
	struct rest left;
};

/**
 * struct sealed_flow - payload between the program's local socket and the wire
 * @local, @wire: owned, non-blocking
 * @out:	local to wire
 * @in:		wire to local
 * @again:	more can be done at once, without word from a socket
 * @lost:	the one of both that has broken, by @error (-errno): what had come from it is still given to the other
 *		one, of which @queue tells whether it has all. -1: none
 * @gone:	the other one has broken, too
 * @ordered:	both are to be closed in order, not reset
 */
struct sealed_flow {
	int local, wire;
	struct seal *seal;
	struct way out, in;
	bool again, gone, ordered;
	int lost, error;
	struct outqueue queue;
};

/** sealed_flow_start() - @flow with its three first members set. Return: 0 or -ENOMEM */
int sealed_flow_start(struct sealed_flow *flow);

/**
 * sealed_flow_run() - move what can be moved
 * @tick:	the time of sealed_flow_pause() is over
 * Return: 0; 1 both directions have ended; -errno broken, and all is said that could be
 */
int sealed_flow_run(struct sealed_flow *flow, bool tick);

/** sealed_flow_pause() - after which time to run again without word from a socket; NEVER */
uint64_t sealed_flow_pause(const struct sealed_flow *flow);

/**
 * sealed_flow_wants() - what to wait for: EV_READ and EV_WRITE of either socket; with EV_ET
 * where there is nothing more to read, for errors
 */
short sealed_flow_wants_local(const struct sealed_flow *flow);
short sealed_flow_wants_wire(const struct sealed_flow *flow);

/** sealed_flow_stop() - close both: by RST unless flow.ordered; frees what is left over and the seal */
void sealed_flow_stop(struct sealed_flow *flow);

#endif
