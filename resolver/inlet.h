/* SPDX-License-Identifier: MIT */
/*
 * inlet.h - ports that the gateway passes on to us: reachable from everywhere, shared by all sessions
 */
#ifndef PUNCH_INLET_H
#define PUNCH_INLET_H

#include "common/endpoint.h"
#include "resolver/mapper.h"
#include "resolver/node.h"

struct inlets;

/** inlets_new() - bind, and ask the gateway. Return: NULL when out of memory or sockets */
struct inlets *inlets_new(struct node *node);
void inlets_free(struct inlets *inlets);

/**
 * inlets_external() - where everybody reaches us
 * @family:	of the sockets that come of it
 * @seen:	own address as a rendezvous sees it, family 0 when not known: a mapping with another one is of no use
 * Return: false when there is none, or when it leads only to another NAT
 */
bool inlets_external(const struct inlets *inlets, int family, const struct endpoint *seen,
		     struct endpoint *external);

/**
 * inlets_pinhole() - own IPv6 address and port that the firewall lets everybody reach
 * @family:	of the sockets that come of it: AF_INET has none
 * Return: false when there is none
 */
bool inlets_pinhole(const struct inlets *inlets, int family, struct endpoint *external);

/**
 * inlets_mapping() - which protocol maps, for people
 * @family:	AF_INET a mapping, AF_INET6 a pinhole
 * @external:	as the gateway says, useful or not; family 0 none
 */
enum mapper_protocol inlets_mapping(const struct inlets *inlets, int family, bool *known, struct endpoint *external);

/** inlets_restart() - another network; inlets_refresh() - the connection to a server was interrupted */
void inlets_restart(struct inlets *inlets);
void inlets_refresh(struct inlets *inlets);

#endif
