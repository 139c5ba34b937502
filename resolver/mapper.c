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
 * Protocols are tried in order, PCP, NAT-PMP, UPnP; the first that maps the first port is kept. Leases are
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
#include "resolver/mapper_internal.h"
#include "resolver/process.h"
#include "resolver/sandbox.h"

#define PATIENCE_S	20	/* for one exchange; a slow UPnP gateway takes some seconds for its descriptions */
#define LEAVE_S		5	/* for all deletions together */
#define LEASE_LEAST	60	/* s; what is shorter would be gone between two renewals */
#define RENEW_AGAIN	(30 * SECOND)	/* a renewal that was not answered is tried again, until the lease is over */
#define MEMORY		(64u << 20)	/* bytes; descriptions have some KiB */
#define FILES		16

typedef int mapper_ask(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime);

static const struct {
	const char *name;
	mapper_ask *ask;
} protocols[MAPPER_PROTOCOL_COUNT] = {
	[MAPPER_PCP] = { "PCP", mapper_pcp },
	[MAPPER_NATPMP] = { "NAT-PMP", mapper_natpmp },
	[MAPPER_UPNP] = { "UPnP", mapper_upnp },
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

struct mapper {
	struct endpoint gateway;
	unsigned int allowed;		/* bits of protocols */
	enum mapper_protocol protocol;
	struct held held[MAPPER_PORTS];
	unsigned int count;
};

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
	err = protocols[protocol].ask(&mapper->gateway, &held->lease, lifetime);
	alarm(0);
	log_debug("mapper: %s for port %u, %u s: %s", protocols[protocol].name, held->lease.internal, lifetime,
		  err ? strerror(-err) : "granted");
	return err;
}

/* Get or renew one. Return: 0, or -errno with the mapping still there until its lease is over */
static int renew(struct mapper *mapper, enum mapper_protocol protocol, struct held *held)
{
	struct endpoint before = held->lease.external;
	int err = ask(mapper, protocol, held, MAPPER_LEASE);
	uint64_t now = clock_now();
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
	if (!held->have || !endpoint_equal(&before, &held->lease.external)) {
		held->have = true;
		report(mapper, held);
	}
	return 0;
}

/* Find a protocol, and map all ports by it. Return: 0 or -ENOENT */
static int begin(struct mapper *mapper)
{
	unsigned int protocol, i;

	for (protocol = MAPPER_PCP; protocol < MAPPER_PROTOCOL_COUNT; protocol++) {
		if (!(mapper->allowed & 1u << protocol) ||
		    renew(mapper, (enum mapper_protocol)protocol, &mapper->held[0]))
			continue;
		for (i = 1; i < mapper->count; i++)
			renew(mapper, (enum mapper_protocol)protocol, &mapper->held[i]);
		return 0;
	}
	return -ENOENT;
}

static void leave(struct mapper *mapper)
{
	unsigned int i;

	alarm(LEAVE_S);
	for (i = 0; i < mapper->count; i++)
		if (mapper->held[i].have)
			protocols[mapper->protocol].ask(&mapper->gateway, &mapper->held[i].lease, 0);
}

/* Until the next renewal, a byte, or the end. Return: false at the end */
static bool wait_link(const struct mapper *mapper, bool *now)
{
	struct pollfd pfd = { .fd = MAPPER_LINK_FD, .events = POLLIN };
	uint64_t next = NEVER, at = clock_now();
	unsigned int i;
	char word;

	for (i = 0; i < mapper->count; i++)
		next = clock_before(next, mapper->held[i].renew);
	*now = false;
	if (next <= at)
		return true;
	if (poll(&pfd, 1, (int)((next - at) / MS) + 1) < 1)
		return true;
	*now = true;
	return recv(MAPPER_LINK_FD, &word, sizeof(word), 0) > 0;
}

static void serve(struct mapper *mapper)
{
	bool now, any = true;
	unsigned int i;

	while (any && wait_link(mapper, &now)) {
		any = false;
		for (i = 0; i < mapper->count; i++) {
			if (now || mapper->held[i].renew <= clock_now())
				renew(mapper, mapper->protocol, &mapper->held[i]);
			any = any || mapper->held[i].have;
		}
	}
}

/* Numbers with commas between: protocols' bits, ports */
static int parse(struct mapper *mapper, const char *argument)
{
	unsigned long value;
	char *end;

	mapper->allowed = (unsigned int)strtoul(argument, &end, 10);
	while (*end == ',' && mapper->count < MAPPER_PORTS) {
		struct lease *lease = &mapper->held[mapper->count++].lease;

		value = strtoul(end + 1, &end, 10);
		if (value < 1 || value > UINT16_MAX)
			return -EINVAL;
		lease->internal = (uint16_t)value;
		secret_random(lease->nonce, sizeof(lease->nonce));
	}
	return *end || !mapper->count ? -EINVAL : 0;
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
	struct mapper mapper = { .protocol = MAPPER_NONE };
	int err;

	if (parse(&mapper, argument) < 0)
		return EX_USAGE;
	process_title("punch-mapper", "punch-mapper");
	set_limits();
	err = mapper_gateway(&mapper.gateway);	/* of /proc/net/route: the last file */
	sandbox_mapper();
	if (err || begin(&mapper)) {
		mapper.protocol = MAPPER_NONE;
		report(&mapper, NULL);
		return 0;
	}
	serve(&mapper);
	leave(&mapper);
	return 0;
}
