/* SPDX-License-Identifier: MIT */
/*
 * uplink_impl.h - what uplink.c (states, connecting) and uplink_talk.c (messages) share;
 * for nobody else
 */
#ifndef PUNCH_UPLINK_IMPL_H
#define PUNCH_UPLINK_IMPL_H

#include "resolver/dns.h"
#include "resolver/pin.h"
#include "resolver/pulse.h"
#include "resolver/race.h"
#include "resolver/uplink.h"
#include "resolver/uplink_tls.h"

#define UPLINK_PROBLEM	768	/* bytes of a problem's text: two keys, a path, advice */

struct uplink {
	struct node *node;
	char name[LIMIT_HOST + 8];
	struct pin pin;
	SSL_CTX *context;
	enum uplink_state state;
	struct event *timer;
	struct dns_query *query;	/* RESOLVING */
	struct race *race;		/* CONNECTING, first half */
	struct uplink_tls *tls;		/* CONNECTING, second half, to READY */
	bool doubted;			/* READY: the network changed, is the own address still ours? */
	bool restart;			/* the network changed under a try: begin anew */
	bool receive;			/* as the last Hello said */
	bool wrong_key;
	char problem[UPLINK_PROBLEM];
	char told[UPLINK_PROBLEM];	/* last problem that was logged as a warning */
	unsigned int failures;		/* tries in a row */
	unsigned int skip;		/* addresses to put last: TCP answered there, the rest failed */
	uint64_t begun_at, ready_at;
	uint64_t advanced_at;		/* CONNECTING, GREETING: the last step */
	struct pulse pulse;
	struct endpoint server, observed;
	struct endpoint first;		/* of the addresses that are tried; family 0 none yet */
	struct endpoint twin;		/* an IPv4 address of the same name; family 0 none */
	struct endpoint probes[UPLINK_PROBES];
	unsigned int probe_count;
	struct uplink_relay relays[LIMIT_RELAYS];
	unsigned int relay_count;
};

/** uplink_set_state() - log the edge, tell the others; the last act of whoever calls it: they may call back */
void uplink_set_state(struct uplink *u, enum uplink_state to);

/** uplink_fail() - a try or a connection is over: note why, plan the next try, go to IDLE or REFUSED */
void uplink_fail(struct uplink *u, enum uplink_state to, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** uplink_say_hello(), uplink_say_ping() - Return: 0 or -ENOMEM */
int uplink_say_hello(struct uplink *u);
int uplink_say_ping(struct uplink *u, uint64_t nonce);

/** uplink_on_message() - for struct uplink_tls_events */
bool uplink_on_message(void *arg, const Punch__Message *message);

#endif
