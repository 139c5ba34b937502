/* SPDX-License-Identifier: MIT */
/*
 * bucket.h - rate limit of one number: GCRA (ITU-T I.371), a token bucket kept as a time
 *
 * Pure.  A zeroed bucket is full.  @busy_until is when the bucket would be
 * full again if nothing more came: each taken token moves it by one interval,
 * and a token is refused when that would put it further ahead than the burst.
 */
#ifndef PUNCH_BUCKET_H
#define PUNCH_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"

struct bucket {
	uint64_t busy_until;	/* monotonic us */
};

/**
 * struct rate
 * @per_second:	tokens that come back each second, at least 1
 * @burst:	tokens that may be taken at once, at least 1
 */
struct rate {
	uint32_t per_second;
	uint32_t burst;
};

/** bucket_take_some() - @count tokens, between 1 and the burst, or none of them. Return: true when they were there */
static inline bool bucket_take_some(struct bucket *bucket, const struct rate *rate, uint32_t count, uint64_t now)
{
	const uint64_t interval = SECOND / rate->per_second;
	uint64_t from = bucket->busy_until > now ? bucket->busy_until : now;

	if (from - now > interval * (rate->burst - count))
		return false;
	bucket->busy_until = from + interval * count;
	return true;
}

/** bucket_take() - Return: true when there was a token */
static inline bool bucket_take(struct bucket *bucket, const struct rate *rate, uint64_t now)
{
	return bucket_take_some(bucket, rate, 1, now);
}

/** bucket_return() - @n tokens were not needed */
static inline void bucket_return(struct bucket *bucket, const struct rate *rate, uint32_t n, uint64_t now)
{
	const uint64_t time = SECOND / rate->per_second * n;

	bucket->busy_until = bucket->busy_until > now + time ? bucket->busy_until - time : now;
}

/** bucket_is_full() - nothing is remembered in it: it may be forgotten */
static inline bool bucket_is_full(const struct bucket *bucket, uint64_t now)
{
	return bucket->busy_until <= now;
}

#endif
