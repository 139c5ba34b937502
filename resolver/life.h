/* SPDX-License-Identifier: MIT */
/*
 * life.h - when this process ends, and what happens to its keeper
 */
#ifndef PUNCH_LIFE_H
#define PUNCH_LIFE_H

#include <sys/stat.h>

#include "resolver/node.h"

enum life_state {
	LIFE_RUNNING,	/* serves */
	LIFE_CLOSING,	/* the listener is shut; waits for the keeper to let go of it */
	LIFE_LEAVING,	/* the loop ends */
	LIFE_STATE_COUNT
};

/** How the process is to go on when its loop has ended */
enum life_end {
	LIFE_END_STOP,		/* idle, asked to, or the keeper was: no process stays */
	LIFE_END_RESTART,	/* the configuration file has changed: once more from the start */
};

/**
 * life_new() - start watching
 * @keeper:	our end of the link to the keeper, owned from here on, or -1 in the foreground
 * @conf:	stat() of the configuration file from before it was read
 * Return: NULL when out of memory
 */
struct life *life_new(struct node *node, int keeper, const struct stat *conf);
void life_free(struct life *life);

/** life_touch() - somebody asked for something: idleness starts anew */
void life_touch(struct node *node);

/** life_stop() - leave now; LOCAL_STOP requests are answered when the name is free */
void life_stop(struct node *node);

/**
 * life_yield() - as life_stop(), if nothing is published or under way but the request that asks for it
 * Return: false: there is, we stay
 */
bool life_yield(struct node *node);

/**
 * life_config_changed() - is there a new configuration file, good and complete?
 * Then, when nothing is under way, the process leaves to be started again with
 * it. Return: true in this case: take no new work
 */
bool life_config_changed(struct node *node);

/** life_complaint() - what is wrong with the changed file whose settings are not in force; "" nothing */
const char *life_complaint(const struct life *life);

/** life_end() - after the loop: what now? */
enum life_end life_end(const struct life *life);

/** life_keeper_pid() - Return: 0 in the foreground */
pid_t life_keeper_pid(const struct life *life);

#endif
