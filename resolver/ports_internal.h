/* SPDX-License-Identifier: MIT */
/*
 * ports_internal.h - what the ports*.c files share; nobody else includes it
 */
#ifndef PUNCH_PORTS_INTERNAL_H
#define PUNCH_PORTS_INTERNAL_H

#include <sys/queue.h>

#include "common/stun.h"
#include "resolver/hops.h"
#include "resolver/portrule.h"
#include "resolver/netcache.h"
#include "resolver/ports.h"
#include "resolver/study.h"
#include "resolver/uplink.h"

struct making;

struct probe {
	struct making *making;
	unsigned int index;
	struct endpoint target;		/* the probe port */
	struct event *event;
	uint8_t id[STUN_ID];
	uint8_t in[STUN_MAX];
	size_t have;
	bool asked;
	bool over;		/* answered or failed */
};

struct making {
	TAILQ_ENTRY(making) link;
	struct ports *ports;
	struct port *port;
	struct probe probes[PORT_PROBES];
	unsigned int asked;
	struct event *timer;
};

struct kept {
	TAILQ_ENTRY(kept) link;
	struct ports *ports;
	struct port *port;
	struct event *watch[PORT_PROBES];
};

struct ports_waiter {
	TAILQ_ENTRY(ports_waiter) link;
	struct ports *ports;
	void (*ready)(void *arg);
	void *arg;
};

struct ports {
	struct node *node;
	TAILQ_HEAD(, making) makings;
	TAILQ_HEAD(, kept) kept;
	TAILQ_HEAD(, ports_waiter) waiters;
	unsigned int making_count;
	unsigned int kept_count;
	unsigned int waiter_count;
	struct event *wake;		/* serves waiters, makes more */
	struct description facts;
	uint64_t taken_until;		/* much of a block may be in use by what we opened and closed */
	struct portrule seen;		/* mapped ports since the facts were new */
	unsigned int unanswered;	/* ports in a row of which no probe port answered */
	uint64_t silent_until;		/* they are not waited for before this */
	uint64_t facts_at;		/* 0: never */
	struct hops *hops;
	struct study *study;		/* under way */
	struct study *study6;		/* of IPv6's firewall */
	bool studied6;			/* on this network */
	uint32_t filtering6, stray6;	/* Punch__Filtering, Punch__StraySyn */
	uint8_t network[NETCACHE_KEY];	/* which one this is, once it is known */
	bool network_known;
	struct lifetime *lifetime;	/* under way, for some minutes */
	struct endpoint studied_at;	/* the probe port of both */
	uint64_t studied_since;		/* the last one on this network; 0: none yet */
	uint64_t filtering_at;		/* facts.filtering was measured; 0: it is remembered */
	bool hops_measured;		/* facts.hops; else they are remembered */
	unsigned int hops_studied;	/* what the study took for them */
	bool by_address;		/* a server elsewhere sees our ports under other numbers */
	struct stunlist *stun;		/* other people's servers */
};

/* ports.c */
void ports_keep(struct ports *ports, struct port *port);
void ports_wake(struct ports *ports);

/* ports_facts.c */
bool ports_may_send(struct ports *ports, const struct endpoint *to, unsigned int n);	/* SYNs, by the budget */
void ports_not_sent(struct ports *ports, const struct endpoint *to, unsigned int n);	/* or answered */
void ports_learn(struct ports *ports, const struct port *port);
bool ports_facts_fresh(const struct ports *ports);
bool ports_silent(const struct ports *ports);	/* no probe port answered lately: none is waited for */
void ports_find_hops(struct ports *ports, const struct endpoint *target);
void ports_study(struct ports *ports, const struct endpoint *target);	/* once for a network */
void ports_facts_reset(struct ports *ports);	/* another network: end what is being measured, forget what was */

/* ports_firewall.c */
void ports_firewall_study(struct ports *ports);	/* once for a network, when there is somebody to ask */
void ports_firewall_reset(struct ports *ports);	/* another network */

/* ports_making.c */
unsigned int making_targets(const struct ports *ports, struct endpoint probes[UPLINK_PROBES]);
int making_start(struct ports *ports);		/* 0 or -errno */
void making_free(struct making *making);

#endif
