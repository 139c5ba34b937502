/* SPDX-License-Identifier: MIT */
/*
 * uplink.c - the node's TLS connection to one rendezvous server
 *
 * Theory of operation
 *
 *	             time, wake                addresses            TLS done, key right
 *	IDLE ----------------> RESOLVING -----------------> CONNECTING ---------------> GREETING
 *	 ^ ^                       |                          |  |                       |  |
 *	 | +-----------------------+--------------------------+--)-----------------------+  | Welcome
 *	 |        any failure                                    |                       |  v
 *	 +-----------------------------------------------------  | --------------------- | READY
 *	          connection lost                                v                       |  |
 *	                                 REFUSED <---------------+-----------------------+--+
 *	                                    |   key is not the pinned one; not allowed, replaced, version
 *	                                    +---> RESOLVING by time (30 s) or wake
 *
 * One timer, whose meaning depends on the state: the next try (IDLE, REFUSED), the limit
 * (CONNECTING once TCP stands, GREETING), the pulse (READY).  RESOLVING and the TCP race bring limits of their own.
 *
 * Others are called from the event loop only, never from inside a call that they
 * made: uplink_wake() and uplink_check() merely set the timer.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/printable.h"
#include "common/rtt.h"
#include "common/tls.h"
#include "resolver/ports.h"
#include "resolver/session.h"
#include "resolver/timer.h"
#include "resolver/uplink_impl.h"

#define CONNECT_LIMIT	(10 * SECOND)	/* TCP over all addresses: SYNs at 0, 1, 3 and 7 s */
#define GREETING_LIMIT	(10 * SECOND)	/* TLS and Hello: four round trips, some of them lost */
#define REFUSED_RETRY	(30 * SECOND)	/* somebody may mend it; see uplink.h */
#define WAKE_SPACING	(200 * MS)	/* between two tries, however often somebody wakes us */
#define UPLINK_SILENT	"(server down, or a firewall drops TCP %u)"
#define STEADY		(10 * SECOND)	/* READY this long: the next failure is the first of a row */

static const char *const state_names[] = {
	[UPLINK_IDLE] = "idle",
	[UPLINK_RESOLVING] = "resolving",
	[UPLINK_CONNECTING] = "connecting",
	[UPLINK_GREETING] = "greeting",
	[UPLINK_READY] = "ready",
	[UPLINK_REFUSED] = "refused",
};
static_assert(sizeof(state_names) / sizeof(*state_names) == UPLINK_STATE_COUNT, "a name for each state");

#define TO(state) (1u << UPLINK_##state)
static const unsigned int allowed[] = {
	[UPLINK_IDLE] = TO(RESOLVING),
	[UPLINK_RESOLVING] = TO(CONNECTING) | TO(IDLE),
	[UPLINK_CONNECTING] = TO(GREETING) | TO(IDLE) | TO(REFUSED),
	[UPLINK_GREETING] = TO(READY) | TO(IDLE) | TO(REFUSED),
	[UPLINK_READY] = TO(IDLE) | TO(REFUSED),
	[UPLINK_REFUSED] = TO(RESOLVING),
};
static_assert(sizeof(allowed) / sizeof(*allowed) == UPLINK_STATE_COUNT, "edges of each state");

const char *uplink_state_name(enum uplink_state state)
{
	return state < UPLINK_STATE_COUNT ? state_names[state] : "?";
}

void uplink_set_state(struct uplink *u, enum uplink_state to)
{
	enum uplink_state from = u->state;
	struct node *node = u->node;

	assert(allowed[from] & (1u << to));
	log_debug("uplink %s: %s -> %s", u->name, state_names[from], state_names[to]);
	u->state = to;
	if ((from == UPLINK_READY || to == UPLINK_READY) && node->ports)
		ports_on_uplink(node->ports);
	if (from == UPLINK_READY || to == UPLINK_READY || from == UPLINK_REFUSED || to == UPLINK_REFUSED)
		session_on_uplink(node, u);
}

static void stop(struct uplink *u)
{
	dns_cancel(u->query);
	race_cancel(u->race);
	uplink_tls_free(u->tls);
	evtimer_del(u->timer);
	u->query = NULL;
	u->race = NULL;
	u->tls = NULL;
	u->restart = false;
	u->doubted = false;
	u->probe_count = 0;
	u->observed.family = 0;
}

void uplink_fail(struct uplink *u, enum uplink_state to, const char *format, ...)
{
	uint64_t now = clock_now(), wait = REFUSED_RETRY;
	uint32_t random = 0;
	va_list ap;

	va_start(ap, format);
	vsnprintf(u->problem, sizeof(u->problem), format, ap);
	va_end(ap);
	printable(u->problem, strlen(u->problem));	/* a server's words must not move a terminal's cursor */
	if (strcmp(u->told, u->problem))
		log_warn("rendezvous %s: %s", u->name, u->problem);
	else
		log_debug("rendezvous %s: %s", u->name, u->problem);
	strcpy(u->told, u->problem);
	stop(u);
	if (u->state == UPLINK_READY && now - u->ready_at >= STEADY)
		u->failures = 0;
	u->failures++;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint32_t)now;
	if (to == UPLINK_IDLE)
		wait = backoff_us(u->failures, random);
	timer_set(u->timer, wait);
	uplink_set_state(u, to);
}

/* --- connecting */

static void on_secure(void *arg, const uint8_t key[KEY_SIZE])
{
	struct uplink *u = arg;
	char why[UPLINK_PROBLEM];
	int refused = pin_check(&u->pin, &u->node->conf, key, why, sizeof(why));

	if (refused) {
		u->wrong_key = refused == -EKEYREJECTED || refused == -EBADMSG;
		/* Another reason, as a lack of descriptors, may soon be gone */
		uplink_fail(u, u->wrong_key ? UPLINK_REFUSED : UPLINK_IDLE, "%s", why);
		return;
	}
	if (uplink_say_hello(u)) {
		uplink_fail(u, UPLINK_IDLE, "out of memory");
		return;
	}
	u->advanced_at = clock_now();
	uplink_set_state(u, UPLINK_GREETING);
}

static void on_closed(void *arg, const char *why)
{
	struct uplink *u = arg;

	if (u->state != UPLINK_READY)
		u->skip++;
	uplink_fail(u, UPLINK_IDLE, "%s", why);
}

static const struct uplink_tls_events tls_events = {
	.secure = on_secure,
	.message = uplink_on_message,
	.closed = on_closed,
};

/* @text: each address with its port and what became of it */
static void uplink_unreached(struct uplink *u, int error, const char *text)
{
	if (error == -ETIMEDOUT)
		uplink_fail(u, UPLINK_IDLE, "cannot be reached: %s " UPLINK_SILENT, text, u->first.port);
	else if (error == -ECONNREFUSED)
		uplink_fail(u, UPLINK_IDLE, "cannot be reached: %s (server down, or a firewall rejects TCP %u)", text,
			    u->first.port);
	else
		uplink_fail(u, UPLINK_IDLE, "cannot be reached: %s", text);
}

static void on_race(void *arg, int fd, const struct endpoint *reached, int error, const char *text)
{
	struct uplink *u = arg;

	u->race = NULL;
	if (error) {
		uplink_unreached(u, error, text);
		return;
	}
	u->server = *reached;
	u->tls = uplink_tls_new(u->node->base, u->context, fd, &tls_events, u);
	if (!u->tls) {
		uplink_fail(u, UPLINK_IDLE, "out of memory");
		return;
	}
	u->advanced_at = clock_now();
	timer_set(u->timer, GREETING_LIMIT);
}

static void on_addresses(void *arg, int error, const char *text, const struct endpoint *results,
			 unsigned int count)
{
	struct uplink *u = arg;
	struct endpoint turned[DNS_RESULTS];
	unsigned int i;

	u->query = NULL;
	if (error) {
		size_t own = strlen(u->name);	/* it begins with our name, which all our problems stand under */

		own += !strncmp(text, u->name, own) && !strncmp(text + own, ": ", 2) ? 2 : -own;
		uplink_fail(u, UPLINK_IDLE, "%s", text + own);
		return;
	}
	u->twin.family = 0;
	for (i = 0; i < count && !u->twin.family; i++)
		if (results[i].family == AF_INET)
			u->twin = results[i];
	for (i = 0; i < count; i++)
		turned[i] = results[(i + u->skip) % count];
	u->first = turned[0];
	u->race = race_new(u->node->base, turned, count, 0, CONNECT_LIMIT, on_race, u);
	if (!u->race) {
		uplink_fail(u, UPLINK_IDLE, "out of memory");
		return;
	}
	u->advanced_at = clock_now();
	uplink_set_state(u, UPLINK_CONNECTING);
}

static void uplink_begin(struct uplink *u)
{
	u->begun_at = clock_now();
	u->wrong_key = false;
	u->query = dns_lookup(u->node->dns, u->name, PORT_RENDEZVOUS, on_addresses, u);
	if (!u->query)
		timer_set(u->timer, BACKOFF_MOST);
	else
		uplink_set_state(u, UPLINK_RESOLVING);
}

/* Nothing comes to an address that the host has lost: no Ping need ask. It is lost where it cannot be bound any more */
static bool is_stranded(const struct uplink *u)
{
	struct sockaddr_storage ss;
	struct endpoint local;
	int fd, length;
	bool lost;

	if (uplink_local(u, &local))
		return false;
	length = endpoint_to_sockaddr(&local, local.family, &ss);
	fd = socket(local.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	lost = fd >= 0 && length > 0 && bind(fd, (const struct sockaddr *)&ss, (socklen_t)length) &&
	       errno == EADDRNOTAVAIL;
	if (fd >= 0)
		close(fd);
	return lost;
}

/* READY: keepalive */
static void on_pulse(struct uplink *u)
{
	uint64_t now = clock_now(), deadline;
	enum pulse_action action = pulse_step(&u->pulse, now, &deadline);

	if (action == PULSE_DEAD) {
		uplink_fail(u, UPLINK_IDLE, "answers no more (%d Pings)", PULSE_MISSES);
		return;
	}
	if (action == PULSE_PING)
		uplink_say_ping(u, now);
	timer_set(u->timer, deadline - now);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct uplink *u = arg;

	(void)fd;
	(void)what;
	switch (u->state) {
	case UPLINK_IDLE:
	case UPLINK_REFUSED:
		uplink_begin(u);
		break;
	case UPLINK_READY:
		if (u->doubted && is_stranded(u)) {
			uplink_fail(u, UPLINK_IDLE, "this host has lost the address of the connection");
			uplink_wake(u);
			return;
		}
		u->doubted = false;
		on_pulse(u);
		break;
	default:
		if (u->restart) {
			stop(u);
			uplink_set_state(u, UPLINK_IDLE);
			uplink_wake(u);
			return;
		}
		u->skip++;
		uplink_fail(u, UPLINK_IDLE, "connected, but it does not answer (%s for %llu s)",
			    state_names[u->state], GREETING_LIMIT / SECOND);
	}
}

/* --- for others */

struct uplink *uplink_new(struct node *node, const char *text)
{
	struct uplink *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->node = node;
	u->state = UPLINK_IDLE;
	snprintf(u->name, sizeof(u->name), "%s", text);
	pin_init(&u->pin, text);
	u->context = tls_context(&node->key, false);
	u->timer = evtimer_new(node->base, on_timer, u);
	if (!u->context || !u->timer || timer_set(u->timer, 0)) {
		uplink_free(u);
		return NULL;
	}
	return u;
}

void uplink_free(struct uplink *uplink)
{
	if (!uplink)
		return;
	if (uplink->timer) {
		stop(uplink);
		event_free(uplink->timer);
	}
	SSL_CTX_free(uplink->context);
	free(uplink);
}

enum uplink_state uplink_state(const struct uplink *uplink)
{
	return uplink->state;
}

const char *uplink_name(const struct uplink *uplink)
{
	return uplink->name;
}

const char *uplink_problem(const struct uplink *uplink)
{
	return uplink->problem;
}

bool uplink_tried(const struct uplink *uplink)
{
	return uplink->failures || uplink->ready_at;
}

void uplink_explain(const struct uplink *uplink, char *text, size_t size)
{
	char where[ENDPOINT_TEXT_SIZE] = "";

	if (uplink->first.family)
		endpoint_format(&uplink->first, where);
	if (*uplink->problem)
		snprintf(text, size, "%s", uplink->problem);
	else if (uplink->tls)
		snprintf(text, size, "%s: connected, but it has not answered yet", where);
	else if (uplink->state == UPLINK_CONNECTING)
		snprintf(text, size, "cannot be reached: %s: no answer yet " UPLINK_SILENT, where, uplink->first.port);
	else if (uplink->state == UPLINK_RESOLVING)
		snprintf(text, size, "no name server has answered yet; see /etc/resolv.conf");
	else
		snprintf(text, size, "cannot be reached");
}

bool uplink_wrong_key(const struct uplink *uplink)
{
	return uplink->wrong_key;
}

uint64_t uplink_advanced(const struct uplink *uplink)
{
	bool underway = uplink->state == UPLINK_CONNECTING || uplink->state == UPLINK_GREETING;

	return underway ? uplink->advanced_at : 0;
}

void uplink_wake(struct uplink *uplink)
{
	uint64_t now = clock_now(), at = uplink->begun_at + WAKE_SPACING;

	if (uplink->state == UPLINK_IDLE || uplink->state == UPLINK_REFUSED)
		timer_set(uplink->timer, at > now ? at - now : 0);
}

void uplink_check(struct uplink *uplink)
{
	if (uplink->state == UPLINK_READY) {
		uplink->doubted = true;
		pulse_check(&uplink->pulse, UPLINK_CHECK);
		timer_set(uplink->timer, 0);
	} else if (uplink->state == UPLINK_IDLE || uplink->state == UPLINK_REFUSED) {
		uplink_wake(uplink);
	} else {
		uplink->restart = true;
		timer_set(uplink->timer, 0);
	}
}

const struct endpoint *uplink_server(const struct uplink *uplink)
{
	return &uplink->server;
}

const struct endpoint *uplink_server_for(const struct uplink *uplink, int family)
{
	if (family == AF_INET && uplink->server.family == AF_INET6 && uplink->twin.family == AF_INET)
		return &uplink->twin;
	return &uplink->server;
}

unsigned int uplink_relays(const struct uplink *uplink, const struct uplink_relay **relays)
{
	*relays = uplink->relays;
	return uplink->state == UPLINK_READY ? uplink->relay_count : 0;
}

unsigned int uplink_probes(const struct uplink *uplink, struct endpoint probes[UPLINK_PROBES])
{
	memcpy(probes, uplink->probes, sizeof(uplink->probes));
	return uplink->state == UPLINK_READY ? uplink->probe_count : 0;
}

int uplink_local(const struct uplink *uplink, struct endpoint *local)
{
	int error = uplink->tls ? endpoint_local(uplink_tls_fd(uplink->tls), local) : -ENOTCONN;

	if (!error)
		local->port = 0;
	return error;
}

int uplink_observed(const struct uplink *uplink, struct endpoint *observed)
{
	*observed = uplink->observed;
	return uplink->state == UPLINK_READY && observed->family ? 0 : -ENOTCONN;
}

uint32_t uplink_rtt_us(const struct uplink *uplink)
{
	return uplink->tls ? rtt_us(uplink_tls_fd(uplink->tls)) : 0;
}
