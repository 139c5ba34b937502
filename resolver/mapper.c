/* SPDX-License-Identifier: MIT */
/*
 * mapper.c - the process that asks the gateway for port mappings
 *
 * Theory of operation
 *
 * The libraries that speak to gateways block, and what they read comes from a box of unknown make. So they
 * run in a process of its own, started by exec: it holds no key, no socket of a program, and whatever
 * becomes of it, connections go on.
 *
 *	worker --exec--> mapper       ports and protocols are arguments
 *	       <--report-- mapper     each mapping when it was got, changed or lost; NONE: it leaves
 *	       --a byte--> mapper     the network may have changed: renew now
 *	       --close---> mapper     end the mappings and leave
 *
 * The link is a socket pair. The kernel closes it with the worker however that ends, so no
 * mapping stays behind but those of a mapper that was killed itself: they end with their lease.
 *
 * There are two sides, which know nothing of each other: IPv4's NAT, where ports are mapped, and IPv6's firewall, in
 * which a pinhole is opened. Both are asked of the gateway, each of the address that its route leads to.
 *
 * Protocols are tried in order, PCP, NAT-PMP, UPnP; the first that maps a side's first port is kept. A side where none does
 * is tried again after a while, as long as the other side has something. Leases are
 * renewed at half of their life (RFC 6887 11.2.1). A watchdog (alarm(), whose default is death) bounds each
 * exchange: a gateway that answers a byte now and then holds nobody up. Before the first word is said the process gives
 * up files, programs and all that is not a socket (sandbox.h).
 */
#include "resolver/mapper.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/secret.h"
#include "resolver/epoch.h"
#include "resolver/mapper_internal.h"
#include "resolver/process.h"
#include "resolver/sandbox.h"

#define PATIENCE_S	20	/* for one exchange; a slow UPnP gateway takes some seconds for its descriptions */
#define LEAVE_S		5	/* for all deletions together */
#define LEASE_LEAST	60	/* s; what is shorter would be gone between two renewals */
#define RENEW_AGAIN	(30 * SECOND)	/* a renewal that was not answered is tried again, until the lease is over */
#define SEARCH_AGAIN	(600 * SECOND)	/* a side without a protocol: somebody may have switched it on */
#define SPREAD		(5 * SECOND)	/* RFC 6886 3.7: the gateway is not to be asked by all hosts at one instant */
#define MEMORY		(64u << 20)	/* bytes; descriptions have some KiB */
#define FILES		16

typedef int mapper_ask(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime);

enum { V4, V6, SIDES };

static const struct {
	const char *name;
	mapper_ask *ask[SIDES];	/* NULL: there is no such thing */
} protocols[MAPPER_PROTOCOL_COUNT] = {
	[MAPPER_PCP] = { "PCP", { mapper_pcp, mapper_pcp } },
	[MAPPER_NATPMP] = { "NAT-PMP", { mapper_natpmp, NULL } },
	[MAPPER_UPNP] = { "UPnP", { mapper_upnp, mapper_upnp_pinhole } },
};

/**
 * struct held - one port's mapping
 * @have:	the gateway has it
 * @renew:	when to ask again
 * @over:	when the lease ends
 */
struct held {
	struct lease lease;
	bool have;
	uint64_t renew, over;
};

/**
 * struct side - IPv4's mappings, or IPv6's pinhole
 * @gateway:	family 0: none
 * @protocol:	MAPPER_NONE: none is known
 * @search:	when to look for one then
 * @epoch:	the gateway's clock, as of its last answer
 * @ear:	hears announcements, negative: none
 */
struct side {
	struct endpoint gateway;
	enum mapper_protocol protocol;
	uint64_t search;
	struct epoch epoch;
	int ear;
	struct held held[MAPPER_PORTS];
	unsigned int count;
};

struct mapper {
	unsigned int allowed;		/* bits of protocols */
	struct side sides[SIDES];
};

/* @held: NULL: of the side as a whole */
static void report(const struct mapper *mapper, const struct side *side, const struct held *held)
{
	struct mapper_report out = {
		.family = side == &mapper->sides[V6] ? AF_INET6 : AF_INET, .protocol = side->protocol,
	};

	if (held) {
		out.internal = held->lease.internal;
		out.lifetime = held->lease.granted;
		if (held->have)
			out.external = held->lease.external;
	}
	/* A worker that died is seen by the next poll() */
	send(MAPPER_LINK_FD, &out, sizeof(out), MSG_NOSIGNAL);
}

static int ask(struct mapper *mapper, struct side *side, enum mapper_protocol protocol, struct held *held,
	       uint32_t lifetime)
{
	int err;

	alarm(PATIENCE_S);
	err = protocols[protocol].ask[side - mapper->sides](&side->gateway, &held->lease, lifetime);
	alarm(0);
	log_debug("mapper: %s for %s %u, %u s: %s", protocols[protocol].name,
		  side == &mapper->sides[V6] ? "IPv6, port" : "port", held->lease.internal, lifetime,
		  err ? strerror(-err) : "granted");
	return err;
}

/* Get or renew one. Return: 0, or -errno with the mapping still there until its lease is over */
static int renew(struct mapper *mapper, struct side *side, enum mapper_protocol protocol, struct held *held)
{
	struct endpoint before = held->lease.external;
	int err = ask(mapper, side, protocol, held, MAPPER_LEASE);
	uint64_t now = clock_now();
	uint32_t life;

	if (!err && held->lease.granted < LEASE_LEAST) {
		ask(mapper, side, protocol, held, 0);
		held->over = 0;
		err = -ERANGE;
	}
	if (err) {
		held->renew = now + RENEW_AGAIN;
		if (held->have && now >= held->over) {
			held->have = false;
			report(mapper, side, held);
		}
		return err;
	}
	life = held->lease.granted < MAPPER_LEASE ? held->lease.granted : MAPPER_LEASE;
	held->renew = now + life * SECOND / 2;
	held->over = now + life * SECOND;
	side->protocol = protocol;
	if (held->lease.told)
		epoch_take(&side->epoch, held->lease.epoch, now);
	if (!held->have || !endpoint_equal(&before, &held->lease.external)) {
		held->have = true;
		report(mapper, side, held);
	}
	return 0;
}

/* Does this side begin with that protocol? Then map all its ports by it */
static void try_protocol(struct mapper *mapper, struct side *side, enum mapper_protocol protocol)
{
	unsigned int i;

	if (side->protocol != MAPPER_NONE || !side->count || !side->gateway.family ||
	    !(mapper->allowed & 1u << protocol) || !protocols[protocol].ask[side - mapper->sides] ||
	    renew(mapper, side, protocol, &side->held[0]))
		return;
	for (i = 1; i < side->count; i++)
		renew(mapper, side, protocol, &side->held[i]);
}

/* Find a protocol for each side that has none. Both by the quick ones first: UPnP takes seconds */
static void search(struct mapper *mapper)
{
	struct side *const v4 = &mapper->sides[V4], *const v6 = &mapper->sides[V6];
	unsigned int protocol;

	for (protocol = MAPPER_PCP; protocol < MAPPER_PROTOCOL_COUNT; protocol++) {
		try_protocol(mapper, v4, (enum mapper_protocol)protocol);
		if (protocol == MAPPER_UPNP && v4->protocol == MAPPER_NONE)
			report(mapper, v4, NULL);
		try_protocol(mapper, v6, (enum mapper_protocol)protocol);
	}
	v4->search = v6->search = clock_now() + SEARCH_AGAIN;
	if (v6->protocol == MAPPER_NONE)
		report(mapper, v6, NULL);
}

static void leave(struct mapper *mapper)
{
	struct side *side;
	unsigned int i;

	alarm(LEAVE_S);
	for (side = mapper->sides; side < mapper->sides + SIDES; side++)
		for (i = 0; i < side->count; i++)
			if (side->held[i].have)
				protocols[side->protocol].ask[side - mapper->sides](&side->gateway,
										    &side->held[i].lease, 0);
}

/* When is there something to do on this side? */
static uint64_t side_next(const struct side *side)
{
	uint64_t next = NEVER;
	unsigned int i;

	if (!side->gateway.family)
		return NEVER;
	if (side->protocol == MAPPER_NONE)
		return side->search;
	for (i = 0; i < side->count; i++)
		next = clock_before(next, side->held[i].renew);
	return next;
}

/*
 * A gateway that begins anew has lost its mappings, and says so. (Answers need not be looked at for that: whatever brings
 * one renews all.) Anybody on the link can say it in its name: the word of an announcement is not kept, and
 * what follows is a renewal.
 */
static void hear(struct side *side)
{
	uint64_t now = clock_now(), at;
	struct endpoint from;
	uint32_t epoch, random;
	unsigned int i;

	if (mapper_heard(side->ear, &from, &epoch) || side->protocol == MAPPER_NONE ||
	    !endpoint_same_address(&from, &side->gateway) || !epoch_lost(&side->epoch, epoch, now))
		return;
	log_debug("mapper: the gateway began anew %u s ago", epoch);
	secret_random(&random, sizeof(random));
	at = now + random % (SPREAD / MS) * MS;
	for (i = 0; i < side->count; i++)
		side->held[i].renew = clock_before(side->held[i].renew, at);
}

/* Until there is something to do, a byte, or the end. Return: false at the end */
static bool wait_link(struct mapper *mapper, bool *now)
{
	struct pollfd pfds[] = {
		{ .fd = MAPPER_LINK_FD, .events = POLLIN },
		{ .fd = mapper->sides[V4].ear, .events = POLLIN },	/* a negative one is passed over */
		{ .fd = mapper->sides[V6].ear, .events = POLLIN },
	};
	uint64_t next = clock_before(side_next(&mapper->sides[V4]), side_next(&mapper->sides[V6])), at = clock_now();
	unsigned int i;
	char word;

	*now = false;
	if (next <= at)
		return true;
	if (poll(pfds, 1 + SIDES, (int)((next - at) / MS) + 1) < 1)
		return true;
	for (i = 0; i < SIDES; i++)
		if (pfds[1 + i].revents)
			hear(&mapper->sides[i]);
	if (!pfds[0].revents)
		return true;
	*now = true;
	return recv(MAPPER_LINK_FD, &word, sizeof(word), 0) > 0;
}

/* Renew what is due, or (@now) all */
static void serve_side(struct mapper *mapper, struct side *side, bool now)
{
	bool any = false;
	unsigned int i;

	if (side->protocol == MAPPER_NONE)
		return;
	for (i = 0; i < side->count; i++) {
		if (now || side->held[i].renew <= clock_now())
			renew(mapper, side, side->protocol, &side->held[i]);
		any = any || side->held[i].have;
	}
	if (any)
		return;
	side->protocol = MAPPER_NONE;
	side->search = clock_now() + SEARCH_AGAIN;
}

static void serve(struct mapper *mapper)
{
	struct side *const v4 = &mapper->sides[V4], *const v6 = &mapper->sides[V6];
	bool now;

	while ((v4->protocol != MAPPER_NONE || v6->protocol != MAPPER_NONE) && wait_link(mapper, &now)) {
		serve_side(mapper, v4, now);
		serve_side(mapper, v6, now);
		if ((v4->protocol == MAPPER_NONE && v4->search <= clock_now()) ||
		    (v6->protocol == MAPPER_NONE && v6->search <= clock_now()))
			search(mapper);
	}
}

/* See mapper_main() */
static int parse(struct mapper *mapper, const char *argument)
{
	unsigned long value;
	char *end;

	mapper->allowed = (unsigned int)strtoul(argument, &end, 10);
	while (*end == ',' || *end == ';') {
		struct side *side = &mapper->sides[*end == ',' ? V4 : V6];
		struct lease *lease;

		value = strtoul(end + 1, &end, 10);
		if (value < 1 || value > UINT16_MAX || side->count == MAPPER_PORTS)
			return -EINVAL;
		lease = &side->held[side->count++].lease;
		lease->internal = (uint16_t)value;
		secret_random(lease->nonce, sizeof(lease->nonce));
	}
	return *end || !(mapper->sides[V4].count + mapper->sides[V6].count) ? -EINVAL : 0;
}

/* Of the routing tables, before files and netlink are given up; and the sockets that they are heard by */
static void find_gateways(struct mapper *mapper)
{
	struct side *const v4 = &mapper->sides[V4], *const v6 = &mapper->sides[V6];
	struct endpoint own;
	unsigned int i;

	if (mapper_gateway(&v4->gateway))
		v4->gateway.family = 0;
	if (mapper_router(&v6->gateway, &own))
		v6->gateway.family = 0;
	for (i = 0; i < v6->count; i++)
		v6->held[i].lease.own = own;
	v4->ear = mapper_listen(AF_INET);
	v6->ear = mapper_listen(AF_INET6);
	if (v4->ear < 0 || v6->ear < 0)
		log_debug("mapper: not all announcements can be heard: port 5350 is taken, or a family is missing");
}

static void set_limits(void)
{
	const struct rlimit files = { FILES, FILES };

	setrlimit(RLIMIT_NOFILE, &files);
#ifndef __SANITIZE_ADDRESS__	/* it maps terabytes of shadow */
	const struct rlimit memory = { MEMORY, MEMORY };

	setrlimit(RLIMIT_DATA, &memory);
#endif
}

int mapper_main(const char *argument)
{
	struct mapper mapper = { .allowed = 0 };

	if (parse(&mapper, argument) < 0)
		return EX_USAGE;
	process_title("punch-mapper", "punch-mapper");
	set_limits();
	find_gateways(&mapper);
	sandbox_mapper();
	search(&mapper);
	serve(&mapper);
	leave(&mapper);
	return 0;
}
