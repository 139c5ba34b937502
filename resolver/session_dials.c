/* SPDX-License-Identifier: MIT */
/*
 * session_dials.c - sockets on their way to being connected
 *
 * Each socket here has sent a SYN of the budget, and is half-open until it is
 * connected, refused or closed.  punch.c says when an attempt's is due, session_mass.c has many.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "resolver/session_internal.h"
#include "resolver/syn.h"

static struct budget *budget_of(const struct dial *dial)
{
	return &dial->session->node->sessions->budget;
}

int dial_take(struct dial *dial)
{
	int fd = dial->fd;

	if (dial->event)
		event_free(dial->event);
	dial->event = NULL;
	if (fd >= 0)
		budget_done(budget_of(dial));
	dial->fd = -1;
	return fd;
}

void dial_close(struct dial *dial)
{
	int fd = dial_take(dial);

	if (fd >= 0)
		close(fd);
}

int dial_error(const struct dial *dial)
{
	socklen_t len = sizeof(int);
	int error = 0;

	return getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &error, &len) ? errno : error;
}

int dial_connect(struct dial *dial, uint16_t local, const struct endpoint *to, uint8_t ttl,
		 void (*ready)(evutil_socket_t fd, short what, void *arg))
{
	struct session *s = dial->session;
	int err;

	err = budget_take(budget_of(dial), &s->syns, to, clock_now());
	if (err)
		return err;
	dial->fd = port_socket(s->family, local);
	if (dial->fd < 0) {
		err = dial->fd;
		budget_done(budget_of(dial));
		return err;
	}
	err = syn_punch(dial->fd, s->family, to, ttl);
	if (!err) {
		dial->event = event_new(s->node->base, dial->fd, EV_WRITE, ready, dial);
		err = !dial->event || event_add(dial->event, NULL) ? -ENOMEM : 0;
	}
	if (err)
		dial_close(dial);
	return err;
}

/* Did both sides' SYNs perhaps cross on their way? Not where one lay in wait for the other */
static bool may_have_crossed(const struct attempt *a)
{
	return a->tries > 1 || (a->plan.tactic != TACTIC_OPEN && a->plan.tactic != TACTIC_DIAL);
}

static void dial_over(struct dial *dial, int error)
{
	struct session *s = dial->session;
	const struct attempt *attempt = &s->punch.attempts[dial->index];
	uint64_t now = clock_now();
	struct path *path = NULL;
	enum local_path kind = s->punch.attempts[dial->index].plan.tactic == TACTIC_LAN ? LOCAL_PATH_LAN :
											  LOCAL_PATH_DIRECT;

	if (error == EDQUOT)
		session_note(s, "no more SYNs may be sent there for now");
	if (error)
		dial_close(dial);
	else
		path = session_add_path(s, dial_take(dial), kind, true);
	if (path && may_have_crossed(attempt))
		path_took(path, now - attempt->since);
	punch_result(&s->punch, dial->index, error, now);
}

static void on_dial(evutil_socket_t fd, short what, void *arg)
{
	struct dial *dial = arg;

	(void)fd;
	(void)what;
	dial_over(dial, dial_error(dial));
	session_consider(dial->session);
}

/* Send the SYNs that are due, as far as there is room for them */
void session_run_attempts(struct session *s)
{
	uint8_t ttl;
	int i, err;

	while (budget_room(&s->node->sessions->budget) && (i = punch_next(&s->punch, clock_now(), &ttl)) >= 0) {
		struct dial *dial = &s->dials[i];
		const struct attempt_plan *plan = &s->punch.attempts[i].plan;

		dial->index = i;
		err = dial_connect(dial, s->lanes[plan->lane].port->number, &plan->remote, ttl, on_dial);
		if (err)
			dial_over(dial, -err);
	}
}

/* A path's far end is the peer: SYNs to it are not a stranger's burden */
void session_trust(struct session *s, const struct path *path)
{
	struct endpoint remote;

	if (path_kind(path) != LOCAL_PATH_RELAY && !path_remote(path, &remote))
		budget_trust(&s->node->sessions->budget, &remote, clock_now());
}
