/* SPDX-License-Identifier: MIT */
/*
 * ports_firewall.c - does a firewall keep IPv6 connections out?
 *
 * IPv6 ports need no preparation, for they are not mapped. But whether inbound connections get in is worth knowing: a
 * study (study.c) of its own asks an IPv6 probe port to connect back, once for a network. Where no rendezvous has one
 * (it was reached by IPv6, or names one) nobody can tell, and it stays unknown.
 */
#include "resolver/ports_internal.h"
#include "resolver/session.h"

static unsigned int no_hops(void *arg)
{
	(void)arg;
	return 0;
}

static void on_study(void *arg, const struct study_result *result)
{
	struct ports *ports = arg;

	ports->study6 = NULL;
	ports->filtering6 = study_filtering(result);
	ports->stray6 = study_stray(result);
}

void ports_firewall_study(struct ports *ports)
{
	struct endpoint probes[UPLINK_PROBES];
	unsigned int i, j, n;

	for (i = 0; i < ports->node->uplink_count && !ports->studied6; i++) {
		n = uplink_probes(ports->node->uplinks[i], probes);
		for (j = 0; j < n && !ports->studied6; j++) {
			if (probes[j].family != AF_INET6)
				continue;
			if (!ports_may_send(ports, &probes[j], 1))
				continue;
			ports->studied6 = true;
			ports->study6 = study_start(ports->node->base, &probes[j], NULL,
						    sessions_budget(ports->node->sessions), no_hops, on_study, ports);
		}
	}
}

void ports_firewall_reset(struct ports *ports)
{
	study_cancel(ports->study6);
	ports->study6 = NULL;
	ports->studied6 = false;
	ports->filtering6 = ports->stray6 = 0;
}

void ports_firewall(const struct ports *ports, uint32_t *filtering, uint32_t *stray)
{
	*filtering = ports->filtering6;
	*stray = ports->stray6;
}
