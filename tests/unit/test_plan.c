/* SPDX-License-Identifier: MIT */
/*
 * test_plan.c - two descriptions give two plans that fit each other
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "resolver/hops.h"
#include "resolver/plan.h"

static void add(struct description *d, uint32_t type, const char *text)
{
	assert_int_equal(endpoint_parse(&d->candidates[d->count].endpoint, text, 0), 0);
	d->candidates[d->count++].type = type;
}

#define HOST		PUNCH__CANDIDATE_TYPE__CANDIDATE_HOST
#define MAPPED		PUNCH__CANDIDATE_TYPE__CANDIDATE_MAPPED
#define REFLEXIVE	PUNCH__CANDIDATE_TYPE__CANDIDATE_REFLEXIVE

static void home(struct description *d, const char *host, const char *mapped0, const char *mapped1,
		 uint32_t mapping, unsigned int hops)
{
	memset(d, 0, sizeof(*d));
	d->mapping = mapping;
	d->hops = hops;
	add(d, HOST, host);
	add(d, REFLEXIVE, mapped0);
	if (mapped1)
		add(d, REFLEXIVE, mapped1);
}

static void both(const struct description *a, const struct description *b, struct plan *pa, struct plan *pb)
{
	struct plan_input in = { .own = a, .peer = b, .caller = true, .family = AF_INET, .rtt = 40 * MS };

	plan_make(pa, &in);
	in = (struct plan_input){ .own = b, .peer = a, .caller = false, .family = AF_INET, .rtt = 40 * MS };
	plan_make(pb, &in);
}

#define EIM	PUNCH__MAPPING__MAPPING_ENDPOINT_INDEPENDENT
#define APDM	PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT

static void caller_opens_when_it_knows_its_hops(void **state)
{
	struct description a, b;
	struct plan pa, pb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", "198.51.100.1:5001", EIM, 1);
	home(&b, "192.168.1.2:6000", "198.51.100.2:6000", "198.51.100.2:6001", EIM, 2);
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.count, 2);
	assert_int_equal(pa.attempts[0].tactic, TACTIC_OPEN);
	assert_int_equal(pa.attempts[0].ttl, 2);
	assert_int_equal(pb.attempts[0].tactic, TACTIC_DIAL);
	assert_int_equal(pb.attempts[0].ttl, 0);
	assert_in_range(pb.attempts[0].start, PLAN_DIAL_MARGIN_MIN, PLAN_DIAL_MARGIN_MAX);
	/* the second lane: other ports, later, another tactic, on both sides alike */
	assert_int_equal(pa.attempts[1].tactic, TACTIC_SYNC);
	assert_int_equal(pa.attempts[1].remote.port, 6001);
	assert_int_equal(pb.attempts[1].remote.port, 5001);
	assert_int_equal(pa.attempts[1].start, pb.attempts[1].start);
	assert_true(pa.attempts[1].start >= PLAN_LANE_DELAY);
}

static void callee_says_what_is_first(void **state)
{
	struct description a, b;
	struct plan pa, pb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", "198.51.100.1:5001", EIM, 1);
	home(&b, "192.168.1.2:6000", "198.51.100.2:6000", "198.51.100.2:6001", EIM, 2);
	b.first = PUNCH__FIRST__FIRST_CALLEE_OPENS;
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.attempts[0].tactic, TACTIC_DIAL);
	assert_int_equal(pb.attempts[0].tactic, TACTIC_OPEN);
	assert_int_equal(pb.attempts[0].ttl, 3);
	assert_int_equal(pa.attempts[1].tactic, TACTIC_SYNC);
	/* both at once first, then in order: the lanes never do the same */
	b.first = PUNCH__FIRST__FIRST_SYNC;
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.attempts[0].tactic, TACTIC_SYNC);
	assert_int_equal(pb.attempts[0].tactic, TACTIC_SYNC);
	assert_int_equal(pa.attempts[1].tactic, TACTIC_OPEN);
	assert_int_equal(pb.attempts[1].tactic, TACTIC_DIAL);
	/* the caller's wish is for the callee to grant */
	b.first = PUNCH__FIRST__FIRST_UNKNOWN;
	a.first = PUNCH__FIRST__FIRST_CALLEE_OPENS;
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.attempts[0].tactic, TACTIC_OPEN);
	assert_int_equal(pa.window, PLAN_WINDOW);
	b.first = PUNCH__FIRST__FIRST_RELAY;
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.count, 2);
	assert_int_equal(pa.window, 2 * 40 * MS + PLAN_WINDOW_DOUBT);
	assert_int_equal(pb.window, pa.window);
}

static void without_hops_the_second_lane_is_staggered(void **state)
{
	struct description a, b;
	struct plan pa, pb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", "198.51.100.1:5001", EIM, 0);
	home(&b, "192.168.1.3:6000", "198.51.100.2:6000", "198.51.100.2:6001", EIM, 0);
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.attempts[0].start, pb.attempts[0].start);
	assert_int_equal(pb.attempts[1].start, pa.attempts[1].start + 20 * MS);
}

static void known_guesses_do_not_wait(void **state)
{
	struct description a, b;
	struct plan pa, pb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", NULL, APDM, 1);
	home(&b, "192.168.1.2:6000", "198.51.100.2:6000", NULL, EIM, 1);
	a.guess = b.guess = true;
	both(&a, &b, &pa, &pb);
	assert_true(pa.mass_start >= 40 * MS);
	b.first = PUNCH__FIRST__FIRST_MANY;
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.mass_start, 0);
	assert_int_equal(pb.mass_start, PLAN_MASS_MARGIN);
	b.first = PUNCH__FIRST__FIRST_RELAY;
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.mass, PLAN_MASS_NONE);
	assert_int_equal(pb.mass, PLAN_MASS_NONE);
}

static void callee_opens_when_only_it_can(void **state)
{
	struct description a, b;
	struct plan pa, pb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", NULL, EIM, 0);
	home(&b, "192.168.1.2:6000", "198.51.100.2:6000", NULL, EIM, 1);
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.attempts[0].tactic, TACTIC_DIAL);
	assert_int_equal(pb.attempts[0].tactic, TACTIC_OPEN);
}

static void without_room_both_send_at_once(void **state)
{
	struct description a, b;
	struct plan pa, pb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", NULL, EIM, 0);
	home(&b, "192.168.1.3:6000", "198.51.100.2:6000", NULL, EIM, 0);
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.count, 1);
	assert_int_equal(pa.attempts[0].tactic, TACTIC_SYNC);
	assert_int_equal(pa.attempts[0].start, pb.attempts[0].start);
}

static void private_addresses_are_tried_on_the_same_site_only(void **state)
{
	struct description a, b;
	struct plan pa, pb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", NULL, EIM, 0);
	home(&b, "192.168.1.3:6000", "198.51.100.1:6000", NULL, EIM, 0);
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.attempts[0].tactic, TACTIC_LAN);
	assert_int_equal(pa.attempts[0].remote.port, 6000);
	home(&b, "192.168.1.3:6000", "198.51.100.2:6000", NULL, EIM, 0);
	both(&a, &b, &pa, &pb);
	assert_int_not_equal(pa.attempts[0].tactic, TACTIC_LAN);
}

static void unseen_side_is_near_only_in_the_same_subnet(void **state)
{
	struct description a, b;
	struct plan pa, pb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", NULL, EIM, 0);
	memset(&b, 0, sizeof(b));
	add(&b, HOST, "192.168.1.3:6000");
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.count, 1);
	assert_int_equal(pa.attempts[0].tactic, TACTIC_LAN);
	assert_int_equal(pa.window, PLAN_WINDOW_LAN);
	memset(&b, 0, sizeof(b));
	add(&b, HOST, "192.168.7.3:6000");
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.count, 0);
}

static void one_random_side_holds_and_the_other_guesses(void **state)
{
	struct description a, b;
	struct plan pa, pb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", NULL, APDM, 1);
	home(&b, "192.168.1.2:6000", "198.51.100.2:6000", NULL, EIM, 1);
	a.guess = b.guess = true;
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.mass, PLAN_MASS_HOLD);
	assert_int_equal(pa.mass_ttl, 2);
	assert_int_equal(pb.mass, PLAN_MASS_GUESS);
	assert_true(pa.mass_start < pb.mass_start);
	assert_int_equal(pa.window, pb.window);
	b.guess = false;
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.mass, PLAN_MASS_NONE);
}

static void a_mapped_port_is_dialled_even_between_two_random_sides(void **state)
{
	struct description a, b;
	struct plan pa, pb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", NULL, APDM, 1);
	home(&b, "192.168.1.2:6000", "198.51.100.2:6000", NULL, APDM, 1);
	add(&b, MAPPED, "198.51.100.2:7000");
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.count, 1);
	assert_int_equal(pa.attempts[0].tactic, TACTIC_MAPPED);
	assert_int_equal(pa.attempts[0].ttl, 0);
	assert_int_equal(pa.attempts[0].start, 0);
	assert_int_equal(pa.awaited, 0);
	assert_true(pa.window < PLAN_WINDOW);
	/* The side with the mapping has nothing to dial, but must not give up at once */
	assert_int_equal(pb.count, 0);
	assert_int_equal(pb.awaited, pa.window);
	/* What a peer says must not make us knock at our own network, nor use IPv6 where the program cannot */
	b.candidates[b.count - 1].endpoint.address[0] = 10;
	add(&b, MAPPED, "[2001:db8::1]:7000");
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.count, 0);
}

static void guesses_wait_for_a_mapped_port(void **state)
{
	struct description a, b;
	struct plan pa, pb, qa, qb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", NULL, APDM, 1);
	home(&b, "192.168.1.2:6000", "198.51.100.2:6000", NULL, EIM, 1);
	a.guess = b.guess = true;
	both(&a, &b, &pa, &pb);
	add(&a, MAPPED, "198.51.100.1:7000");
	both(&a, &b, &qa, &qb);
	assert_int_equal(qa.mass, PLAN_MASS_HOLD);
	assert_true(qa.mass_start > pa.mass_start + 40 * MS);
	assert_int_equal(qa.mass_start - pa.mass_start, qb.mass_start - pb.mass_start);
}

static void two_symmetric_sides_have_no_direct_path(void **state)
{
	struct description a, b;
	struct plan pa, pb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", NULL, APDM, 1);
	home(&b, "192.168.1.2:6000", "198.51.100.2:6000", NULL, APDM, 1);
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.count, 0);
	assert_non_null(pa.reason);
	assert_int_equal(pb.count, 0);
}

static void two_that_count_meet_and_one_opens(void **state)
{
	struct description a, b;
	struct plan pa, pb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", NULL, APDM, 1);
	home(&b, "192.168.1.2:6000", "198.51.100.2:6000", NULL, APDM, 2);
	a.guess = b.guess = true;
	a.port_rule = b.port_rule = PUNCH__PORT_RULE__PORT_RULE_SEQUENTIAL;
	a.port_low = b.port_low = 20000;
	a.port_high = b.port_high = 20063;
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.mass, PLAN_MASS_MEET);
	assert_int_equal(pb.mass, PLAN_MASS_MEET);
	assert_int_equal(pa.mass_ttl, 2);
	assert_int_equal(pb.mass_ttl, 0);
	assert_true(pb.mass_start > pa.mass_start);
	assert_int_equal(pa.window, pb.window);
	assert_int_equal(pa.mass_wave, pb.mass_wave);
	assert_null(pa.reason);
	a.port_rule = PUNCH__PORT_RULE__PORT_RULE_RANDOM;
	both(&a, &b, &pa, &pb);
	assert_true(plan_empty(&pa) && plan_empty(&pb));
	assert_non_null(pa.reason);
}

static void two_that_get_no_syn_take_the_relay_when_both_have_measured_it(void **state)
{
	struct description a, b;
	struct plan pa, pb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", "198.51.100.1:5001", EIM, 1);
	home(&b, "192.168.2.2:6000", "198.51.100.2:6000", "198.51.100.2:6001", EIM, 1);
	a.filtering = b.filtering = PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY;
	a.filtering_measured = true;
	both(&a, &b, &pa, &pb);		/* b has it from another day */
	assert_int_equal(pa.count, PLAN_LANES);
	assert_int_equal(pb.count, PLAN_LANES);
	b.filtering_measured = true;
	both(&a, &b, &pa, &pb);
	assert_true(plan_empty(&pa) && plan_empty(&pb));
	assert_string_equal(pa.reason, pb.reason);
	assert_non_null(strstr(pa.reason, "SYN"));
	/* one of them alone can dial */
	b.filtering = PUNCH__FILTERING__FILTERING_ADDRESS_PORT_DEPENDENT;
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.count, PLAN_LANES);
	/* nothing is held or guessed either */
	b.filtering = PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY;
	a.mapping = APDM;
	a.guess = b.guess = true;
	both(&a, &b, &pa, &pb);
	assert_true(plan_empty(&pa) && plan_empty(&pb));
	/* a LAN and a port that the gateway passes on remain */
	a.mapping = EIM;
	add(&b, MAPPED, "198.51.100.2:7000");
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.count, 1);
	assert_int_equal(pa.attempts[0].tactic, TACTIC_MAPPED);
	assert_true(plan_empty(&pb));
	assert_true(pb.awaited > 0);
	home(&b, "192.168.1.3:6000", "198.51.100.1:6000", "198.51.100.1:6001", EIM, 1);
	b.filtering = PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY;
	b.filtering_measured = true;
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.count, 1);
	assert_int_equal(pa.attempts[0].tactic, TACTIC_LAN);
	assert_int_equal(pa.window, PLAN_WINDOW_LAN);
}

static void symmetric_side_dials(void **state)
{
	struct description a, b;
	struct plan pa, pb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", NULL, APDM, 1);
	home(&b, "192.168.1.2:6000", "198.51.100.2:6000", NULL, EIM, 1);
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.attempts[0].tactic, TACTIC_DIAL);
	assert_int_equal(pb.attempts[0].tactic, TACTIC_OPEN);
}

static void ipv6_needs_an_ipv6_socket(void **state)
{
	struct description a, b;
	struct plan plan;
	struct plan_input in = { .own = &a, .peer = &b, .caller = true, .family = AF_INET6 };

	(void)state;
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	add(&a, HOST, "[2001:db8::1]:5000");
	add(&b, HOST, "[2001:db8::2]:6000");
	plan_make(&plan, &in);
	assert_int_equal(plan.count, 1);
	in.family = AF_INET;
	plan_make(&plan, &in);
	assert_int_equal(plan.count, 0);
}

static void loopback_is_never_dialled(void **state)
{
	struct description a, b;
	struct plan pa, pb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", NULL, EIM, 0);
	home(&b, "127.0.0.1:22", "127.0.0.1:25", NULL, EIM, 0);
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.count, 0);
}

/* Whoever is seen at a public address is not sent into its own networks, by a peer or by a server that lies about one */
static void private_reflexive_address_is_not_aimed_at_from_outside(void **state)
{
	struct description a, b;
	struct plan pa, pb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", "198.51.100.1:5001", EIM, 1);
	home(&b, "192.168.7.2:6000", "192.168.1.1:80", "100.64.0.1:80", EIM, 1);
	both(&a, &b, &pa, &pb);
	assert_true(plan_empty(&pa));
	assert_non_null(pa.reason);
	/* a server in a private network may see both of them there */
	home(&a, "10.1.0.2:5000", "10.1.0.2:5000", "10.1.0.2:5001", EIM, 0);
	home(&b, "10.2.0.2:6000", "10.2.0.2:6000", "10.2.0.2:6001", EIM, 0);
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.count, PLAN_LANES);
	assert_int_equal(pb.count, PLAN_LANES);
}

static void private_networks_are_never_guessed_at(void **state)
{
	struct description a, b;
	struct plan pa, pb;

	(void)state;
	home(&a, "192.168.1.2:5000", "198.51.100.1:5000", NULL, EIM, 1);
	home(&b, "192.168.7.2:6000", "192.168.1.1:80", NULL, APDM, 1);
	a.guess = b.guess = true;
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.mass, PLAN_MASS_NONE);
	home(&a, "10.1.0.2:5000", "10.1.0.2:5000", NULL, EIM, 1);
	a.guess = true;
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.mass, PLAN_MASS_NONE);
	assert_int_equal(pa.count, 1);
	/* nor met */
	a.mapping = APDM;
	a.port_rule = b.port_rule = PUNCH__PORT_RULE__PORT_RULE_SEQUENTIAL;
	a.port_low = b.port_low = 20000;
	a.port_high = b.port_high = 20063;
	both(&a, &b, &pa, &pb);
	assert_int_equal(pa.mass, PLAN_MASS_NONE);
}

static void attempts_are_bounded(void **state)
{
	struct description a, b;
	struct plan plan;
	struct plan_input in = { .own = &a, .peer = &b, .caller = true, .family = AF_INET };
	char text[32];
	int i;

	(void)state;
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	for (i = 0; i < LIMIT_CANDIDATES; i++) {
		snprintf(text, sizeof(text), "203.0.113.%d:7000", i + 1);
		add(&b, HOST, text);
	}
	plan_make(&plan, &in);
	assert_in_range(plan.count, 1, PLAN_LAN_HOSTS);
	/* of these each is an attempt of its own */
	b.count = 0;
	for (i = 0; i < LIMIT_CANDIDATES; i++) {
		snprintf(text, sizeof(text), "203.0.113.%d:7000", i + 1);
		add(&b, MAPPED, text);
	}
	plan_make(&plan, &in);
	assert_int_equal(plan.count, PLAN_ATTEMPTS);
}

static void outermost_nat_is_before_the_first_public_router(void **state)
{
	struct endpoint routers[4];

	(void)state;
	memset(routers, 0, sizeof(routers));
	endpoint_parse(&routers[0], "192.168.1.1", 0);
	endpoint_parse(&routers[1], "100.64.0.1", 0);
	endpoint_parse(&routers[2], "203.0.113.1", 0);
	assert_int_equal(hops_judge(routers, 4, 4), 2);
	/* the target answers before any public router: no room */
	assert_int_equal(hops_judge(routers, 4, 3), 0);
	/* silent routers in between do not matter */
	routers[1].family = 0;
	assert_int_equal(hops_judge(routers, 4, 0), 2);
	routers[2].family = 0;
	assert_int_equal(hops_judge(routers, 4, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(caller_opens_when_it_knows_its_hops),
		cmocka_unit_test(callee_says_what_is_first),
		cmocka_unit_test(without_hops_the_second_lane_is_staggered),
		cmocka_unit_test(known_guesses_do_not_wait),
		cmocka_unit_test(callee_opens_when_only_it_can),
		cmocka_unit_test(without_room_both_send_at_once),
		cmocka_unit_test(private_addresses_are_tried_on_the_same_site_only),
		cmocka_unit_test(unseen_side_is_near_only_in_the_same_subnet),
		cmocka_unit_test(a_mapped_port_is_dialled_even_between_two_random_sides),
		cmocka_unit_test(guesses_wait_for_a_mapped_port),
		cmocka_unit_test(one_random_side_holds_and_the_other_guesses),
		cmocka_unit_test(two_symmetric_sides_have_no_direct_path),
		cmocka_unit_test(two_that_count_meet_and_one_opens),
		cmocka_unit_test(two_that_get_no_syn_take_the_relay_when_both_have_measured_it),
		cmocka_unit_test(symmetric_side_dials),
		cmocka_unit_test(ipv6_needs_an_ipv6_socket),
		cmocka_unit_test(loopback_is_never_dialled),
		cmocka_unit_test(private_reflexive_address_is_not_aimed_at_from_outside),
		cmocka_unit_test(private_networks_are_never_guessed_at),
		cmocka_unit_test(attempts_are_bounded),
		cmocka_unit_test(outermost_nat_is_before_the_first_public_router),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
