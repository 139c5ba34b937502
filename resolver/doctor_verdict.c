/* SPDX-License-Identifier: MIT */
/*
 * doctor_verdict.c - core: what the measured facts mean, in words
 */
#include <stddef.h>
#include <stdio.h>

#include "common/punch.pb-c.h"
#include "resolver/doctor_verdict.h"
#include "resolver/mapper.h"

static const char *word(const char *const *words, size_t count, uint32_t value)
{
	return value < count ? words[value] : NULL;
}

#define WORD(words, value) word(words, sizeof(words) / sizeof(*(words)), value)

const char *doctor_mapping(uint32_t mapping)
{
	static const char *const words[] = {
		[PUNCH__MAPPING__MAPPING_NONE] = "none",
		[PUNCH__MAPPING__MAPPING_ENDPOINT_INDEPENDENT] = "endpoint-independent",
		[PUNCH__MAPPING__MAPPING_ADDRESS_DEPENDENT] = "address-dependent",
		[PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT] = "address-and-port-dependent",
	};

	return WORD(words, mapping);
}

const char *doctor_filtering(uint32_t filtering)
{
	static const char *const words[] = {
		[PUNCH__FILTERING__FILTERING_ENDPOINT_INDEPENDENT] = "endpoint-independent",
		[PUNCH__FILTERING__FILTERING_ADDRESS_DEPENDENT] = "address-dependent",
		[PUNCH__FILTERING__FILTERING_ADDRESS_PORT_DEPENDENT] = "address-and-port-dependent",
		[PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY] = "syn-ack-only",
	};

	return WORD(words, filtering);
}

const char *doctor_port_rule(uint32_t port_rule)
{
	static const char *const words[] = {
		[PUNCH__PORT_RULE__PORT_RULE_PRESERVED] = "preserved",
		[PUNCH__PORT_RULE__PORT_RULE_STABLE] = "stable",
		[PUNCH__PORT_RULE__PORT_RULE_SEQUENTIAL] = "sequential",
		[PUNCH__PORT_RULE__PORT_RULE_BLOCK] = "block",
		[PUNCH__PORT_RULE__PORT_RULE_RANDOM] = "random",
		[PUNCH__PORT_RULE__PORT_RULE_PARITY] = "parity",
	};

	return WORD(words, port_rule);
}

const char *doctor_ports(const struct doctor_facts *facts, char *text, size_t size)
{
	const char *rule = doctor_port_rule(facts->port_rule);
	unsigned int low = facts->port_low, high = facts->port_high, pace = facts->port_pace;

	switch (facts->port_rule) {
	case PUNCH__PORT_RULE__PORT_RULE_PRESERVED:
		snprintf(text, size, "%s: as this host numbers them", rule);
		break;
	case PUNCH__PORT_RULE__PORT_RULE_STABLE:
		snprintf(text, size, "%s: changed, but a local port has one number outside, wherever it connects to",
			 rule);
		break;
	case PUNCH__PORT_RULE__PORT_RULE_SEQUENTIAL:
		snprintf(text, size, "%s: each connection gets the number %d after the last one, the next lies in "
			 "%u-%u; others take about %u.%u a second",
			 rule, facts->port_step, low, high, pace / 1000, pace / 100 % 10);
		break;
	case PUNCH__PORT_RULE__PORT_RULE_BLOCK:
		snprintf(text, size, "%s: each connection gets any number of about %u, %u-%u%s", rule, high - low + 1,
			 low, high, facts->ports_scarce ? "; many of them are still taken by our last attempts" : "");
		break;
	case PUNCH__PORT_RULE__PORT_RULE_RANDOM:
		snprintf(text, size, "%s: each connection gets any number", rule);
		break;
	case PUNCH__PORT_RULE__PORT_RULE_PARITY:
		snprintf(text, size, "%s: each connection gets any number, odd or even as the local one is", rule);
		break;
	default:
		snprintf(text, size, "not measured yet");
		break;
	}
	return text;
}

const char *doctor_stray_syn(uint32_t stray_syn)
{
	static const char *const words[] = {
		[PUNCH__STRAY_SYN__STRAY_SYN_DROP] = "drop",
		[PUNCH__STRAY_SYN__STRAY_SYN_RST] = "rst",
		[PUNCH__STRAY_SYN__STRAY_SYN_ICMP] = "icmp",
	};

	return WORD(words, stray_syn);
}

/* Does what the gateway opens lead to the Internet? */
static bool opens(const struct doctor_facts *facts)
{
	return facts->gateway != MAPPER_NONE && facts->gateway_external.family &&
	       !endpoint_is_private(&facts->gateway_external) &&
	       (!facts->mapped.family || endpoint_same_address(&facts->gateway_external, &facts->mapped));
}

static const char *const gateway_words[MAPPER_PROTOCOL_COUNT] = {
	[MAPPER_PCP] = "pcp",
	[MAPPER_NATPMP] = "nat-pmp",
	[MAPPER_UPNP] = "upnp",
};

const char *doctor_pinhole(const struct doctor_facts *facts)
{
	if (facts->gateway_off)
		return "off";
	if (!facts->pinhole_known)
		return NULL;
	return facts->pinhole == MAPPER_NONE ? "none" : WORD(gateway_words, facts->pinhole);
}

const char *doctor_inbound(const struct doctor_facts *facts)
{
	switch (facts->ipv6_filtering) {
	case PUNCH__FILTERING__FILTERING_UNKNOWN:
		return "not measured: that takes a rendezvous with IPv6";
	case PUNCH__FILTERING__FILTERING_ENDPOINT_INDEPENDENT:
		return "let in";
	case PUNCH__FILTERING__FILTERING_ADDRESS_DEPENDENT:
		return "let in, at least from an address that was contacted before";
	default:
		break;
	}
	switch (facts->ipv6_stray) {
	case PUNCH__STRAY_SYN__STRAY_SYN_RST:
		return "filtered, answered with RST";
	case PUNCH__STRAY_SYN__STRAY_SYN_ICMP:
		return "filtered, answered by ICMP";
	default:
		return "filtered, dropped";
	}
}

const char *doctor_port_mapping(const struct doctor_facts *facts)
{
	if (facts->gateway_off)
		return "off";
	if (!facts->gateway_known)
		return NULL;
	if (facts->gateway == MAPPER_NONE)
		return "none";
	return opens(facts) ? WORD(gateway_words, facts->gateway) : "useless";
}

uint32_t doctor_nats(const struct doctor_facts *facts)
{
	if (facts->mapping <= PUNCH__MAPPING__MAPPING_NONE)
		return 0;
	/* A gateway that has a private address outside, or not the one that the Internet sees */
	if (facts->gateway != MAPPER_NONE && facts->gateway_external.family)
		return opens(facts) ? 1 : 2;
	return facts->hops == 1 ? 1 : 0;
}

static bool is_hard(const struct doctor_facts *facts)
{
	return facts->filtering == PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY ||
	       facts->mapping == PUNCH__MAPPING__MAPPING_ADDRESS_DEPENDENT ||
	       facts->mapping == PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT;
}

/* Where the mapping is not known: will it be? */
static const char *unmeasured(const struct doctor_facts *facts)
{
	if (!facts->ipv4_route && !facts->ipv6_route)
		return "This host has no route to the Internet: only peers in its own network can be reached directly.";
	if (!facts->ipv4_route && facts->relayless)
		return "There is no IPv4 here: direct connections should work with peers that have IPv6, unless both "
		       "sides' firewalls drop every inbound SYN; the others cannot be reached, for the server has no "
		       "relay.";
	if (!facts->ipv4_route)
		return "There is no IPv4 here: direct connections should work with peers that have IPv6, unless both "
		       "sides' firewalls drop every inbound SYN; the others are relayed.";
	if (!facts->measurable)
		return "Nobody here tells how the NAT maps ports: that takes a rendezvous that is reached by IPv4, or "
		       "[node] stun.";
	if (facts->relayless)
		return "The NAT is not measured yet: ask again in a few seconds; the server has no relay, so what "
		       "cannot be made directly fails.";
	return "The NAT is not measured yet: ask again in a few seconds; what cannot be made directly is relayed.";
}

const char *doctor_verdict(const struct doctor_facts *facts)
{
	if (facts->serverless)
		return "Peers are met at their address: this works where the NATs of both sides keep port numbers, or "
		       "one side has no NAT, and the clocks are right to 2 s.";
	if (!facts->uplinks)
		return "No rendezvous is configured, so no peer can be reached: set [node] rendezvous = HOST.";
	if (!facts->ready)
		return "No rendezvous answers, so no peer can be reached now: see its line above.";
	if (facts->probes_shut && facts->relay_shut)
		return "The server's probe ports and its relay do not answer: the NAT cannot be measured, and nothing "
		       "can be relayed. Open the ports named above in the firewall of the server, or of this network.";
	if (facts->relay_shut)
		return "The server's relay does not answer: peers that cannot be reached directly cannot be reached. "
		       "See its line above.";
	if (facts->probes_shut && facts->relayless)
		return "The server's probe ports do not answer, and it has no relay: the NAT cannot be measured, and "
		       "many peers cannot be reached. Open the ports named above in the firewall of the server, or of "
		       "this network.";
	if (facts->probes_shut)
		return "The server's probe ports do not answer: the NAT cannot be measured, and many connections are "
		       "relayed. Open the ports named above in the firewall of the server, or of this network.";
	if (opens(facts))
		return "The gateway opens a port for us: direct connections should work with nearly every peer.";
	if (facts->relayless && is_hard(facts))
		return "The server has no relay: peers that cannot be reached directly cannot be reached, and with "
		       "this NAT there are such peers.";
	if (facts->filtering == PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY)
		return "The NAT or firewall drops every inbound SYN: direct connections work with peers that are "
		       "openly reachable, the others are relayed.";
	switch (facts->mapping) {
	case PUNCH__MAPPING__MAPPING_NONE:
		return "There is no NAT in IPv4's way: direct connections should work with nearly every peer.";
	case PUNCH__MAPPING__MAPPING_ENDPOINT_INDEPENDENT:
		return "Direct connections should work with most peers.";
	case PUNCH__MAPPING__MAPPING_ADDRESS_DEPENDENT:
	case PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT:
		if (facts->ipv6_route)
			return "The NAT is a hard one (a new port for each destination): direct connections should "
			       "work with peers whose own NAT is not like that, and with those that have IPv6.";
		return "The NAT is a hard one (a new port for each destination): direct connections should work with "
		       "most peers whose own NAT is not like that; between two of the kind they are relayed.";
	default:
		return unmeasured(facts);
	}
}
