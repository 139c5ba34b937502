/* SPDX-License-Identifier: MIT */
/*
 * mapping.c - the worker's end of the mapper: which of our ports does the gateway pass on?
 *
 * See mapper.c for the other end. Here nothing waits for it: a mapping is used once it was reported.
 */
#include "resolver/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "resolver/process.h"
#include "resolver/timer.h"

#define MAPPING_AGAIN	(600 * SECOND)	/* after a mapper that found nothing or died: somebody may have switched it on */
#define MAPPING_FRESH	(60 * SECOND)	/* after a report nothing is asked anew */

static const char *const protocol_names[] = {
	[MAPPER_NONE] = "none",
	[MAPPER_PCP] = "PCP",
	[MAPPER_NATPMP] = "NAT-PMP",
	[MAPPER_UPNP] = "UPnP",
};
_Static_assert(sizeof(protocol_names) / sizeof(*protocol_names) == MAPPER_PROTOCOL_COUNT, "a name for each");

/**
 * struct wanted - a port that everybody is to reach
 * @family:	AF_INET a mapping, AF_INET6 a pinhole
 * @external:	where it is reached; family 0: nowhere
 */
struct wanted {
	int family;
	uint16_t port;
	struct endpoint external;
};

/* What is known of one family */
struct said {
	enum mapper_protocol protocol;
	bool known;		/* something was reported on this network */
};

struct mapping {
	struct event_base *base;
	unsigned int allowed;
	struct wanted wanted[MAPPER_HELD];
	unsigned int count;
	struct said v4, v6;
	int fd;			/* link, -1: no mapper runs */
	pid_t pid;
	struct event *event;
	struct event *again;
	bool leaving;		/* it was told to leave; the next one starts when it has */
	uint64_t reported_at;
	void (*changed)(void *arg);
	void *arg;
};

/* ---------------------------------------------------------------- the process */

/* In the child: its environment has secrets, of which a mapper needs none */
static _Noreturn void become_mapper(int link, char *argument)
{
	static const char *const kept[] = { "PUNCH_LOG", "PUNCH_LOG_FILE" };
	static char name[] = "punch-resolver", option[] = "--mapper";
	char *const argv[] = { name, option, argument, NULL };
	char *values[2];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		values[i] = getenv(kept[i]);
		values[i] = values[i] ? strdup(values[i]) : NULL;
	}
	clearenv();
	for (i = 0; i < 2; i++)
		if (values[i])
			setenv(kept[i], values[i], 1);
	if (link == MAPPER_LINK_FD ? fcntl(link, F_SETFD, 0) < 0 : dup2(link, MAPPER_LINK_FD) < 0)
		_exit(1);
	process_again(argv);
	_exit(1);
}

static void link_over(struct mapping *mapping);

static void take_report(struct mapping *mapping, const struct mapper_report *in)
{
	struct said *said = in->family == AF_INET6 ? &mapping->v6 : &mapping->v4;
	char text[ENDPOINT_TEXT_SIZE];
	unsigned int i;

	if (in->protocol >= MAPPER_PROTOCOL_COUNT)
		return;
	said->known = true;
	said->protocol = (enum mapper_protocol)in->protocol;
	mapping->reported_at = clock_now();
	for (i = 0; i < mapping->count; i++) {
		if (mapping->wanted[i].port != in->internal || mapping->wanted[i].family != in->family)
			continue;
		mapping->wanted[i].external = in->external;
		if (in->external.family)
			log_info("port mapping: %s passes %s on to port %u", protocol_names[in->protocol],
				 endpoint_format(&in->external, text), in->internal);
		else
			log_info("port mapping: %s does not pass on to port %u any more",
				 protocol_names[in->protocol], in->internal);
	}
	if (in->protocol == MAPPER_NONE)
		log_debug("port mapping: no gateway offers it%s", in->family == AF_INET6 ? " for IPv6" : "");
	mapping->changed(mapping->arg);
}

static void on_link(evutil_socket_t fd, short what, void *arg)
{
	struct mapping *mapping = arg;
	struct mapper_report in;
	ssize_t n = recv(fd, &in, sizeof(in), MSG_DONTWAIT);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		link_over(mapping);
	else if (n == (ssize_t)sizeof(in) && !mapping->leaving)
		take_report(mapping, &in);
}

static int start(struct mapping *mapping)
{
	int ends[2], used, err;
	char argument[64];
	unsigned int i;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	used = snprintf(argument, sizeof(argument), "%u", mapping->allowed);
	for (i = 0; i < mapping->count; i++)
		used += snprintf(argument + used, sizeof(argument) - (size_t)used, "%c%u",
				 mapping->wanted[i].family == AF_INET6 ? ';' : ',', mapping->wanted[i].port);
	mapping->pid = fork();
	if (mapping->pid == 0)
		become_mapper(ends[1], argument);
	err = mapping->pid < 0 ? -errno : 0;
	close(ends[1]);
	mapping->event = err ? NULL : event_new(mapping->base, ends[0], EV_READ | EV_PERSIST, on_link, mapping);
	if (mapping->event && !event_add(mapping->event, NULL)) {
		mapping->fd = ends[0];
		mapping->leaving = false;
		mapping->reported_at = clock_now();	/* what it asks first is fresh */
		return 0;
	}
	close(ends[0]);
	if (mapping->event)
		event_free(mapping->event);
	mapping->event = NULL;
	return err ? err : -ENOMEM;
}

static void forget(struct mapping *mapping)
{
	unsigned int i;

	for (i = 0; i < mapping->count; i++)
		memset(&mapping->wanted[i].external, 0, sizeof(mapping->wanted[i].external));
	mapping->v4.protocol = mapping->v6.protocol = MAPPER_NONE;
}

/* The mapper's end was closed by its death, so there is nothing to wait for */
static void link_over(struct mapping *mapping)
{
	bool had = mapping->v4.protocol != MAPPER_NONE || mapping->v6.protocol != MAPPER_NONE;

	event_free(mapping->event);
	mapping->event = NULL;
	close(mapping->fd);
	mapping->fd = -1;
	waitpid(mapping->pid, NULL, 0);
	forget(mapping);
	if (mapping->leaving) {
		mapping->leaving = false;
		timer_set(mapping->again, 0);
		return;
	}
	mapping->v4.known = mapping->v6.known = true;	/* a mapper that dies has nothing to offer */
	timer_set(mapping->again, MAPPING_AGAIN);
	if (had)
		mapping->changed(mapping->arg);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct mapping *mapping = arg;
	int err;

	(void)fd;
	(void)what;
	if (mapping->fd >= 0)
		return;
	err = start(mapping);
	if (err) {
		log_warn("port mapping: cannot start a process: %s", strerror(-err));
		timer_set(mapping->again, MAPPING_AGAIN);
	}
}

/* ---------------------------------------------------------------- for others */

void mapping_restart(struct mapping *mapping)
{
	if (!mapping)
		return;
	forget(mapping);
	mapping->v4.known = mapping->v6.known = false;
	if (mapping->fd < 0) {
		timer_set(mapping->again, 0);
		return;
	}
	shutdown(mapping->fd, SHUT_WR);
	mapping->leaving = true;
}

void mapping_refresh(struct mapping *mapping)
{
	if (!mapping || mapping->leaving || clock_now() - mapping->reported_at < MAPPING_FRESH)
		return;
	mapping->reported_at = clock_now();
	if (mapping->fd >= 0)
		send(mapping->fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool mapping_external(const struct mapping *mapping, int family, uint16_t port, struct endpoint *external)
{
	const struct wanted *wanted;
	unsigned int i;

	for (i = 0; mapping && i < mapping->count; i++) {
		wanted = &mapping->wanted[i];
		if (wanted->port == port && wanted->family == family && wanted->external.family) {
			*external = wanted->external;
			return true;
		}
	}
	return false;
}

enum mapper_protocol mapping_protocol(const struct mapping *mapping, int family, bool *known)
{
	const struct said *said = !mapping ? NULL : family == AF_INET6 ? &mapping->v6 : &mapping->v4;

	*known = said && said->known;
	return said ? said->protocol : MAPPER_NONE;
}

struct mapping *mapping_new(struct event_base *base, unsigned int allowed, const uint16_t *ports,
			    unsigned int count, uint16_t pinhole, void (*changed)(void *arg), void *arg)
{
	struct mapping *mapping = calloc(1, sizeof(*mapping));
	unsigned int i;

	if (!mapping)
		return NULL;
	mapping->base = base;
	mapping->allowed = allowed;
	mapping->changed = changed;
	mapping->arg = arg;
	mapping->fd = -1;
	for (i = 0; i < count && i < MAPPER_PORTS; i++)
		mapping->wanted[mapping->count++] = (struct wanted){ .family = AF_INET, .port = ports[i] };
	if (pinhole)
		mapping->wanted[mapping->count++] = (struct wanted){ .family = AF_INET6, .port = pinhole };
	mapping->again = evtimer_new(base, on_again, mapping);
	if (!mapping->again || timer_set(mapping->again, 0)) {
		mapping_free(mapping);
		return NULL;
	}
	return mapping;
}

void mapping_free(struct mapping *mapping)
{
	if (!mapping)
		return;
	if (mapping->event)
		event_free(mapping->event);
	if (mapping->again)
		event_free(mapping->again);
	if (mapping->fd >= 0)
		close(mapping->fd);
	free(mapping);
}
