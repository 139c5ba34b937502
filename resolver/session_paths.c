/* SPDX-License-Identifier: MIT */
/*
 * session_paths.c - from two descriptions to a nominated path, alike for both roles
 *
 * Theory of operation
 *
 * Sockets come from three places: dials (the attempts of punch.c), listeners
 * on the lanes' ports, and relay legs.  Each becomes a path that must prove
 * itself.  The caller nominates one that did (session_choice.c).  The relay leg was made
 * meanwhile, so that falling back to it costs nothing but the nomination.
 */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "resolver/keepalive.h"
#include "resolver/session_internal.h"

/* ---------------------------------------------------------------- paths */

static void on_path(void *arg, struct path *path);

/* What either side's NAT is known to forget sooner; 0 unknown */
static uint32_t mapping_lifetime(const struct session *s)
{
	uint32_t own = s->own.lifetime, far = s->far.lifetime;

	return own && far ? (own < far ? own : far) : own + far;
}

static void drop_path(struct session *s, struct path *path)
{
	unsigned int i;

	if (path_disproved(path))
		s->disproved = true;
	for (i = 0; i < SESSION_PATHS; i++)
		if (s->paths[i] == path)
			s->paths[i] = NULL;
	if (s->chosen == path) {
		s->chosen = NULL;
		if (s->state == SESSION_NOMINATING)
			session_set_state(s, SESSION_PUNCHING);
	}
	path_free(path);
}

static struct path **free_place(struct session *s)
{
	unsigned int i;

	for (i = 0; i < SESSION_PATHS; i++)
		if (!s->paths[i])
			return &s->paths[i];
	return NULL;
}

/*
 * May somebody else have its place?  That of whoever came to us and is silent.  Not what is
 * young: the hello that we have said there may make the caller choose it; and where guesses
 * open many at once, both ends keep the same ones, the first.
 */
static bool may_go(const struct path *path, uint64_t now)
{
	return !path_dialled(path) && path_state(path) == PATH_PROVING && now - path_since(path) >= SESSION_SILENT;
}

/* Strangers keep nobody out: what comes to us has not all places, and where its own are taken
 * the oldest silent one goes */
static struct path **make_place(struct session *s, bool dialled)
{
	struct path **place = free_place(s), **oldest = NULL;
	uint64_t now = clock_now();
	unsigned int came = 0, i;

	for (i = 0; i < SESSION_PATHS; i++) {
		struct path **path = &s->paths[i];

		if (!*path)
			continue;
		came += !path_dialled(*path);
		if (may_go(*path, now) && (!oldest || path_since(*path) < path_since(*oldest)))
			oldest = path;
	}
	if (place && (dialled || came < SESSION_PATHS_CAME))
		return place;
	if (oldest)
		drop_path(s, *oldest);
	return oldest;
}

struct path *session_add_path(struct session *s, int fd, enum local_path kind, bool dialled)
{
	struct path_setup setup = {
		.base = s->node->base, .caller = s->caller, .session = s->id, .secret = &s->secret,
		.keepalive = keepalive_idle(s->node->conf.keepalive, mapping_lifetime(s)),
		.event = on_path, .arg = s,
	};
	/* Once the choice is made nothing that comes may ask for another one */
	struct path **place = s->state < SESSION_COVERING ? make_place(s, dialled) : NULL;

	if (!place) {
		close(fd);
		return NULL;
	}
	*place = path_new(&setup, fd, kind, dialled);
	return *place;
}

static void on_path(void *arg, struct path *path)
{
	struct session *s = arg;

	if (s->state == SESSION_OVER)
		return;
	switch (path_state(path)) {
	case PATH_DEAD:
		if (path_kind(path) == LOCAL_PATH_RELAY && !*s->relay_problem)
			snprintf(s->relay_problem, sizeof(s->relay_problem), "the relayed path broke");
		drop_path(s, path);
		break;
	case PATH_PROVEN:
		session_trust(s, path);
		session_note(s, "%s path proven", path_kind(path) == LOCAL_PATH_RELAY ? "relayed" :
			     path_kind(path) == LOCAL_PATH_LAN ? "LAN" : "direct");
		break;
	case PATH_NOMINATED:
		session_cover(s, path);
		return;
	default:
		break;
	}
	if (s->state == SESSION_PUNCHING)
		session_consider(s);
}

/* ---------------------------------------------------------------- sockets of a lane */

/* A far end that was accepted late sends its SYN again after 1 s; descriptors come back with any session that ends */
static const struct timeval lane_pause = { .tv_usec = 100000 };

/* Is it one of the peer's own private addresses? */
static bool is_lan(const struct session *s, const struct endpoint *remote)
{
	unsigned int i;

	for (i = 0; i < s->far.count; i++)
		if (s->far.candidates[i].type == PUNCH__CANDIDATE_TYPE__CANDIDATE_HOST &&
		    endpoint_is_private(remote) &&
		    endpoint_same_address(&s->far.candidates[i].endpoint, remote))
			return true;
	return false;
}

static void on_rested(evutil_socket_t fd, short what, void *arg)
{
	struct lane *lane = arg;

	(void)fd;
	(void)what;
	/* Watches may be used up like descriptors (watch.h), and come back like them */
	if (event_add(lane->event, NULL))
		event_add(lane->rest, &lane_pause);
}

/* Out of descriptors: what waits keeps the listener readable, and would wake us without end */
static void lane_rest(struct lane *lane)
{
	if (!lane->rest)
		lane->rest = event_new(lane->session->node->base, -1, 0, on_rested, lane);
	if (lane->rest && !event_add(lane->rest, &lane_pause))
		event_del(lane->event);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct lane *lane = arg;
	struct session *s = lane->session;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct endpoint remote;
	int socket_;

	(void)what;
	socket_ = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (socket_ < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			lane_rest(lane);
		return;
	}
	if (endpoint_from_sockaddr(&remote, (struct sockaddr *)&ss, len)) {
		close(socket_);
		return;
	}
	session_add_path(s, socket_, is_lan(s, &remote) ? LOCAL_PATH_LAN : LOCAL_PATH_DIRECT, false);
}

int session_listen(struct session *s)
{
	unsigned int i;

	for (i = 0; i < PLAN_LANES; i++) {
		struct lane *lane = &s->lanes[i];

		if (!lane->port)
			continue;
		lane->fd = port_socket(s->family, lane->port->number);
		if (lane->fd < 0)
			return lane->fd;
		if (listen(lane->fd, SESSION_PATHS))
			return -errno;
		lane->event = event_new(s->node->base, lane->fd, EV_READ | EV_PERSIST, on_accept, lane);
		if (!lane->event || event_add(lane->event, NULL))
			return -ENOMEM;
	}
	return 0;
}

static uint32_t random32(void *arg)
{
	uint32_t value;

	(void)arg;
	secret_random(&value, sizeof(value));
	return value;
}

/* A remote that is our own socket's address would connect us to ourselves */
static void drop_own(struct session *s)
{
	unsigned int i, j, kept = 0;

	for (i = 0; i < s->plan.count; i++) {
		bool own = false;

		for (j = 0; j < s->own.count; j++)
			own = own || endpoint_equal(&s->plan.attempts[i].remote, &s->own.candidates[j].endpoint);
		if (!own && s->lanes[s->plan.attempts[i].lane].port)
			s->plan.attempts[kept++] = s->plan.attempts[i];
	}
	s->plan.count = kept;
}

void session_go(struct session *s, uint64_t go)
{
	struct plan_input input = {
		.own = &s->own, .peer = &s->far, .caller = s->caller, .family = s->family, .rtt = s->rtt,
	};
	uint64_t until;

	s->go = go;
	s->over_at = 0;
	if (s->route == PUNCH__ROUTE__ROUTE_RELAY) {
		s->plan.reason = "route = relay";
	} else {
		plan_make(&s->plan, &input);
		drop_own(s);
	}
	until = s->route == PUNCH__ROUTE__ROUTE_DIRECT ? s->deadline : go + PLAN_WINDOW;
	punch_start(&s->punch, &s->plan, go, until, random32, s);
	session_set_state(s, SESSION_PUNCHING);
	if (s->plan.mass)
		mass_start(s);
	session_note(s, "starting %u attempts in %.1f ms", s->plan.count,
		     go > clock_now() ? (double)(go - clock_now()) / (double)MS : 0.0);
	session_consider(s);
}

/* ---------------------------------------------------------------- relay */

static void on_leg(void *arg, int fd, int error, const char *text)
{
	struct leg *leg = arg;
	struct session *s = leg->session;

	leg->leg = NULL;
	s->leg_count--;
	/* The other side has its ticket only once the answer went out: whoever
	 * joins us earlier is not the peer, and there is no secret yet to tell */
	if (fd >= 0 && s->state < SESSION_ANSWERED) {
		close(fd);
		snprintf(s->relay_problem, sizeof(s->relay_problem), "the relay joined us to nobody");
	} else if (fd < 0) {
		session_note(s, "relay: %s", text);
		snprintf(s->relay_problem, sizeof(s->relay_problem), "%s", text ? text : strerror(-error));
	} else {
		session_note(s, "relay joined");
		session_add_path(s, fd, LOCAL_PATH_RELAY, true);
	}
	if (s->state == SESSION_PUNCHING)
		session_consider(s);
}

void session_relays(struct session *s, Punch__RelayOffer **offers, size_t count)
{
	char own[ENDPOINT_TEXT_SIZE];
	size_t i;

	if (s->route == PUNCH__ROUTE__ROUTE_DIRECT)
		return;
	for (i = 0; i < count && s->leg_count < SESSION_LEGS; i++) {
		const Punch__RelayOffer *o = offers[i];
		struct leg *leg = &s->legs[s->leg_count];
		const char *address = o->address && *o->address ? o->address :
				      endpoint_format_address(uplink_server_for(s->uplink, s->family), own);

		if (!o->port || o->port > UINT16_MAX || strlen(address) >= LIMIT_HOST)
			continue;
		leg->leg = relayleg_new(s->node, uplink_server_for(s->uplink, s->family), address,
					(uint16_t)o->port, s->family, o->ticket.data, o->ticket.len, on_leg, leg);
		if (leg->leg && !s->leg_count++)
			snprintf(s->relay_asked, sizeof(s->relay_asked), "%s:%u", address, o->port);
	}
}

/* ---------------------------------------------------------------- waiting */

bool session_any_path(const struct session *s)
{
	unsigned int i;

	for (i = 0; i < SESSION_PATHS; i++)
		if (s->paths[i])
			return true;
	return false;
}

uint64_t session_paths_deadline(const struct session *s)
{
	uint64_t window = s->go + s->plan.window, now = clock_now(), due = punch_deadline(&s->punch), deadline;
	uint64_t awaited = s->go + s->plan.awaited;

	/* Too many SYNs are under way to send what is due */
	if (due <= now && !budget_room(&s->node->sessions->budget))
		due = now + BUDGET_WAIT;
	deadline = clock_before(s->deadline, due);
	if (now < awaited)
		deadline = clock_before(deadline, awaited);
	return now < window ? clock_before(deadline, window) : deadline;
}

/* No path, nor a socket that may become one. Return: true when the try is over */
bool session_barren(struct session *s, uint64_t now)
{
	/* Nothing left to wait for, and late comers had their time */
	bool over = !s->leg_count && punch_over(&s->punch, now) &&
		    (plan_empty(&s->plan) || now >= s->go + s->plan.window) && now >= s->go + s->plan.awaited;

	if (!over && now < s->go + SESSION_TRY)
		return false;
	if (caller_again(s))
		return true;
	if (over)
		caller_no_path(s);
	return over;
}

void session_consider(struct session *s)
{
	uint64_t now = clock_now(), late = s->go + s->plan.window + SESSION_LATE;

	if (s->state != SESSION_PUNCHING)
		return;
	session_run_attempts(s);
	if (s->caller)
		session_choose(s, now);
	else if (!session_any_path(s) && !s->leg_count && now >= late)
		session_fail(s, ETIMEDOUT, "%s: no path came through", s->peer.name);
	else
		session_arm(s, clock_before(session_paths_deadline(s), now < late ? late : NEVER));
}

void session_paths_close(struct session *s)
{
	unsigned int i;

	approach_free(s);
	crypt_cancel(s->covering);
	s->covering = NULL;
	for (i = 0; i < PLAN_ATTEMPTS; i++)
		dial_close(&s->dials[i]);
	for (i = 0; i < PLAN_LANES; i++) {
		if (s->lanes[i].event)
			event_free(s->lanes[i].event);
		s->lanes[i].event = NULL;
		if (s->lanes[i].rest)
			event_free(s->lanes[i].rest);
		s->lanes[i].rest = NULL;
		if (s->lanes[i].fd >= 0)
			close(s->lanes[i].fd);
		s->lanes[i].fd = -1;
	}
	for (i = 0; i < SESSION_LEGS; i++) {
		if (s->legs[i].leg)
			relayleg_cancel(s->legs[i].leg);
		s->legs[i].leg = NULL;
	}
	s->leg_count = 0;
	mass_free(s->mass);
	s->mass = NULL;
	for (i = 0; i < SESSION_PATHS; i++) {
		path_free(s->paths[i]);
		s->paths[i] = NULL;
	}
	s->chosen = NULL;
}
