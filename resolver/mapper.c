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
 * mapping stays behind but those of a mapper that was killed itself: they end with their lease. (With a gateway that
 * gives none, UPnP's error 725, they stay until it is restarted or somebody takes the port.)
 *
 * There is one for each family: IPv4's NAT, where ports are mapped, and IPv6's firewall, in which a pinhole is
 * opened, know nothing of each other. Both are asked of the gateway, each of the address that its route leads to.
 *
 * Protocols are tried in order, PCP, NAT-PMP, UPnP; the first that maps the first port is kept. Leases are
 * renewed at half of their life (RFC 6887 11.2.1). A watchdog (alarm(), whose default is death) bounds each
 * exchange: a gateway that answers a byte now and then, or anybody who answers a search without
 * end, holds nobody up, and the other family's mapper is another process. Before the first word
 * is said the process gives up files, programs and all that is not a socket (sandbox.h).
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

#include "common/log.h"
#include "common/secret.h"
#include "resolver/boottime.h"
#include "resolver/epoch.h"
#include "resolver/mapper_internal.h"
#include "resolver/process.h"
#include "resolver/sandbox.h"

#define PATIENCE_S	20	/* for one exchange; a slow UPnP gateway takes some seconds for its descriptions */
#define LEAVE_S		5	/* for all deletions together */
#define LEASE_LEAST	60	/* s; what is shorter would be gone between two renewals */
#define RENEW_AGAIN	(30 * SECOND)	/* a renewal that was not answered is tried again, until the lease is over */
#define SPREAD		(5 * SECOND)	/* RFC 6886 3.7: the gateway is not to be asked by all hosts at one instant */
#define HEAR_AGAIN	(5 * SECOND)	/* between renewals for announcements, of which there may be a flood */
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
 * @over:	when the lease ends; it does so while we sleep, too, so all times here are boottime_now()'s
 */
struct held {
	struct lease lease;
	bool have;
	uint64_t renew, over;
};

/**
 * struct mapper
 * @allowed:	bits of protocols
 * @side:	V4: mappings, V6: a pinhole
 * @gateway:	family 0: none
 * @protocol:	MAPPER_NONE: none is known
 * @epoch:	the gateway's clock, as of its last answer
 * @ear:	hears announcements, negative: none
 * @heard:	when all is renewed for an announcement, or was last
 */
struct mapper {
	unsigned int allowed;
	unsigned int side;
	struct endpoint gateway;
	enum mapper_protocol protocol;
	struct epoch epoch;
	int ear;
	uint64_t heard;
	struct held held[MAPPER_PORTS];
	unsigned int count;
};

/* @held: NULL: of all that is wanted */
static void report(const struct mapper *mapper, const struct held *held)
{
	struct mapper_report out = { .protocol = mapper->protocol };

	if (held) {
		out.internal = held->lease.internal;
		out.lifetime = held->lease.granted;
		if (held->have)
			out.external = held->lease.external;
	}
	/* A worker that died is seen by the next poll() */
	send(MAPPER_LINK_FD, &out, sizeof(out), MSG_NOSIGNAL);
}

static int ask(struct mapper *mapper, enum mapper_protocol protocol, struct held *held, uint32_t lifetime)
{
	int err;

	alarm(PATIENCE_S);
	err = protocols[protocol].ask[mapper->side](&mapper->gateway, &held->lease, lifetime);
	alarm(0);
	log_debug("mapper: %s for %s %u, %u s: %s", protocols[protocol].name,
		  mapper->side == V6 ? "IPv6, port" : "port", held->lease.internal, lifetime,
		  err ? strerror(-err) : "granted");
	return err;
}

/* Get or renew one. Return: 0, or -errno with the mapping still there until its lease is over */
static int renew(struct mapper *mapper, enum mapper_protocol protocol, struct held *held)
{
	struct endpoint before = held->lease.external;
	int err = ask(mapper, protocol, held, MAPPER_LEASE);
	uint64_t now = boottime_now();
	uint32_t life;

	if (!err && held->lease.granted < LEASE_LEAST) {
		ask(mapper, protocol, held, 0);
		held->over = 0;
		err = -ERANGE;
	}
	if (err) {
		held->renew = now + RENEW_AGAIN;
		if (held->have && now >= held->over) {
			held->have = false;
			report(mapper, held);
		}
		return err;
	}
	life = held->lease.granted < MAPPER_LEASE ? held->lease.granted : MAPPER_LEASE;
	held->renew = now + life * SECOND / 2;
	held->over = now + life * SECOND;
	mapper->protocol = protocol;
	if (held->lease.told)
		epoch_take(&mapper->epoch, held->lease.epoch, now);
	if (!held->have || !endpoint_equal(&before, &held->lease.external)) {
		held->have = true;
		report(mapper, held);
	}
	return 0;
}

/* Find a protocol, and map all ports by it */
static void search(struct mapper *mapper)
{
	unsigned int protocol, i;

	for (protocol = MAPPER_PCP; protocol < MAPPER_PROTOCOL_COUNT && mapper->gateway.family; protocol++) {
		if (!(mapper->allowed & 1u << protocol) || !protocols[protocol].ask[mapper->side] ||
		    renew(mapper, (enum mapper_protocol)protocol, &mapper->held[0]))
			continue;
		for (i = 1; i < mapper->count; i++)
			renew(mapper, (enum mapper_protocol)protocol, &mapper->held[i]);
		return;
	}
	report(mapper, NULL);
}

static void leave(struct mapper *mapper)
{
	unsigned int i;

	alarm(LEAVE_S);
	for (i = 0; i < mapper->count; i++)
		if (mapper->held[i].have)
			protocols[mapper->protocol].ask[mapper->side](&mapper->gateway, &mapper->held[i].lease, 0);
}

/*
 * A gateway that begins anew has lost its mappings, and says so. (Answers need not be looked at for that:
 * whatever brings one renews all.) Anybody on the link can say it in its name: the word of an announcement is
 * not kept, what follows is a renewal, and a flood of them brings no more renewals than one does in HEAR_AGAIN.
 */
static void hear(struct mapper *mapper)
{
	uint64_t now = boottime_now(), at;
	struct endpoint from;
	uint32_t epoch, random;
	unsigned int i;

	if (mapper_heard(mapper->ear, &from, &epoch) || now < mapper->heard ||
	    !endpoint_same_address(&from, &mapper->gateway) || !epoch_lost(&mapper->epoch, epoch, now))
		return;
	log_debug("mapper: the gateway began anew %u s ago", epoch);
	secret_random(&random, sizeof(random));
	at = now + random % (SPREAD / MS) * MS;
	if (mapper->heard && at < mapper->heard + HEAR_AGAIN)
		at = mapper->heard + HEAR_AGAIN;
	for (i = 0; i < mapper->count; i++)
		mapper->held[i].renew = clock_before(mapper->held[i].renew, at);
	mapper->heard = at;
}

/* Until there is something to do, a byte, or the end. Return: false at the end */
static bool wait_link(struct mapper *mapper, bool *now)
{
	struct pollfd pfds[] = {
		{ .fd = MAPPER_LINK_FD, .events = POLLIN },
		{ .fd = mapper->ear, .events = POLLIN },	/* a negative one is passed over */
	};
	uint64_t next = NEVER, at = boottime_now();
	unsigned int i;
	char word;

	*now = false;
	for (i = 0; i < mapper->count; i++)
		next = clock_before(next, mapper->held[i].renew);
	if (next <= at)
		return true;
	if (poll(pfds, sizeof(pfds) / sizeof(*pfds), (int)((next - at) / MS) + 1) < 1)
		return true;
	if (pfds[1].revents)
		hear(mapper);
	if (!pfds[0].revents)
		return true;
	*now = true;
	return recv(MAPPER_LINK_FD, &word, sizeof(word), 0) > 0;
}

/* Renew what is due, or all, until nothing is held any more */
static void serve(struct mapper *mapper)
{
	unsigned int i;
	bool now;

	while (mapper->protocol != MAPPER_NONE && wait_link(mapper, &now)) {
		bool any = false;

		for (i = 0; i < mapper->count; i++) {
			if (now || mapper->held[i].renew <= boottime_now())
				renew(mapper, mapper->protocol, &mapper->held[i]);
			any = any || mapper->held[i].have;
		}
		if (!any)
			mapper->protocol = MAPPER_NONE;
	}
}

/* See mapper_main() */
static int parse(struct mapper *mapper, const char *argument)
{
	unsigned long value;
	char *end;

	mapper->allowed = (unsigned int)strtoul(argument, &end, 10);
	mapper->side = *end == ';' ? V6 : V4;
	while (*end == (mapper->side == V6 ? ';' : ',')) {
		struct lease *lease;

		value = strtoul(end + 1, &end, 10);
		if (value < 1 || value > UINT16_MAX || mapper->count == MAPPER_PORTS)
			return -EINVAL;
		lease = &mapper->held[mapper->count++].lease;
		lease->internal = (uint16_t)value;
		secret_random(lease->nonce, sizeof(lease->nonce));
	}
	return *end || !mapper->count ? -EINVAL : 0;
}

/* Of the routing tables, before files and netlink are given up; and the socket that it is heard by */
static void find_gateway(struct mapper *mapper)
{
	struct endpoint own = { .family = 0 };
	unsigned int i;

	if (mapper->side == V6 ? mapper_router(&mapper->gateway, &own) : mapper_gateway(&mapper->gateway))
		mapper->gateway.family = 0;
	for (i = 0; i < mapper->count; i++)
		mapper->held[i].lease.own = own;
	mapper->ear = mapper_listen(mapper->side == V6 ? AF_INET6 : AF_INET);
	if (mapper->ear < 0)
		log_debug("mapper: announcements cannot be heard: %s", strerror(-mapper->ear));
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
	find_gateway(&mapper);
	sandbox_mapper();
	search(&mapper);
	serve(&mapper);
	leave(&mapper);
	return 0;
}
