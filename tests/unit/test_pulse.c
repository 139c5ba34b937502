/* SPDX-License-Identifier: MIT */
/*
 * test_pulse.c - hours of an uplink's life in microseconds
 */
#include "tests/unit/scratch.h"
#include "resolver/pulse.h"

#define INTERVAL	(20 * SECOND)

/* Let time pass to @until, answering each Ping after @rtt (NEVER: no answers). Return: Pings, or -1 when dead */
static int live(struct pulse *pulse, uint64_t *now, uint64_t until, uint64_t rtt)
{
	uint64_t deadline;
	int pings = 0;

	while (*now < until) {
		switch (pulse_step(pulse, *now, &deadline)) {
		case PULSE_DEAD:
			return -1;
		case PULSE_PING:
			pings++;
			if (rtt != NEVER) {
				*now += rtt;
				pulse_heard(pulse, *now);
				continue;
			}
			break;
		default:
			break;
		}
		assert_true(deadline > *now);	/* never asks to be called at once again: no spinning */
		*now = clock_before(deadline, until);
	}
	return pings;
}

static void quiet_connection_is_pinged_once_each_interval(void **state)
{
	uint64_t now = 1000 * SECOND, hour = now + 3600 * SECOND;
	struct pulse pulse;

	(void)state;
	pulse_init(&pulse, INTERVAL, now);
	assert_in_range(live(&pulse, &now, hour, 50 * MS), 178, 180);
}

static void talking_connection_is_not_pinged(void **state)
{
	uint64_t now = 1000 * SECOND, deadline;
	struct pulse pulse;
	unsigned int i;

	(void)state;
	pulse_init(&pulse, INTERVAL, now);
	for (i = 0; i < 1000; i++) {
		now += INTERVAL / 2;
		pulse_sent(&pulse, now);
		pulse_heard(&pulse, now);
		assert_int_equal(pulse_step(&pulse, now, &deadline), PULSE_NOTHING);
	}
}

static void one_sided_talk_is_pinged(void **state)
{
	uint64_t now = 1000 * SECOND, deadline;
	struct pulse only_sent, only_heard;

	(void)state;
	pulse_init(&only_sent, INTERVAL, now);
	pulse_init(&only_heard, INTERVAL, now);
	now += INTERVAL;
	pulse_sent(&only_sent, now);	/* does the server still live? */
	pulse_heard(&only_heard, now);	/* does the NAT still know us? */
	assert_int_equal(pulse_step(&only_sent, now, &deadline), PULSE_PING);
	assert_int_equal(pulse_step(&only_heard, now, &deadline), PULSE_PING);
}

static void two_unanswered_pings_are_death_after_ten_seconds(void **state)
{
	uint64_t now = 1000 * SECOND, begun = now;
	struct pulse pulse;

	(void)state;
	pulse_init(&pulse, INTERVAL, now);
	assert_int_equal(live(&pulse, &now, now + 3600 * SECOND, NEVER), -1);
	assert_int_equal(now - begun, INTERVAL + 2 * PULSE_ANSWER);
}

static void answer_to_the_second_ping_saves_the_connection(void **state)
{
	uint64_t now = 1000 * SECOND, deadline;
	struct pulse pulse;

	(void)state;
	pulse_init(&pulse, INTERVAL, now);
	now += INTERVAL;
	assert_int_equal(pulse_step(&pulse, now, &deadline), PULSE_PING);
	now = deadline;
	assert_int_equal(pulse_step(&pulse, now, &deadline), PULSE_PING);
	now = deadline - 1;
	pulse_heard(&pulse, now);
	assert_int_equal(pulse_step(&pulse, now, &deadline), PULSE_NOTHING);
	assert_int_equal(live(&pulse, &now, now + 100 * SECOND, 1 * MS), 5);
}

static void check_pings_at_once_and_is_impatient(void **state)
{
	uint64_t now = 1000 * SECOND, begun = now, deadline;
	struct pulse pulse;

	(void)state;
	pulse_init(&pulse, INTERVAL, now);
	pulse_check(&pulse, 1 * SECOND);
	assert_int_equal(pulse_step(&pulse, now, &deadline), PULSE_PING);
	assert_int_equal(deadline, now + 1 * SECOND);
	now = deadline;
	assert_int_equal(live(&pulse, &now, now + 60 * SECOND, NEVER), -1);
	assert_int_equal(now - begun, 2 * SECOND);

	/* an answer brings the ordinary patience back */
	pulse_init(&pulse, INTERVAL, now);
	pulse_check(&pulse, 1 * SECOND);
	pulse_step(&pulse, now, &deadline);
	pulse_heard(&pulse, now);
	begun = now;
	assert_int_equal(live(&pulse, &now, now + 3600 * SECOND, NEVER), -1);
	assert_int_equal(now - begun, INTERVAL + 2 * PULSE_ANSWER);
}

static void backoff_doubles_from_a_fifth_to_ten_seconds(void **state)
{
	static const uint64_t most[] = { 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000 };
	unsigned int i;

	(void)state;
	for (i = 0; i < COUNT(most); i++) {
		assert_int_equal(backoff_us(i + 1, 0), most[i] * MS / 2);
		assert_int_equal(backoff_us(i + 1, (uint32_t)(most[i] * MS / 2)), most[i] * MS);
		assert_in_range(backoff_us(i + 1, UINT32_MAX), most[i] * MS / 2, most[i] * MS);
	}
	assert_in_range(backoff_us(UINT32_MAX, UINT32_MAX), BACKOFF_MOST / 2, BACKOFF_MOST);
	assert_true(backoff_us(0, 0) > 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(quiet_connection_is_pinged_once_each_interval),
		cmocka_unit_test(talking_connection_is_not_pinged),
		cmocka_unit_test(one_sided_talk_is_pinged),
		cmocka_unit_test(two_unanswered_pings_are_death_after_ten_seconds),
		cmocka_unit_test(answer_to_the_second_ping_saves_the_connection),
		cmocka_unit_test(check_pings_at_once_and_is_impatient),
		cmocka_unit_test(backoff_doubles_from_a_fifth_to_ten_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
