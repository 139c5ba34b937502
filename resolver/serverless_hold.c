/* SPDX-License-Identifier: MIT */
/*
 * serverless_hold.c - one place that is held, and who comes to it
 *
 * See the theory of operation in serverless.c.
 */
#include "resolver/serverless_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "common/log.h"
#include "resolver/session_internal.h"
#include "resolver/syn.h"
#include "resolver/talk.h"
#include "resolver/timer.h"

/* Connections that came to a listener and have not said yet who they are, of one place and of
 * all; where there are more the oldest goes: who is expected says so within a round trip.  The
 * socket of a place is not counted, for there is but one */
#define SERVERLESS_COMERS_HOLD 8
#define SERVERLESS_COMERS	32

/* Until a refused SYN is renewed: soon where it was the kernel's repetition that met the peer's NAT,
 * so that our own NAT is open again; else the peer's NAT refuses all, and its owner is to be spared */
#define RENEW_SOON	(20 * MS)
#define RENEW_LATER	(750 * MS)
#define RENEW_EARLY	(500 * MS)	/* refused before this: not a repetition */

static const char *const state_names[] = { "waiting", "opening", "engaged" };
static_assert(sizeof(state_names) / sizeof(*state_names) == HOLD_STATE_COUNT, "a name for each state");

#define TO(state) (1u << HOLD_##state)
static const unsigned int allowed[] = {
	[HOLD_WAITING] = TO(OPENING),
	[HOLD_OPENING] = TO(ENGAGED) | TO(WAITING),
	[HOLD_ENGAGED] = TO(WAITING),
};
static_assert(sizeof(allowed) / sizeof(*allowed) == HOLD_STATE_COUNT, "edges of each state");

const char *hold_state_name(enum hold_state state)
{
	return state < HOLD_STATE_COUNT ? state_names[state] : "?";
}

/* ------------------------------------------------------------ who comes */

static void hold_renew(struct hold *hold, uint64_t wait);

static void comer_free(struct comer *comer)
{
	TAILQ_REMOVE(&comer->serverless->comers, comer, link);
	comer->serverless->comer_count--;
	talk_free(comer->talk);
	free(comer);
}

void comers_free(struct serverless *serverless)
{
	struct comer *comer;

	while ((comer = TAILQ_FIRST(&serverless->comers)))
		comer_free(comer);
}

static void on_comer(void *arg, struct talk *talk, const Punch__Message *message)
{
	static struct log_limit limit;
	struct comer *comer = arg;
	struct hold *hold = comer->hold;
	struct awaited *awaited = hold ? hold->awaited : NULL;
	struct serverless *serverless = comer->serverless;

	if (!message || message->kind_case != PUNCH__MESSAGE__KIND_INVITE || !hold) {
		if (log_limited(&limit))
			log_info("somebody came to a meeting and did not show the key of %s",
				 hold ? awaited->pal->peer.name : "anybody");
		if (hold && comer->opener)
			hold_renew(hold, RENEW_LATER);
		comer_free(comer);
		return;
	}
	comer->talk = NULL;
	awaited->used |= 1ull << hold->place;
	hold_free(hold);
	/* Before the answer: whoever has it knows that the next place is held */
	awaited_tend(awaited);
	callee_met(serverless->node, talk, message->invite,
		   serverless->node->quick_mode ? NULL : awaited->pal->peer.key);
	comer_free(comer);
}

/* @hold: whose, NULL of all */
static void make_room(struct serverless *serverless, const struct hold *hold, unsigned int most)
{
	struct comer *comer, *oldest = NULL;
	unsigned int count = 0;

	TAILQ_FOREACH(comer, &serverless->comers, link) {
		if (comer->opener || (hold && comer->hold != hold))
			continue;
		oldest = oldest ? oldest : comer;
		count++;
	}
	if (count >= most)
		comer_free(oldest);
}

/* Takes @fd along. Return: 0 or -ENOMEM */
static int comer_new(struct hold *hold, int fd, bool opener)
{
	struct serverless *serverless = hold->awaited->serverless;
	struct comer *comer = calloc(1, sizeof(*comer));

	if (!comer) {
		close(fd);
		return -ENOMEM;
	}
	if (!opener) {
		make_room(serverless, hold, SERVERLESS_COMERS_HOLD);
		make_room(serverless, NULL, SERVERLESS_COMERS);
	}
	comer->serverless = serverless;
	comer->hold = hold;
	comer->opener = opener;
	TAILQ_INSERT_TAIL(&serverless->comers, comer, link);
	serverless->comer_count++;
	comer->talk =
		talk_new(serverless->node->base, fd, hold->where.callee_key, hold->where.caller_key, on_comer, comer);
	if (comer->talk)
		return 0;
	comer_free(comer);
	return -ENOMEM;
}

/* ------------------------------------------------------------ holds */

static void hold_set_state(struct hold *hold, enum hold_state state)
{
	assert(allowed[hold->state] & (1u << state));
	log_debug("meeting %s:%u bucket %llu place %u: %s -> %s", hold->awaited->pal->peer.name, hold->awaited->port,
		  (unsigned long long)hold->awaited->bucket, hold->place, state_names[hold->state], state_names[state]);
	hold->state = state;
}

/* Its socket, which is half-open no more */
static int hold_take(struct hold *hold)
{
	int fd = hold->fd;

	if (hold->event)
		event_free(hold->event);
	hold->event = NULL;
	if (fd >= 0)
		budget_done(&hold->awaited->serverless->node->sessions->budget);
	hold->fd = -1;
	return fd;
}

static void hold_close(struct hold *hold)
{
	int fd = hold_take(hold);

	if (fd >= 0)
		close(fd);
}

static void hold_renew(struct hold *hold, uint64_t wait)
{
	hold_close(hold);
	if (hold->state != HOLD_WAITING)
		hold_set_state(hold, HOLD_WAITING);
	timer_set(hold->timer, wait);
}

static void hold_refused(struct hold *hold, int error)
{
	uint64_t took = clock_now() - hold->since;

	log_debug("meeting %s:%u place %u: %s after %llu ms", hold->awaited->pal->peer.name, hold->awaited->port,
		  hold->place, strerror(error), (unsigned long long)(took / MS));
	hold_renew(hold, hold->awaited->serverless->distance && took > RENEW_EARLY ? RENEW_SOON : RENEW_LATER);
}

static void on_hold(evutil_socket_t fd, short what, void *arg)
{
	struct hold *hold = arg;
	socklen_t size = sizeof(int);
	int error = 0;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		error = errno;
	if (error) {
		hold_refused(hold, error);
		return;
	}
	hold_set_state(hold, HOLD_ENGAGED);
	if (comer_new(hold, hold_take(hold), true) == 0)
		awaited_tend(hold->awaited);
	else
		hold_renew(hold, RENEW_LATER);
}

static int hold_connect(struct hold *hold)
{
	struct node *node = hold->awaited->serverless->node;
	struct endpoint to = hold->awaited->pal->address;
	unsigned int distance = hold->awaited->serverless->distance;
	int rc;

	to.port = hold->where.caller_port;
	rc = budget_take(&node->sessions->budget, &hold->syns, &to, clock_now());
	if (rc)
		return rc;
	hold->fd = port_socket(hold->awaited->family, hold->where.callee_port);
	if (hold->fd < 0) {
		budget_done(&node->sessions->budget);
		return hold->fd;
	}
	rc = syn_punch(hold->fd, hold->awaited->family, &to, distance ? distance + 1 : 0);
	if (rc)
		return rc;
	hold->event = event_new(node->base, hold->fd, EV_WRITE, on_hold, hold);
	return !hold->event || event_add(hold->event, NULL) ? -ENOMEM : 0;
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
	struct hold *hold = arg;
	int rc;

	(void)fd;
	(void)what;
	hold->since = clock_now();
	rc = hold_connect(hold);
	if (rc)
		hold_refused(hold, -rc);
	else
		hold_set_state(hold, HOLD_OPENING);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct hold *hold = arg;
	int socket_ = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (socket_ >= 0)
		comer_new(hold, socket_, false);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
		event_del(hold->accept);	/* until hold_accept(): rather than spin */
}

void hold_accept(struct hold *hold)
{
	event_add(hold->accept, NULL);	/* nothing changes where it was not taken away */
}

void hold_free(struct hold *hold)
{
	struct serverless *serverless = hold->awaited->serverless;
	struct comer *comer;

	TAILQ_FOREACH(comer, &serverless->comers, link)
		if (comer->hold == hold)
			comer->hold = NULL;
	TAILQ_REMOVE(&hold->awaited->holds, hold, link);
	serverless->hold_count--;
	hold_close(hold);
	if (hold->accept)
		event_free(hold->accept);
	if (hold->timer)
		event_free(hold->timer);
	if (hold->listener >= 0)
		close(hold->listener);
	OPENSSL_cleanse(&hold->where, sizeof(hold->where));
	free(hold);
}

static int hold_listen(struct hold *hold)
{
	hold->listener = port_socket(hold->awaited->family, hold->where.callee_port);
	if (hold->listener < 0)
		return hold->listener;
	if (listen(hold->listener, SESSION_PATHS))
		return -errno;
	hold->accept =
		event_new(hold->awaited->serverless->node->base, hold->listener, EV_READ | EV_PERSIST, on_accept, hold);
	return hold->accept && event_add(hold->accept, NULL) == 0 ? 0 : -ENOMEM;
}

struct hold *hold_new(struct awaited *awaited, unsigned int place)
{
	struct node *node = awaited->serverless->node;
	struct meeting_when when = { .bucket = awaited->bucket, .port = awaited->port, .place = place };
	struct hold *hold = calloc(1, sizeof(*hold));
	int rc = -ENOMEM;

	if (!hold)
		return NULL;
	hold->awaited = awaited;
	hold->place = place;
	hold->made = clock_now();
	hold->fd = hold->listener = -1;
	TAILQ_INSERT_TAIL(&awaited->holds, hold, link);
	awaited->serverless->hold_count++;
	memcpy(when.caller, awaited->pal->peer.key, KEY_SIZE);
	memcpy(when.callee, node->key.public, KEY_SIZE);
	hold->timer = event_new(node->base, -1, 0, on_due, hold);
	if (hold->timer)
		rc = meeting_place(&awaited->pal->meeting, &when, &hold->where);
	if (rc == 0)
		rc = hold_listen(hold);
	if (rc) {
		if (rc != awaited->problem)
			log_info("meeting %s:%u: port %u cannot be held: %s", awaited->pal->peer.name,
				 awaited->port, hold->where.callee_port, strerror(-rc));
		awaited->problem = rc;
		hold_free(hold);
		return NULL;
	}
	timer_set(hold->timer, 0);
	return hold;
}
