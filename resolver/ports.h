/* SPDX-License-Identifier: MIT */
/*
 * ports.h - INTERFACE - local ports that are ready to punch
 *
 * A prepared port is a local TCP port whose mapping on the NATs above was
 * seen by the rendezvous's probe ports, with those probe connections kept open (their end may delete the mapping).
 * A few are kept ready, so that a connection needs no discovery; each is used for one session only.
 */
#ifndef PUNCH_PORTS_H
#define PUNCH_PORTS_H

#include "common/convert.h"
#include "resolver/node.h"

/**
 * struct port - a prepared port, owned by the session that took it
 * @holder:	bound, idle IPv4 socket that keeps the number ours; -1 none
 * @probes:	open probe connections, -1 none
 * @mapped:	as each probe port saw us; family 0: not seen
 */
#define PORT_PROBES 2
struct port {
	uint16_t number;
	int holder;
	int probes[PORT_PROBES];
	struct endpoint mapped[PORT_PROBES];
	bool asked;			/* probe ports were asked */
	struct endpoint source;		/* own address of the probe connections */
	uint64_t asked_at;		/* when the probe connections were begun */
	uint64_t ready_at;
};

struct ports *ports_new(struct node *node);
void ports_free(struct ports *ports);

/** ports_take() - a ready port. Return: port (port_free()) or NULL when none is ready yet */
struct port *ports_take(struct ports *ports);

/** ports_wait() - call back (once, never from inside) when a port is ready or it is clear that none will be */
struct ports_waiter *ports_wait(struct ports *ports, void (*ready)(void *arg), void *arg);
void ports_wait_cancel(struct ports_waiter *waiter);

/** ports_on_uplink() - servers came or went: probe again */
void ports_on_uplink(struct ports *ports);

void port_free(struct port *port);

/**
 * port_socket() - one more socket on a local port, beside those that have it already
 * @family:	AF_INET, or AF_INET6 (dual-stack)
 * @number:	port, 0 for any
 * Return: bound non-blocking socket with SO_REUSEADDR and SO_REUSEPORT, or -errno
 */
int port_socket(int family, uint16_t number);

/** ports_spent() - @n connections were opened at once, each of which took a port of a symmetric NAT */
void ports_spent(struct ports *ports, unsigned int n);

/** ports_scarce() - may those still be taken? Of a block (RFC 7422) they would be a large part */
bool ports_scarce(const struct ports *ports);

/** ports_studying() - is it being found out what comes in? */
bool ports_studying(const struct ports *ports);

/**
 * ports_firewall() - which inbound IPv6 connections get in?
 * @filtering:	Punch__Filtering; UNKNOWN, too, where no rendezvous has an IPv6 probe port
 * @stray:	Punch__StraySyn: how those that do not are kept out
 */
void ports_firewall(const struct ports *ports, uint32_t *filtering, uint32_t *stray);

/** ports_public() - own IPv4 address as a probe port saw it last. Return: false when none has answered */
bool ports_public(const struct ports *ports, struct endpoint *public);

/** ports_measurable() - is there, or will there be, an IPv4 probe port to which this host has a route? */
bool ports_measurable(const struct ports *ports);

/** ports_facts() - what is known of the NATs here: mapping, filtering, port_rule, hops of @description */
void ports_facts(const struct ports *ports, struct description *description);

#endif
