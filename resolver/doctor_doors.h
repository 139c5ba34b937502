/* SPDX-License-Identifier: MIT */
/*
 * doctor_doors.h - do a server's other ports answer: its probes, and its relays?
 */
#ifndef PUNCH_DOCTOR_DOORS_H
#define PUNCH_DOCTOR_DOORS_H

#include "resolver/dns.h"
#include "resolver/uplink.h"

#define DOORS_MOST	(NODE_UPLINKS * (UPLINK_PROBES + LIMIT_RELAYS))

/**
 * struct door - one port
 * @where:	for people: ADDRESS:PORT or NAME:PORT
 * @uplink:	whose; for comparison alone, it may be gone
 * @server:	where that is
 * @nameless:	the error is of the look-up of its name
 * @forbidden:	it is in a private network, where this server must not send us
 * @unrouted:	this host has no route to any of its addresses
 * @error:	0 it answers, -EINPROGRESS not known yet, or -errno: -ETIMEDOUT no answer at all, -ENOENT there is no
 *		such name
 */
struct door {
	char where[LIMIT_HOST + 8];
	uint16_t port;
	struct node *node;
	const struct uplink *uplink;
	struct endpoint server;
	bool relay, nameless, forbidden, unrouted;
	int error;
	struct dns_query *query;
	struct race *race;
};

struct doors {
	struct door list[DOORS_MOST];
	unsigned int count;
};

/**
 * doors_knock() - connect to the ports of each server that is READY, of whose none was tried yet
 * Not to probe ports of a family that this host has not: no firewall is to blame.
 */
void doors_knock(struct doors *doors, struct node *node);

/** doors_known() - has each one answered, or been given up? */
bool doors_known(const struct doors *doors);

/** doors_without_relay() - do we know servers, and has none of them a relay? */
bool doors_without_relay(const struct node *node);

/** doors_shut() - are there any of this kind, and does none of them answer? */
bool doors_shut(const struct doors *doors, bool relay);

/** door_problem() - what is wrong, for people. Return: @text, "" when it answers, NULL while that is not known */
const char *door_problem(const struct door *door, char *text, size_t size);

/** doors_close() - give up what is under way */
void doors_close(struct doors *doors);

#endif
