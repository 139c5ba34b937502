/* SPDX-License-Identifier: MIT */
/*
 * doctor_verdict.h - core: what the measured facts mean, in words
 */
#ifndef PUNCH_DOCTOR_VERDICT_H
#define PUNCH_DOCTOR_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/endpoint.h"

/**
 * struct doctor_facts - of the whole node
 * @uplinks, @ready:	rendezvous servers configured, and answering
 * @mapping, @filtering, @port_rule:	Punch__Mapping, Punch__Filtering, Punch__PortRule
 * @port_low, @port_high, @port_step, @port_pace:	as in struct description; 0 not known
 * @ports_scarce:	many ports of a block are still taken by attempts of ours
 * @stray_syn, @hairpin:	Punch__StraySyn, Punch__Hairpin
 * @lifetime:		s that a silent mapping was seen to live; 0 not known
 * @nats:		one above the other; 0 not known
 * @hops:		to the outermost NAT, 0 not known
 * @gateway:		enum mapper_protocol by which a gateway maps ports; @gateway_known: it was asked
 * @gateway_off:	port-mapping = no, or rendezvous = none
 * @gateway_external:	where it says that we are reached; family 0: nowhere
 * @ipv4_route:		there is a route to the Internet, or to a probe port
 * @measurable:		there is somebody to ask how the NAT maps ports
 * @mapped:		own IPv4 address as the servers see it; family 0: not known
 * @ipv6_address:	an interface has a global address
 * @ipv6_route:		and there is a route to the Internet, from @ipv6_source
 * @ipv6_filtering, @ipv6_stray:	Punch__Filtering, Punch__StraySyn of inbound IPv6 connections
 * @pinhole:		enum mapper_protocol by which a gateway lets one port in; @pinhole_known: it was asked
 * @pinhole_at:		own address and port that everybody reaches so; family 0: none
 */
struct doctor_facts {
	bool probes_shut, relay_shut;	/* of the servers that are ready none of these answers */
	bool relayless;			/* they have no relay */
	bool serverless;	/* [node] rendezvous = none */
	unsigned int uplinks, ready;
	uint32_t mapping, filtering, port_rule, hops, stray_syn, hairpin, lifetime, nats;
	uint16_t port_low, port_high;
	int32_t port_step;
	uint32_t port_pace;
	bool ports_scarce;
	uint32_t gateway;
	bool gateway_known, gateway_off;
	struct endpoint gateway_external;
	bool ipv4_route, measurable;
	struct endpoint mapped;
	bool ipv6_address, ipv6_route;
	struct endpoint ipv6_source;
	uint32_t ipv6_filtering, ipv6_stray;
	uint32_t pinhole;
	bool pinhole_known;
	struct endpoint pinhole_at;
};

/**
 * doctor_mapping(), doctor_filtering(), doctor_port_rule(), doctor_stray_syn() - words for a
 * value. Return: NULL when unknown
 */
const char *doctor_mapping(uint32_t mapping);
const char *doctor_filtering(uint32_t filtering);
const char *doctor_port_rule(uint32_t port_rule);
const char *doctor_stray_syn(uint32_t stray_syn);

/**
 * doctor_ports() - the port rule with all that is known of it, for people. Written to @text,
 * cut to @size. Return: @text
 */
const char *doctor_ports(const struct doctor_facts *facts, char *text, size_t size);

/**
 * doctor_port_mapping() - "pcp", "nat-pmp", "upnp"; "useless" where the gateway is itself behind a NAT, as its external
 * address shows; "none", "off". Return: NULL when not known yet
 */
const char *doctor_port_mapping(const struct doctor_facts *facts);

/** doctor_pinhole() - the same for IPv6, where nothing can be "useless" */
const char *doctor_pinhole(const struct doctor_facts *facts);

/** doctor_inbound() - what becomes of inbound IPv6 connections, for people */
const char *doctor_inbound(const struct doctor_facts *facts);

/**
 * doctor_nats() - how many NATs are one above the other, from hops and the gateway's external address
 * Return: 1, 2 (or more), 0 not known
 */
uint32_t doctor_nats(const struct doctor_facts *facts);

/** doctor_verdict() - one plain sentence: what connections may be expected here */
const char *doctor_verdict(const struct doctor_facts *facts);

#endif
