/* SPDX-License-Identifier: MIT */
/*
 * pulse.c - core: is the far end of a connection alive, and when to try again
 */
#include "resolver/pulse.h"

void pulse_init(struct pulse *pulse, uint64_t interval, uint64_t now)
{
	*pulse = (struct pulse){
		.sent_at = now,
		.heard_at = now,
		.interval = interval,
		.answer = PULSE_ANSWER,
	};
}

void pulse_sent(struct pulse *pulse, uint64_t now)
{
	pulse->sent_at = now;
}

void pulse_heard(struct pulse *pulse, uint64_t now)
{
	pulse->heard_at = now;
	pulse->unanswered = 0;
	pulse->answer = PULSE_ANSWER;
}

void pulse_check(struct pulse *pulse, uint64_t answer)
{
	pulse->wanted = true;
	pulse->answer = clock_before(pulse->answer, answer);
}

static enum pulse_action ping(struct pulse *pulse, uint64_t now, uint64_t *deadline)
{
	pulse->wanted = false;
	pulse->unanswered++;
	pulse->pinged_at = now;
	pulse->sent_at = now;
	*deadline = now + pulse->answer;
	return PULSE_PING;
}

enum pulse_action pulse_step(struct pulse *pulse, uint64_t now, uint64_t *deadline)
{
	uint64_t due;

	if (pulse->unanswered) {
		due = pulse->pinged_at + pulse->answer;
		if (now >= due && pulse->unanswered >= PULSE_MISSES) {
			*deadline = NEVER;
			return PULSE_DEAD;
		}
	} else {
		due = clock_before(pulse->sent_at, pulse->heard_at) + pulse->interval;
		if (pulse->wanted)
			due = now;
	}
	if (now >= due)
		return ping(pulse, now, deadline);
	*deadline = due;
	return PULSE_NOTHING;
}

uint64_t backoff_us(unsigned int failures, uint32_t random)
{
	unsigned int doublings = failures ? failures - 1 : 0;
	uint64_t most = BACKOFF_MOST;

	if (doublings < 8)	/* 0.2 s doubled 8 times is above BACKOFF_MOST */
		most = clock_before(BACKOFF_FIRST << doublings, BACKOFF_MOST);
	return most / 2 + random % (most / 2 + 1);
}
