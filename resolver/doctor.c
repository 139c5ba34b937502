/* SPDX-License-Identifier: MIT */
/*
 * doctor.c - what this network lets through, for punchctl doctor
 *
 * Nothing is measured here: the uplinks and the prepared ports have measured already
 * or are about to.  They get DOCTOR_WAIT for that.  What a study has found out in this very network within the
 * last week counts until it is measured anew (netcache.c); what is not known then is reported as not measured.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "resolver/doctor.h"
#include "resolver/doctor_doors.h"
#include "resolver/doctor_verdict.h"
#include "resolver/inlet.h"
#include "resolver/lifetime.h"
#include "resolver/ports.h"
#include "resolver/reach.h"
#include "resolver/timer.h"
#include "resolver/uplink.h"

/*
 * A study (study.c) takes 5 s behind a NAT that drops what it does not know. With lost packets or a far server it may
 * take more than this, 10.5 s at most: rather than that everybody waits for it, its facts are told the next time.
 */
#define DOCTOR_WAIT	(9 * SECOND)
#define DOCTOR_LOOK	(50 * MS)	/* between two looks whether all is known */
#define DOCTOR_LINE	160		/* bytes of one line of the text for people */

struct doctor {
	struct node *node;
	int as_json;
	struct event *timer;
	uint64_t until;
	struct doors doors;
	void (*done)(void *arg, const char *text);
	void *arg;
};

/* --- facts */

/* Has every server said yes or no, and do the ports know the NAT? */
static bool all_known(const struct node *node)
{
	struct description facts = { .count = 0 };
	unsigned int i, ready = 0;
	struct endpoint external;
	bool mapper;

	for (i = 0; i < node->uplink_count; i++) {
		const struct uplink *uplink = node->uplinks[i];

		if (uplink_state(uplink) == UPLINK_READY)
			ready++;
		else if (uplink_state(uplink) != UPLINK_REFUSED && !*uplink_problem(uplink))
			return false;
	}
	if (!ready || !node->ports)
		return true;
	ports_facts(node->ports, &facts);
	inlets_mapping(node->inlets, AF_INET, &mapper, &external);
	return (facts.mapping != PUNCH__MAPPING__MAPPING_UNKNOWN || !ports_measurable(node->ports)) &&
	       !ports_studying(node->ports) && (mapper || !node->inlets);
}

/* How IPv4 leaves this host. A rendezvous may have been reached by IPv6, and has seen another address then */
static void gather_ipv4(const struct node *node, struct doctor_facts *facts)
{
	struct endpoint source, seen;
	unsigned int i;

	facts->measurable = node->ports && ports_measurable(node->ports);
	facts->ipv4_route = !reach_source(AF_INET, &source) || facts->measurable;
	if (node->ports && ports_public(node->ports, &facts->mapped))
		return;
	for (i = 0; i < node->uplink_count && !facts->mapped.family; i++)
		if (!uplink_observed(node->uplinks[i], &seen) && seen.family == AF_INET)
			facts->mapped = seen;
}

static void gather(const struct node *node, const struct doors *doors, struct doctor_facts *facts)
{
	struct description nat = { .count = 0 };
	unsigned int i;

	memset(facts, 0, sizeof(*facts));
	if (node->ports)
		ports_facts(node->ports, &nat);
	gather_ipv4(node, facts);
	facts->mapping = nat.mapping;
	facts->filtering = nat.filtering;
	facts->port_rule = nat.port_rule;
	facts->port_low = nat.port_low;
	facts->port_high = nat.port_high;
	facts->port_step = nat.port_step;
	facts->port_pace = nat.port_pace;
	facts->ports_scarce = node->ports && ports_scarce(node->ports);
	facts->stray_syn = nat.stray_syn;
	facts->hairpin = nat.hairpin;
	facts->lifetime = nat.lifetime;
	facts->hops = nat.hops;
	for (i = 0; i < node->uplink_count; i++)
		facts->ready += uplink_state(node->uplinks[i]) == UPLINK_READY;
	facts->uplinks = node->uplink_count;
	facts->gateway_off = node->conf.port_mapping == CONF_MAPPING_NO || node->conf.serverless;
	facts->gateway = inlets_mapping(node->inlets, AF_INET, &facts->gateway_known, &facts->gateway_external);
	facts->nats = doctor_nats(facts);
	facts->probes_shut = doors_shut(doors, false);
	facts->relay_shut = doors_shut(doors, true);
	facts->relayless = doors_without_relay(node);
	facts->serverless = node->conf.serverless;
	facts->ipv6_address = reach_has_global_ipv6();
	facts->ipv6_route = !reach_source(AF_INET6, &facts->ipv6_source);
	if (node->ports)
		ports_firewall(node->ports, &facts->ipv6_filtering, &facts->ipv6_stray);
	facts->pinhole = inlets_mapping(node->inlets, AF_INET6, &facts->pinhole_known, &facts->pinhole_at);
}

/* --- JSON */

static void add_text(struct json_object *object, const char *name, const char *text)
{
	json_object_object_add(object, name, text ? json_object_new_string(text) : NULL);
}

static struct json_object *json_uplink(const struct uplink *uplink)
{
	struct json_object *object = json_object_new_object();
	bool ready = uplink_state(uplink) == UPLINK_READY;
	double rtt_ms = (double)uplink_rtt_us(uplink) / (double)MS;
	char text[ENDPOINT_TEXT_SIZE];
	struct endpoint ep;

	add_text(object, "name", uplink_name(uplink));
	add_text(object, "state", uplink_state_name(uplink_state(uplink)));
	add_text(object, "problem", *uplink_problem(uplink) ? uplink_problem(uplink) : NULL);
	add_text(object, "server", ready ? endpoint_format(uplink_server(uplink), text) : NULL);
	add_text(object, "local", ready && !uplink_local(uplink, &ep) ?
		 endpoint_format_address(&ep, text) : NULL);
	add_text(object, "observed", !uplink_observed(uplink, &ep) ? endpoint_format(&ep, text) : NULL);
	snprintf(text, sizeof(text), "%.1f", rtt_ms);	/* not the double's 17 digits */
	json_object_object_add(object, "rtt_ms", ready ? json_object_new_double_s(rtt_ms, text) : NULL);
	return object;
}

/* The port rule and its figures */
static void add_ports(struct json_object *nat, const struct doctor_facts *facts)
{
	bool band = facts->port_low != 0, counts = facts->port_step != 0;
	double pace = (double)facts->port_pace / 1000;
	char text[32];

	add_text(nat, "port_rule", doctor_port_rule(facts->port_rule));
	json_object_object_add(nat, "port_low", band ? json_object_new_int(facts->port_low) : NULL);
	json_object_object_add(nat, "port_high", band ? json_object_new_int(facts->port_high) : NULL);
	json_object_object_add(nat, "port_step", counts ? json_object_new_int(facts->port_step) : NULL);
	snprintf(text, sizeof(text), "%.1f", pace);
	json_object_object_add(nat, "port_pace_per_s", counts ? json_object_new_double_s(pace, text) : NULL);
}

static struct json_object *json_ipv4(const struct doctor_facts *facts)
{
	struct json_object *ipv4 = json_object_new_object();

	json_object_object_add(ipv4, "route", json_object_new_boolean(facts->ipv4_route));
	return ipv4;
}

static struct json_object *json_ipv6(const struct doctor_facts *facts)
{
	struct json_object *ipv6 = json_object_new_object();
	char text[ENDPOINT_TEXT_SIZE];

	json_object_object_add(ipv6, "address", json_object_new_boolean(facts->ipv6_address));
	json_object_object_add(ipv6, "route", json_object_new_boolean(facts->ipv6_route));
	add_text(ipv6, "source", facts->ipv6_route ? endpoint_format_address(&facts->ipv6_source, text) : NULL);
	add_text(ipv6, "filtering", doctor_filtering(facts->ipv6_filtering));
	add_text(ipv6, "stray_syn", doctor_stray_syn(facts->ipv6_stray));
	add_text(ipv6, "pinhole", doctor_pinhole(facts));
	add_text(ipv6, "mapped", facts->pinhole_at.family ? endpoint_format(&facts->pinhole_at, text) : NULL);
	return ipv6;
}

static struct json_object *json_doors(const struct doors *doors)
{
	struct json_object *list = json_object_new_array();
	char text[DOCTOR_LINE];
	unsigned int i;

	for (i = 0; i < doors->count; i++) {
		struct json_object *item = json_object_new_object();
		const char *problem = door_problem(&doors->list[i], text, sizeof(text));

		add_text(item, "address", doors->list[i].where);
		add_text(item, "what", doors->list[i].relay ? "relay" : "probe");
		json_object_object_add(item, "answers", problem ? json_object_new_boolean(!*problem) : NULL);
		add_text(item, "problem", problem && *problem ? problem : NULL);
		json_object_array_add(list, item);
	}
	return list;
}

static char *as_json(const struct node *node, const struct doors *doors, const struct doctor_facts *facts)
{
	struct json_object *root = json_object_new_object(), *list = json_object_new_array();
	struct json_object *nat = json_object_new_object();
	char text[ENDPOINT_TEXT_SIZE], *out = NULL;
	const char *string;
	unsigned int i;

	for (i = 0; i < node->uplink_count; i++)
		json_object_array_add(list, json_uplink(node->uplinks[i]));
	json_object_object_add(root, "rendezvous", list);
	json_object_object_add(root, "server_ports", json_doors(doors));
	add_text(nat, "mapping", doctor_mapping(facts->mapping));
	add_text(nat, "filtering", doctor_filtering(facts->filtering));
	add_ports(nat, facts);
	json_object_object_add(nat, "hops", facts->hops ? json_object_new_int((int)facts->hops) : NULL);
	json_object_object_add(nat, "nats", facts->nats ? json_object_new_int((int)facts->nats) : NULL);
	json_object_object_add(nat, "lifetime_s", facts->lifetime ? json_object_new_int((int)facts->lifetime) : NULL);
	add_text(nat, "address", facts->mapped.family ? endpoint_format_address(&facts->mapped, text) : NULL);
	add_text(nat, "stray_syn", doctor_stray_syn(facts->stray_syn));
	json_object_object_add(nat, "hairpin", facts->hairpin ?
			       json_object_new_boolean(facts->hairpin == PUNCH__HAIRPIN__HAIRPIN_YES) : NULL);
	add_text(nat, "port_mapping", doctor_port_mapping(facts));
	add_text(nat, "mapped", facts->gateway_external.family ?
		 endpoint_format(&facts->gateway_external, text) : NULL);
	json_object_object_add(root, "nat", nat);
	json_object_object_add(root, "ipv4", json_ipv4(facts));
	json_object_object_add(root, "ipv6", json_ipv6(facts));
	add_text(root, "verdict", doctor_verdict(facts));
	string = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (string && asprintf(&out, "%s\n", string) < 0)
		out = NULL;
	json_object_put(root);
	return out;
}

/* --- text for people */

static void print_uplink(FILE *out, const struct uplink *uplink)
{
	char server[ENDPOINT_TEXT_SIZE];
	uint32_t rtt = uplink_rtt_us(uplink);

	if (uplink_state(uplink) == UPLINK_READY)
		fprintf(out, "rendezvous    %s: ready at %s, round trip %u.%u ms\n", uplink_name(uplink),
			endpoint_format(uplink_server(uplink), server), rtt / 1000, rtt / 100 % 10);
	else
		fprintf(out, "rendezvous    %s: %s%s%s\n", uplink_name(uplink),
			uplink_state_name(uplink_state(uplink)), *uplink_problem(uplink) ? ": " : "",
			uplink_problem(uplink));
}

static const char *or_unmeasured(const char *text)
{
	return text ? text : "not measured yet";
}

static void print_ipv6(FILE *out, const struct doctor_facts *facts)
{
	char text[ENDPOINT_TEXT_SIZE];

	if (!facts->ipv6_route) {
		fprintf(out, "IPv6          %s\n", facts->ipv6_address ? "a global address, but no route" : "no");
		return;
	}
	fprintf(out, "IPv6          yes, from %s\n", endpoint_format_address(&facts->ipv6_source, text));
	fprintf(out, "IPv6 inbound  %s\n", doctor_inbound(facts));
	fprintf(out, "IPv6 pinhole  %s%s%s\n", or_unmeasured(doctor_pinhole(facts)),
		facts->pinhole_at.family ? ", everybody reaches " : "",
		facts->pinhole_at.family ? endpoint_format(&facts->pinhole_at, text) : "");
}

/* Those that do not answer; they are few, or the server is unwell */
static void print_doors(FILE *out, const struct node *node, const struct doors *doors)
{
	char text[DOCTOR_LINE];
	bool relayless = doors_without_relay(node);
	unsigned int i, open = 0, relays = 0;

	for (i = 0; i < doors->count; i++) {
		const char *problem = door_problem(&doors->list[i], text, sizeof(text));

		relays += doors->list[i].relay;
		open += problem && !*problem;
		if (problem && *problem)
			fprintf(out, "server ports  %s %s: %s\n", doors->list[i].relay ? "relay" : "probe",
				doors->list[i].where, problem);
	}
	if (open && open == doors->count)
		fprintf(out, "server ports  %s\n", relays == doors->count ? "relay answers" :
			relays ? "probes and relay answer" : "probes answer");
	if (relayless)
		fputs("server ports  there is no relay: what cannot be made directly fails\n", out);
}

static void print_nat(FILE *out, const struct doctor_facts *facts)
{
	char text[ENDPOINT_TEXT_SIZE], ports[DOCTOR_LINE], hops[32] = "not measured yet";

	if (!facts->ipv4_route) {
		fputs("IPv4          no\n", out);
		return;
	}
	if (facts->hops)
		snprintf(hops, sizeof(hops), "%u", facts->hops);
	else if (facts->mapping == PUNCH__MAPPING__MAPPING_NONE)
		snprintf(hops, sizeof(hops), "none");
	fprintf(out, "address       %s\n", facts->mapped.family ?
		endpoint_format_address(&facts->mapped, text) : "not measured yet");
	fprintf(out, "NAT mapping   %s\n", or_unmeasured(doctor_mapping(facts->mapping)));
	fprintf(out, "NAT ports     %s\n", doctor_ports(facts, ports, sizeof(ports)));
	fprintf(out, "NAT filtering %s\n", or_unmeasured(doctor_filtering(facts->filtering)));
	fprintf(out, "hops to NAT   %s\n", hops);
	if (facts->nats)
		fprintf(out, "NATs          %s\n", facts->nats > 1 ? "two or more, one above the other" : "one");
	if (facts->lifetime)
		fprintf(out, "idle mapping  lives %u s%s\n", facts->lifetime,
			facts->lifetime >= LIFETIME_LAST ? " or longer" : "");
	else
		fputs("idle mapping  not measured yet: it takes minutes\n", out);
	fprintf(out, "stray SYN     %s\n", facts->filtering == PUNCH__FILTERING__FILTERING_ENDPOINT_INDEPENDENT ?
		"let in" : or_unmeasured(doctor_stray_syn(facts->stray_syn)));
	fprintf(out, "hairpin       %s\n", facts->hairpin == PUNCH__HAIRPIN__HAIRPIN_YES ? "yes" :
		facts->hairpin ? "no" : "not measured yet");
	fprintf(out, "port mapping  %s%s%s\n", or_unmeasured(doctor_port_mapping(facts)),
		facts->gateway_external.family ? ", the gateway passes on " : "",
		facts->gateway_external.family ? endpoint_format(&facts->gateway_external, text) : "");
}

static char *as_text(const struct node *node, const struct doors *doors, const struct doctor_facts *facts)
{
	char *data = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&data, &size);
	unsigned int i;

	if (!out)
		return NULL;
	for (i = 0; i < node->uplink_count; i++)
		print_uplink(out, node->uplinks[i]);
	print_doors(out, node, doors);
	if (!node->uplink_count)
		fputs(node->conf.serverless ? "rendezvous    none, as configured\n" :
		      "rendezvous    none: set [node] rendezvous = HOST\n", out);
	print_nat(out, facts);
	print_ipv6(out, facts);
	fprintf(out, "\n%s\n", doctor_verdict(facts));
	if (fclose(out)) {
		free(data);
		return NULL;
	}
	return data;
}

/* --- */

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct doctor *doctor = arg;
	struct doctor_facts facts;
	char *text;

	(void)fd;
	(void)what;
	doors_knock(&doctor->doors, doctor->node);
	if (clock_now() < doctor->until && !(all_known(doctor->node) && doors_known(&doctor->doors))) {
		timer_set(doctor->timer, DOCTOR_LOOK);
		return;
	}
	gather(doctor->node, &doctor->doors, &facts);
	text = doctor->as_json ? as_json(doctor->node, &doctor->doors, &facts) :
				 as_text(doctor->node, &doctor->doors, &facts);
	doors_close(&doctor->doors);
	doctor->done(doctor->arg, text ? text : "out of memory\n");
	free(text);
	event_free(doctor->timer);
	free(doctor);
}

void doctor_start(struct node *node, int json, void (*done)(void *arg, const char *text), void *arg)
{
	struct doctor *doctor = calloc(1, sizeof(*doctor));
	unsigned int i;

	if (!doctor)
		goto fail;
	*doctor = (struct doctor){ .node = node, .as_json = json, .done = done, .arg = arg };
	doctor->until = clock_now() + DOCTOR_WAIT;
	doctor->timer = evtimer_new(node->base, on_look, doctor);
	if (!doctor->timer || timer_set(doctor->timer, 0))
		goto fail;
	for (i = 0; i < node->uplink_count; i++)
		uplink_wake(node->uplinks[i]);
	return;
fail:
	if (doctor && doctor->timer)
		event_free(doctor->timer);
	free(doctor);
	done(arg, "out of memory\n");
}
