/* SPDX-License-Identifier: MIT */
/*
 * test_study.c - what came in tells the filter, what did not tells the answer
 */
#include "common/clock.h"
#include "common/punch.pb-c.h"
#include "resolver/study.h"
#include "tests/unit/scratch.h"

#define IN	STUN_OUTCOME_ESTABLISHED
#define RST	STUN_OUTCOME_REFUSED
#define ICMP	STUN_OUTCOME_UNREACHABLE
#define DROP	STUN_OUTCOME_SILENT
#define NONE	STUN_OUTCOME_NONE
#define NA	STUN_OUTCOME_UNAVAILABLE

static void outcomes_tell_filter_and_answer(void **state)
{
	static const struct {
		int port, address, held;
		uint32_t filtering, stray;
	} cases[] = {
		{ IN, IN, NONE, PUNCH__FILTERING__FILTERING_ENDPOINT_INDEPENDENT, PUNCH__STRAY_SYN__STRAY_SYN_UNKNOWN },
		{ IN, RST, NONE, PUNCH__FILTERING__FILTERING_ADDRESS_DEPENDENT, PUNCH__STRAY_SYN__STRAY_SYN_RST },
		{ IN, DROP, NONE, PUNCH__FILTERING__FILTERING_ADDRESS_DEPENDENT, PUNCH__STRAY_SYN__STRAY_SYN_DROP },
		/* a server of one address: the less is promised */
		{ IN, NA, NONE, PUNCH__FILTERING__FILTERING_ADDRESS_DEPENDENT, PUNCH__STRAY_SYN__STRAY_SYN_UNKNOWN },
		{ DROP, NONE, IN, PUNCH__FILTERING__FILTERING_ADDRESS_PORT_DEPENDENT, PUNCH__STRAY_SYN__STRAY_SYN_DROP },
		{ RST, NONE, NONE, PUNCH__FILTERING__FILTERING_ADDRESS_PORT_DEPENDENT, PUNCH__STRAY_SYN__STRAY_SYN_RST },
		{ ICMP, NONE, NA, PUNCH__FILTERING__FILTERING_ADDRESS_PORT_DEPENDENT, PUNCH__STRAY_SYN__STRAY_SYN_ICMP },
		{ DROP, NONE, DROP, PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY, PUNCH__STRAY_SYN__STRAY_SYN_DROP },
		{ RST, NONE, RST, PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY, PUNCH__STRAY_SYN__STRAY_SYN_RST },
		/* another's server, or none that would */
		{ NONE, NONE, NONE, PUNCH__FILTERING__FILTERING_UNKNOWN, PUNCH__STRAY_SYN__STRAY_SYN_UNKNOWN },
		{ NA, NONE, NONE, PUNCH__FILTERING__FILTERING_UNKNOWN, PUNCH__STRAY_SYN__STRAY_SYN_UNKNOWN },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct study_result result = {
			.port = cases[i].port, .address = cases[i].address, .held = cases[i].held,
		};

		if (study_filtering(&result) != cases[i].filtering || study_stray(&result) != cases[i].stray)
			fail_msg("case %u: filtering %u, stray %u", i, study_filtering(&result), study_stray(&result));
	}
}

static void two_servers_must_both_have_spoken_to_disagree(void **state)
{
	struct study_result result = { .port = IN };

	(void)state;
	assert_int_equal(endpoint_parse(&result.mapped, "198.51.100.1:5000", 0), 0);
	assert_false(study_by_address(&result));
	result.elsewhere = result.mapped;
	assert_false(study_by_address(&result));
	result.elsewhere.port++;
	assert_true(study_by_address(&result));
	result.mapped.family = 0;
	assert_false(study_by_address(&result));
}

static void what_was_found_out_decides_for_an_hour(void **state)
{
	const uint64_t at = 5 * SECOND, hour = 3600 * SECOND;

	(void)state;
	assert_false(study_fresh(0, 5 * SECOND));	/* never, on a host that has just booted */
	assert_true(study_fresh(at, at));
	assert_true(study_fresh(at, at + hour - 1));
	assert_false(study_fresh(at, at + hour));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(outcomes_tell_filter_and_answer),
		cmocka_unit_test(what_was_found_out_decides_for_an_hour),
		cmocka_unit_test(two_servers_must_both_have_spoken_to_disagree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
