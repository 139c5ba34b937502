/* SPDX-License-Identifier: MIT */
/*
 * probe.h - STUN over TCP: tells a node the address and port that it is seen under
 */
#ifndef RENDEZVOUS_PROBE_H
#define RENDEZVOUS_PROBE_H

#include <stddef.h>
#include <stdint.h>
#include <event2/event.h>

#include "common/endpoint.h"

/**
 * struct probe_stats - connections now, and those before their first request; since the start: connections,
 * answers, and those refused or ended by a limit (@crowded: for another one; @slow: within a request)
 */
struct probe_stats {
	unsigned int now, strangers;
	uint64_t accepted, answers, limited, crowded, slow, malformed;
};

extern struct probe_stats probe_stats;

/**
 * probes_open() - listen on each endpoint
 * One that cannot be had is told and left out, as long as one is left.
 * @eps:	get the ports that were bound; those left out get family 0
 * @descriptors:	that this process may have
 * Return: number of probes, or -errno when there is none (told)
 */
int probes_open(struct event_base *base, struct endpoint *eps, unsigned int count, unsigned int descriptors);

/** probes_close() - end listeners and connections */
void probes_close(void);

#endif
