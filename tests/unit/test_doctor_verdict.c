/* SPDX-License-Identifier: MIT */
/*
 * test_doctor_verdict.c - each measured value has a word, each network a sentence
 */
#include "tests/unit/scratch.h"
#include "common/punch.pb-c.h"
#include "resolver/doctor_verdict.h"
#include "resolver/mapper.h"

static void every_known_value_has_a_word_and_unknown_ones_have_none(void **state)
{
	uint32_t i;

	(void)state;
	assert_null(doctor_mapping(PUNCH__MAPPING__MAPPING_UNKNOWN));
	assert_null(doctor_filtering(PUNCH__FILTERING__FILTERING_UNKNOWN));
	assert_null(doctor_port_rule(PUNCH__PORT_RULE__PORT_RULE_UNKNOWN));
	for (i = 1; i <= PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT; i++)
		assert_non_null(doctor_mapping(i));
	for (i = 1; i <= PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY; i++)
		assert_non_null(doctor_filtering(i));
	for (i = 1; i <= PUNCH__PORT_RULE__PORT_RULE_PARITY; i++)
		assert_non_null(doctor_port_rule(i));
	assert_null(doctor_stray_syn(PUNCH__STRAY_SYN__STRAY_SYN_UNKNOWN));
	for (i = 1; i <= PUNCH__STRAY_SYN__STRAY_SYN_ICMP; i++)
		assert_non_null(doctor_stray_syn(i));
	assert_null(doctor_mapping(99));
	assert_null(doctor_filtering(UINT32_MAX));
	assert_null(doctor_port_rule(7));
}

/* The whole line of a port rule */
static void port_rules_are_told_with_their_figures(void **state)
{
	struct doctor_facts facts = { .port_low = 30007, .port_high = 30070, .port_step = 2, .port_pace = 4960 };
	char text[160];
	uint32_t i;

	(void)state;
	assert_string_equal(doctor_ports(&facts, text, sizeof(text)), "not measured yet");
	for (i = 1; i <= PUNCH__PORT_RULE__PORT_RULE_PARITY; i++) {
		facts.port_rule = i;
		doctor_ports(&facts, text, sizeof(text));
		assert_memory_equal(text, doctor_port_rule(i), strlen(doctor_port_rule(i)));
		assert_true(strlen(text) > strlen(doctor_port_rule(i)) + 10);
	}
	facts.port_rule = PUNCH__PORT_RULE__PORT_RULE_SEQUENTIAL;
	assert_string_equal(doctor_ports(&facts, text, sizeof(text)),
			    "sequential: each connection gets the number 2 after the last one, the next lies in "
			    "30007-30070; others take about 4.9 a second");
	facts.port_rule = PUNCH__PORT_RULE__PORT_RULE_BLOCK;
	assert_string_equal(doctor_ports(&facts, text, sizeof(text)),
			    "block: each connection gets any number of about 64, 30007-30070");
	facts.ports_scarce = true;
	assert_string_equal(doctor_ports(&facts, text, sizeof(text)),
			    "block: each connection gets any number of about 64, 30007-30070; many of them are still "
			    "taken by our last attempts");
}

static void inbound_ipv6_is_told_as_far_as_it_was_measured(void **state)
{
	struct doctor_facts facts = { .ipv6_route = true };

	(void)state;
	assert_memory_equal(doctor_inbound(&facts), "not measured", 12);
	facts.ipv6_filtering = PUNCH__FILTERING__FILTERING_ENDPOINT_INDEPENDENT;
	assert_string_equal(doctor_inbound(&facts), "let in");
	/* A server with one address cannot tell what others may */
	facts.ipv6_filtering = PUNCH__FILTERING__FILTERING_ADDRESS_DEPENDENT;
	assert_string_equal(doctor_inbound(&facts), "let in, at least from an address that was contacted before");
	facts.ipv6_filtering = PUNCH__FILTERING__FILTERING_ADDRESS_PORT_DEPENDENT;
	facts.ipv6_stray = PUNCH__STRAY_SYN__STRAY_SYN_DROP;
	assert_string_equal(doctor_inbound(&facts), "filtered, dropped");
	facts.ipv6_stray = PUNCH__STRAY_SYN__STRAY_SYN_RST;
	assert_string_equal(doctor_inbound(&facts), "filtered, answered with RST");
	facts.ipv6_stray = PUNCH__STRAY_SYN__STRAY_SYN_ICMP;
	assert_string_equal(doctor_inbound(&facts), "filtered, answered by ICMP");
	assert_null(doctor_pinhole(&facts));
	facts.pinhole_known = true;
	assert_string_equal(doctor_pinhole(&facts), "none");
	facts.pinhole = MAPPER_PCP;
	assert_string_equal(doctor_pinhole(&facts), "pcp");
	facts.gateway_off = true;
	assert_string_equal(doctor_pinhole(&facts), "off");
}

static void assert_says(const struct doctor_facts *facts, const char *text)
{
	const char *verdict = doctor_verdict(facts);

	if (!strstr(verdict, text))
		fail_msg("\"%s\" does not say \"%s\"", verdict, text);
	assert_int_equal(verdict[strlen(verdict) - 1], '.');
}

static void servers_come_before_nats(void **state)
{
	struct doctor_facts facts = { .mapping = PUNCH__MAPPING__MAPPING_NONE };

	(void)state;
	assert_says(&facts, "set [node] rendezvous");
	facts.uplinks = 2;
	assert_says(&facts, "No rendezvous answers");
	facts.ready = 1;
	assert_says(&facts, "no NAT");
}

static void harder_networks_promise_less(void **state)
{
	struct doctor_facts facts = { .uplinks = 1, .ready = 1, .ipv4_route = true, .measurable = true };

	(void)state;
	assert_says(&facts, "not measured yet");
	assert_says(&facts, "is relayed");
	/* Which peers there are depends on a NAT that nobody knows yet */
	facts.relayless = true;
	assert_says(&facts, "not measured yet");
	assert_says(&facts, "the server has no relay, so what cannot be made directly fails");
	facts.relayless = false;
	facts.mapping = PUNCH__MAPPING__MAPPING_ENDPOINT_INDEPENDENT;
	assert_says(&facts, "should work with most peers");
	facts.filtering = PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY;
	assert_says(&facts, "drops every inbound SYN");
	facts.filtering = PUNCH__FILTERING__FILTERING_UNKNOWN;
	facts.mapping = PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT;
	assert_says(&facts, "two of the kind they are relayed");
	facts.relayless = true;
	assert_says(&facts, "has no relay: peers that cannot be reached directly cannot be reached");
	facts.mapping = PUNCH__MAPPING__MAPPING_ENDPOINT_INDEPENDENT;
	assert_says(&facts, "should work with most peers");
	facts.probes_shut = true;
	assert_says(&facts, "and it has no relay");
	facts.mapping = PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT;
	facts.relayless = facts.probes_shut = false;
	facts.ipv6_route = true;
	assert_says(&facts, "those that have IPv6");
}

/* "Ask again" would be said for ever */
static void what_cannot_be_measured_is_not_to_be_waited_for(void **state)
{
	struct doctor_facts facts = { .uplinks = 1, .ready = 1, .ipv6_route = true };

	(void)state;
	assert_says(&facts, "no IPv4 here");
	assert_says(&facts, "the others are relayed");
	facts.relayless = true;
	assert_says(&facts, "no IPv4 here");
	assert_says(&facts, "the others cannot be reached");
	facts.ipv6_route = false;
	assert_says(&facts, "no route to the Internet");
	facts.ipv4_route = true;
	assert_says(&facts, "that takes a rendezvous that is reached by IPv4");
}

static void a_gateway_helps_only_if_it_leads_outside(void **state)
{
	struct doctor_facts facts = { .uplinks = 1, .ready = 1, .mapping = PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT };

	(void)state;
	assert_null(doctor_port_mapping(&facts));
	facts.gateway_known = true;
	assert_string_equal(doctor_port_mapping(&facts), "none");
	facts.gateway = MAPPER_NATPMP;
	assert_int_equal(endpoint_parse(&facts.gateway_external, "100.64.0.1:5000", 0), 0);
	assert_string_equal(doctor_port_mapping(&facts), "useless");
	assert_says(&facts, "two of the kind they are relayed");
	assert_int_equal(endpoint_parse(&facts.gateway_external, "198.51.100.1:5000", 0), 0);
	assert_string_equal(doctor_port_mapping(&facts), "nat-pmp");
	assert_says(&facts, "The gateway opens a port");
	assert_int_equal(endpoint_parse(&facts.mapped, "198.51.100.2:6000", 0), 0);
	assert_string_equal(doctor_port_mapping(&facts), "useless");
	facts.gateway_off = true;
	assert_string_equal(doctor_port_mapping(&facts), "off");
}

static void nats_are_counted_where_that_can_be_known(void **state)
{
	struct doctor_facts facts = { .mapping = PUNCH__MAPPING__MAPPING_NONE, .hops = 1 };

	(void)state;
	assert_int_equal(doctor_nats(&facts), 0);
	facts.mapping = PUNCH__MAPPING__MAPPING_ENDPOINT_INDEPENDENT;
	assert_int_equal(doctor_nats(&facts), 1);
	facts.hops = 3;		/* routers, or NATs */
	assert_int_equal(doctor_nats(&facts), 0);
	facts.gateway = MAPPER_PCP;
	assert_int_equal(endpoint_parse(&facts.gateway_external, "100.64.0.1:5000", 0), 0);
	assert_int_equal(doctor_nats(&facts), 2);
	assert_int_equal(endpoint_parse(&facts.gateway_external, "198.51.100.1:5000", 0), 0);
	assert_int_equal(doctor_nats(&facts), 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_known_value_has_a_word_and_unknown_ones_have_none),
		cmocka_unit_test(inbound_ipv6_is_told_as_far_as_it_was_measured),
		cmocka_unit_test(port_rules_are_told_with_their_figures),
		cmocka_unit_test(servers_come_before_nats),
		cmocka_unit_test(harder_networks_promise_less),
		cmocka_unit_test(what_cannot_be_measured_is_not_to_be_waited_for),
		cmocka_unit_test(nats_are_counted_where_that_can_be_known),
		cmocka_unit_test(a_gateway_helps_only_if_it_leads_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
