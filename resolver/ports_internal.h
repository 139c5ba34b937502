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

/* One question to a probe port: from where does it see us? */
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

/* A port that is being made */
struct making {
	TAILQ_ENTRY(making) link;
	struct ports *ports;
	struct port *port;
	struct probe probes[PORT_PROBES];
	unsigned int asked;
	struct event *timer;
};

/* A port that is ready; its probe connections are watched, for their end is its end */
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
	struct endpoint public;		/* where the last probe port that answered saw us; family 0: none has */
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

/* --- ports.c */

/** ports_keep() - a port that is made: keep it ready; owned from here on */
void ports_keep(struct ports *ports, struct port *port);

/** ports_drop_unseen() - give up kept ports that no probe port has seen; ports_wake() makes others */
void ports_drop_unseen(struct ports *ports);

/** ports_wake() - serve who waits and make more, from the loop */
void ports_wake(struct ports *ports);

/* --- ports_facts.c */

/** ports_may_send() - take @n SYNs to @to from the budget. Return: false when it has not so many */
bool ports_may_send(struct ports *ports, const struct endpoint *to, unsigned int n);

/** ports_not_sent() - give them back: they were not sent, or were answered */
void ports_not_sent(struct ports *ports, const struct endpoint *to, unsigned int n);

/** ports_learn() - what the probes of a port tell of mapping and port rule */
void ports_learn(struct ports *ports, const struct port *port);

/** ports_facts_fresh() - is the mapping known, and not for too long? */
bool ports_facts_fresh(const struct ports *ports);

/** ports_silent() - no probe port answered lately: none is waited for */
bool ports_silent(const struct ports *ports);

/**
 * ports_find_hops() - begin to measure the outermost NAT's distance, if that is not under way. @target: a probe port
 */
void ports_find_hops(struct ports *ports, const struct endpoint *target);

/** ports_study() - once for a network: begin to find out what comes in. @target: a probe port */
void ports_study(struct ports *ports, const struct endpoint *target);

/** ports_facts_reset() - another network: end what is being measured, forget what was */
void ports_facts_reset(struct ports *ports);

/* --- ports_firewall.c */

/** ports_firewall_study() - of IPv6, once for a network, when there is somebody to ask */
void ports_firewall_study(struct ports *ports);

/** ports_firewall_reset() - another network */
void ports_firewall_reset(struct ports *ports);

/* --- ports_making.c */

/** making_targets() - IPv4 probe ports of the first server that has some, else other people's servers. Return: count */
unsigned int making_targets(const struct ports *ports, struct endpoint probes[UPLINK_PROBES]);

/** making_start() - begin to make a port, which ends in ports_keep(). Return: 0 or -errno */
int making_start(struct ports *ports);

/** making_free() - end it; its port goes too unless it was taken out */
void making_free(struct making *making);

#endif
