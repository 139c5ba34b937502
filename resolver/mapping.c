/* SPDX-License-Identifier: MIT */
/*
 * mapping.c - the worker's end of the mappers: which of our ports does the gateway pass on?
 *
 * See mapper.c for the other end. Here nothing waits for it: a mapping is used once it was
 * reported, and whoever closes its link is killed and buried when it is dead. There is one
 * mapper a family, so that what ends one leaves the other's mapping.
 */
#include "resolver/mapping.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "resolver/boottime.h"
#include "resolver/process.h"
#include "resolver/timer.h"

#define MAPPING_AGAIN	(600 * SECOND)	/* after a mapper that found nothing: somebody may have switched it on */
#define MAPPING_LOST	(60 * SECOND)	/* after one that died with a mapping: the gateway has it still */
#define MAPPING_BURY	(50 * MS)	/* to a process that was killed and is not dead yet */
#define MAPPING_FRESH	(60 * SECOND)	/* after a report nothing is asked anew before this */

static const char *const protocol_names[] = {
	[MAPPER_NONE] = "none",
	[MAPPER_PCP] = "PCP",
	[MAPPER_NATPMP] = "NAT-PMP",
	[MAPPER_UPNP] = "UPnP",
};
_Static_assert(sizeof(protocol_names) / sizeof(*protocol_names) == MAPPER_PROTOCOL_COUNT, "a name for each");

/**
 * struct wanted - a port that everybody is to reach
 * @external:	where it is reached; family 0: nowhere
 */
struct wanted {
	uint16_t port;
	struct endpoint external;
};

/**
 * struct side - one family, and its mapper
 * @protocol:	that maps; @known: something was reported on this network
 * @fd:		link, -1: no mapper runs
 * @pid:	0: none has to be waited for
 * @again:	when none runs: bury the last, start the next; when one runs: a refresh that came too early
 * @due:	when the next one is started
 * @leaving:	it was told to leave; the next one starts when it has
 * @reported_at:	boottime_now(): the gateway may forget while we sleep
 */
struct side {
	struct mapping *mapping;
	int family;
	struct wanted wanted[MAPPER_PORTS];
	unsigned int count;
	enum mapper_protocol protocol;
	bool known;
	int fd;
	pid_t pid;
	struct event *event;
	struct event *again;
	uint64_t due;
	bool leaving;
	uint64_t reported_at;
};

enum { V4, V6, SIDES };

struct mapping {
	struct event_base *base;
	unsigned int allowed;
	struct side sides[SIDES];
	void (*changed)(void *arg);
	void *arg;
};

/* ---------------------------------------------------------------- the process */

static void link_over(struct side *side);

static void take_report(struct side *side, const struct mapper_report *in)
{
	char text[ENDPOINT_TEXT_SIZE];
	unsigned int i;

	if (in->protocol >= MAPPER_PROTOCOL_COUNT)
		return;
	side->known = true;
	side->protocol = (enum mapper_protocol)in->protocol;
	side->reported_at = boottime_now();
	for (i = 0; i < side->count; i++) {
		if (side->wanted[i].port != in->internal)
			continue;
		side->wanted[i].external = in->external;
		if (in->external.family)
			log_info("port mapping: %s passes %s on to port %u", protocol_names[in->protocol],
				 endpoint_format(&in->external, text), in->internal);
		else
			log_info("port mapping: %s does not pass on to port %u any more",
				 protocol_names[in->protocol], in->internal);
	}
	if (in->protocol == MAPPER_NONE)
		log_debug("port mapping: no gateway offers it%s", side->family == AF_INET6 ? " for IPv6" : "");
	side->mapping->changed(side->mapping->arg);
}

static void on_link(evutil_socket_t fd, short what, void *arg)
{
	struct side *side = arg;
	struct mapper_report in;
	ssize_t n = recv(fd, &in, sizeof(in), MSG_DONTWAIT);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		link_over(side);
	else if (n == (ssize_t)sizeof(in) && !side->leaving)
		take_report(side, &in);
}

static int start(struct side *side)
{
	static char name[] = "punch-resolver", option[] = "--mapper";
	char argument[32];
	char *const argv[] = { name, option, argument, NULL };
	int ends[2], used, err;
	unsigned int i;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	used = snprintf(argument, sizeof(argument), "%u", side->mapping->allowed);
	for (i = 0; i < side->count; i++)
		used += snprintf(argument + used, sizeof(argument) - (size_t)used, "%c%u",
				 side->family == AF_INET6 ? ';' : ',', side->wanted[i].port);
	side->pid = process_start(argv, &ends[1], 1, true);
	err = side->pid < 0 ? (int)side->pid : 0;
	if (err)
		side->pid = 0;
	close(ends[1]);
	side->event = err ? NULL : event_new(side->mapping->base, ends[0], EV_READ | EV_PERSIST, on_link, side);
	if (side->event && !event_add(side->event, NULL)) {
		side->fd = ends[0];
		side->leaving = false;
		side->reported_at = boottime_now();	/* what it asks first is fresh */
		return 0;
	}
	close(ends[0]);
	if (side->event)
		event_free(side->event);
	side->event = NULL;
	return err ? err : -ENOMEM;
}

/* Return: false while it is there: whoever speaks to gateways may have been taken over, and would have us wait */
static bool bury(struct side *side)
{
	if (!side->pid)
		return true;
	kill(side->pid, SIGKILL);
	if (waitpid(side->pid, NULL, WNOHANG) == 0)
		return false;
	side->pid = 0;
	return true;
}

static void forget(struct side *side)
{
	unsigned int i;

	for (i = 0; i < side->count; i++)
		memset(&side->wanted[i].external, 0, sizeof(side->wanted[i].external));
	side->protocol = MAPPER_NONE;
}

static void link_over(struct side *side)
{
	bool had = side->protocol != MAPPER_NONE;

	event_free(side->event);
	side->event = NULL;
	close(side->fd);
	side->fd = -1;
	forget(side);
	timer_set(side->again, 0);
	side->due = clock_now();
	if (side->leaving) {
		side->leaving = false;
		return;
	}
	side->due += had ? MAPPING_LOST : MAPPING_AGAIN;
	side->known = true;	/* a mapper that dies has nothing to offer */
	if (had)
		side->mapping->changed(side->mapping->arg);
}

static void refresh(struct side *side)
{
	const uint64_t now = boottime_now(), due = side->reported_at + MAPPING_FRESH;

	if (side->fd < 0 || side->leaving)
		return;
	if (now < due) {
		timer_set(side->again, due - now);
		return;
	}
	side->reported_at = now;
	send(side->fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Bury the last one, and start the next when it is time */
static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct side *side = arg;
	uint64_t now = clock_now();
	int err;

	(void)fd;
	(void)what;
	if (side->fd >= 0) {
		refresh(side);
		return;
	}
	if (!bury(side)) {
		timer_set(side->again, MAPPING_BURY);
		return;
	}
	if (now < side->due) {
		timer_set(side->again, side->due - now);
		return;
	}
	err = start(side);
	if (err) {
		log_warn("port mapping: cannot start a process: %s", strerror(-err));
		side->due = now + MAPPING_AGAIN;
		timer_set(side->again, 0);
	}
}

/* ---------------------------------------------------------------- for others */

static void restart(struct side *side)
{
	forget(side);
	side->known = !side->count;
	if (side->fd >= 0) {
		shutdown(side->fd, SHUT_WR);
		side->leaving = true;
	} else if (side->count) {
		side->due = clock_now();
		timer_set(side->again, 0);
	}
}

void mapping_restart(struct mapping *mapping)
{
	if (!mapping)
		return;
	restart(&mapping->sides[V4]);
	restart(&mapping->sides[V6]);
}

void mapping_refresh(struct mapping *mapping)
{
	if (!mapping)
		return;
	refresh(&mapping->sides[V4]);
	refresh(&mapping->sides[V6]);
}

static const struct side *side_of(const struct mapping *mapping, int family)
{
	return &mapping->sides[family == AF_INET6 ? V6 : V4];
}

bool mapping_external(const struct mapping *mapping, int family, uint16_t port, struct endpoint *external)
{
	const struct side *side;
	unsigned int i;

	if (!mapping)
		return false;
	side = side_of(mapping, family);
	for (i = 0; i < side->count; i++) {
		if (side->wanted[i].port == port && side->wanted[i].external.family) {
			*external = side->wanted[i].external;
			return true;
		}
	}
	return false;
}

enum mapper_protocol mapping_protocol(const struct mapping *mapping, int family, bool *known)
{
	*known = mapping && side_of(mapping, family)->known;
	return mapping ? side_of(mapping, family)->protocol : MAPPER_NONE;
}

/* Return: 0 or -ENOMEM */
static int side_begin(struct mapping *mapping, int family, const uint16_t *ports, unsigned int count)
{
	struct side *side = &mapping->sides[family == AF_INET6 ? V6 : V4];

	*side = (struct side){ .mapping = mapping, .family = family, .fd = -1 };
	while (side->count < count && side->count < MAPPER_PORTS) {
		side->wanted[side->count].port = ports[side->count];
		side->count++;
	}
	if (!side->count) {
		side->known = true;
		return 0;
	}
	side->again = evtimer_new(mapping->base, on_again, side);
	return side->again && !timer_set(side->again, 0) ? 0 : -ENOMEM;
}

struct mapping *mapping_new(struct event_base *base, unsigned int allowed, const uint16_t *ports,
			    unsigned int count, uint16_t pinhole, void (*changed)(void *arg), void *arg)
{
	struct mapping *mapping = calloc(1, sizeof(*mapping));
	int err;

	if (!mapping)
		return NULL;
	mapping->base = base;
	mapping->allowed = allowed;
	mapping->changed = changed;
	mapping->arg = arg;
	err = side_begin(mapping, AF_INET, ports, count);
	if (!side_begin(mapping, AF_INET6, &pinhole, pinhole ? 1 : 0) && !err)
		return mapping;
	mapping_free(mapping);
	return NULL;
}

static void side_free(struct side *side)
{
	if (side->event)
		event_free(side->event);
	if (side->again)
		event_free(side->again);
	if (side->fd >= 0)
		close(side->fd);
}

void mapping_free(struct mapping *mapping)
{
	if (!mapping)
		return;
	side_free(&mapping->sides[V4]);
	side_free(&mapping->sides[V6]);
	free(mapping);
}
