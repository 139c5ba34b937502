/* SPDX-License-Identifier: MIT */
/*
 * pump.h - joined pairs: bytes from each side to the other until both have ended
 */
#ifndef RELAY_PUMP_H
#define RELAY_PUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/endpoint.h"
#include "relay/keys.h"
#include "relay/loop.h"

/**
 * pump_open()
 * @most:	pairs at one time
 * @released:	told the address of each side whose connection has ended
 */
void pump_open(unsigned int most, void (*released)(const struct endpoint *from, uint64_t now));

/** pump_is_full() - there are as many pairs as there may be: refuse the next one */
bool pump_is_full(void);

/**
 * pump_join() - make a pair of two sides
 * @a, @b:	their watches, which are left ended: the descriptors belong to the pair
 * @from_a, @from_b: their addresses
 * @uses:	of their two keys, held; released when the pair is over
 * Return: 0, or -errno, in which case both watches and @uses are as they were
 */
int pump_join(struct watch *a, const struct endpoint *from_a, struct watch *b,
	      const struct endpoint *from_b, struct key_use *const uses[2], uint64_t now);

/**
 * pump_run() - give pairs that used up their turn, or waited for the rate of a key, the next one;
 * end those that were flushed
 * Return: next deadline
 */
uint64_t pump_run(uint64_t now);

/** pump_close() - end all pairs */
void pump_close(uint64_t now);

#endif
