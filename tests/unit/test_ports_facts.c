/* SPDX-License-Identifier: MIT */
/*
 * test_ports_facts.c - what a study has found out is remembered, and nothing else
 */
#include "resolver/ports_facts.c"

#include <errno.h>

#include "tests/unit/scratch.h"

static struct node node;

static int setup(void **state)
{
	if (scratch_setup(state) || setenv("XDG_STATE_HOME", scratch, 1) || unsetenv("STATE_DIRECTORY"))
		return -1;
	memset(&node, 0, sizeof(node));
	node.base = event_base_new();
	node.sessions = sessions_new(&node);
	node.ports = ports_new(&node);
	if (!node.base || !node.sessions || !node.ports)
		return -1;
	/* That of an earlier visit */
	node.ports->network_known = true;
	node.ports->facts.filtering = PUNCH__FILTERING__FILTERING_ADDRESS_DEPENDENT;
	node.ports->facts.stray_syn = PUNCH__STRAY_SYN__STRAY_SYN_RST;
	node.ports->facts.hairpin = PUNCH__HAIRPIN__HAIRPIN_YES;
	return 0;
}

static int teardown(void **state)
{
	sessions_free(node.sessions);
	ports_free(node.ports);
	event_base_free(node.base);
	return scratch_teardown(state);
}

/* Return: as netcache_load() */
static int remembered(struct description *facts)
{
	return netcache_load(scratch_path("punch/networks"), node.ports->network, (uint64_t)time(NULL), facts);
}

/* A program may leave at once */
static void all_that_a_study_measures_is_remembered_when_it_ends(void **state)
{
	struct study_result result = { .port = STUN_OUTCOME_SILENT, .hairpin = STUN_OUTCOME_SILENT };
	struct description facts = { .count = 0 };

	(void)state;
	on_study(node.ports, &result);
	assert_int_equal(remembered(&facts), 0);
	assert_int_equal(facts.filtering, PUNCH__FILTERING__FILTERING_ADDRESS_PORT_DEPENDENT);
	assert_int_equal(facts.stray_syn, PUNCH__STRAY_SYN__STRAY_SYN_DROP);
	assert_int_equal(facts.hairpin, PUNCH__HAIRPIN__HAIRPIN_NO);
}

/* Else a week would never be over where nothing can be measured any more */
static void a_study_without_an_outcome_changes_nothing(void **state)
{
	static const int outcomes[] = { STUN_OUTCOME_NONE, STUN_OUTCOME_UNAVAILABLE };
	struct description facts = { .count = 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(outcomes); i++) {
		struct study_result result = { .port = outcomes[i] };

		on_study(node.ports, &result);
		assert_int_equal(remembered(&facts), -ENOENT);
		ports_facts(node.ports, &facts);
		assert_int_equal(facts.filtering, PUNCH__FILTERING__FILTERING_ADDRESS_DEPENDENT);
		assert_int_equal(facts.stray_syn, PUNCH__STRAY_SYN__STRAY_SYN_RST);
		assert_int_equal(facts.hairpin, PUNCH__HAIRPIN__HAIRPIN_YES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_that_a_study_measures_is_remembered_when_it_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(a_study_without_an_outcome_changes_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
