/* SPDX-License-Identifier: MIT */
/*
 * study.c - what do the NATs above let in, and how do they answer what they do not?
 *
 * Theory of operation
 *
 * One local port, made like those that punch: it is connected to a probe port, and it listens, so that a SYN
 * which comes in gets an answer. Then, one after the other:
 *
 *	PORT	the server connects back from a port that we have not contacted (CONNECT-BACK in common/stun.h)
 *	ADDRESS	the same from another address, where it has one
 *	HELD	where PORT was kept out: our SYN goes to the port that the server will connect from, with
 *		a TTL at which it leaves our NAT and reaches nobody. A NAT that keeps the
 *		server out even now drops every bare SYN
 *	HAIRPIN	we connect to our own mapped address
 *
 * Beside it a STUN server elsewhere is asked from the same port, if there is one.
 *
 * Towards an IPv6 probe port there are the first two alone: no mapping, no TTL at which a SYN leaves a NAT.
 *
 * Filters of hosts and of NATs cannot be told apart, and need not be. It is done once for a network, in the
 * background; no connection waits for it.
 */
#include "resolver/study.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/secret.h"
#include "resolver/budget.h"
#include "resolver/opinion.h"
#include "resolver/ports.h"
#include "resolver/syn.h"
#include "resolver/timer.h"
#include "resolver/watch.h"

/* until the hairpin: the server takes 1.5 s for each of three, and round trips of 300 ms */
#define STUDY_PATIENCE	(8 * SECOND)
#define STUDY_ELSEWHERE	(1 * SECOND)	/* for the other server's answer, when all else is known */
#define STUDY_HAIRPIN	(1500 * MS)	/* a SYN, its retransmission after 1 s, and an answer out of the same house */
/* our kernel sends the held SYN again after this, with a TTL that reaches the server */
#define STUDY_HELD	(1 * SECOND)
#define STUDY_HELD_RTT	(400 * MS)	/* of the way to the server at most: the outcome takes two of these */

enum study_step {
	STUDY_CONNECT,		/* to the probe port */
	STUDY_RESERVE,		/* asked: from which port would you come? */
	STUDY_GO,		/* told: come; the answer is the outcome */
	STUDY_HAIRPIN_WAIT,	/* a SYN to ourselves is under way */
	STUDY_OVER,
};

enum study_test { TEST_PORT, TEST_ADDRESS, TEST_HELD, TEST_HAIRPIN, TEST_END };

struct study {
	struct event_base *base;
	struct endpoint target;
	struct opinion *opinion;
	struct budget *budget;
	unsigned int (*hops)(void *arg);
	study_done *done;
	void *arg;
	enum study_step step;
	enum study_test test;
	struct study_result result;
	uint16_t number;
	int probe, listener, held, hairpin;	/* descriptors, -1 none */
	struct event *probe_event, *listener_event, *hairpin_event, *timer;
	uint64_t asked_at, held_at;
	bool answered;			/* by the server elsewhere, or it was given up */
	bool came;			/* somebody came to the listener since the hairpin test began */
	bool deaf;			/* no descriptor for who came */
	uint8_t id[STUN_ID];
	uint8_t in[STUN_MAX];
	size_t have;
};

/* ---------------------------------------------------------------- sockets */

static void shut(int *fd, struct event **event)
{
	if (event && *event) {
		event_free(*event);
		*event = NULL;
	}
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void study_free(struct study *study)
{
	opinion_free(study->opinion);
	shut(&study->probe, &study->probe_event);
	shut(&study->listener, &study->listener_event);
	shut(&study->held, NULL);
	shut(&study->hairpin, &study->hairpin_event);
	if (study->timer)
		event_free(study->timer);
	free(study);
}

void study_cancel(struct study *study)
{
	if (study)
		study_free(study);
}

/* Nothing is asked any more, so nothing that comes is an answer */
static void stop_asking(struct study *study)
{
	event_del(study->probe_event);
}

static void study_finish(struct study *study)
{
	stop_asking(study);
	study->step = STUDY_OVER;
	timer_set(study->timer, 0);	/* not from here: the caller may still hold it */
}

/* ---------------------------------------------------------------- the tests, one after the other */

static void next_test(struct study *study);

static void ask(struct study *study, uint8_t step)
{
	struct stun_back back = {
		.what = step, .scope = study->test == TEST_ADDRESS ? STUN_SCOPE_ADDRESS : STUN_SCOPE_PORT,
	};
	uint8_t out[STUN_MAX];
	size_t size;

	study->asked_at = clock_now();
	secret_random(study->id, sizeof(study->id));
	size = stun_request_back(out, study->id, &back);
	study->step = step == STUN_STEP_RESERVE ? STUDY_RESERVE : STUDY_GO;
	/* A few bytes into an empty send buffer: all or an error */
	if (send(study->probe, out, size, MSG_NOSIGNAL) != (ssize_t)size)
		study_finish(study);
}

/* Let our SYN for the server's port out of our NAT, and no farther */
static int hold(struct study *study, uint16_t port)
{
	unsigned int ttl = study->hops(study->arg) + 1;
	struct endpoint to = study->target;

	if (ttl < 2 || clock_now() - study->asked_at > STUDY_HELD_RTT)
		return -ENODATA;
	to.port = port;
	study->held = port_socket(AF_INET, study->number);
	if (study->held < 0)
		return study->held;
	study->held_at = clock_now();
	return syn_punch(study->held, AF_INET, &to, ttl);
}

static void on_hairpin(evutil_socket_t fd, short what, void *arg)
{
	struct study *study = arg;
	socklen_t size = sizeof(int);
	int error = 0;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) || error)
		study->result.hairpin = error == ECONNREFUSED ? STUN_OUTCOME_REFUSED : STUN_OUTCOME_UNREACHABLE;
	else if (study->came)
		study->result.hairpin = STUN_OUTCOME_ESTABLISHED;
	else
		return;		/* until the listener has it, or the time is over */
	study_finish(study);
}

static void start_hairpin(struct study *study)
{
	stop_asking(study);
	study->step = STUDY_HAIRPIN_WAIT;
	study->came = false;
	if (!budget_probe(study->budget, &study->result.mapped, 1, clock_now()))
		goto over;
	study->hairpin = port_socket(study->result.mapped.family, 0);
	if (study->hairpin < 0 || syn_connect(study->hairpin, study->result.mapped.family, &study->result.mapped))
		goto over;
	study->hairpin_event = event_new(study->base, study->hairpin, EV_WRITE, on_hairpin, study);
	if (!study->hairpin_event || event_add(study->hairpin_event, NULL))
		goto over;
	study->result.hairpin = STUN_OUTCOME_SILENT;
	timer_set(study->timer, STUDY_HAIRPIN);
	return;
over:
	study_finish(study);
}

/* Is it of use, after what is known? */
static bool is_wanted(const struct study *study, enum study_test test)
{
	const int port = study->result.port;

	switch (test) {
	case TEST_PORT:
		return true;
	case TEST_ADDRESS:
		return port == STUN_OUTCOME_ESTABLISHED;
	case TEST_HELD:
		return study->target.family == AF_INET && (port == STUN_OUTCOME_REFUSED ||
			port == STUN_OUTCOME_UNREACHABLE || port == STUN_OUTCOME_SILENT);
	case TEST_HAIRPIN:
		return study->result.mapped.family == AF_INET && !endpoint_is_private(&study->result.mapped) &&
		       !study->deaf;
	default:
		return true;
	}
}

static void next_test(struct study *study)
{
	shut(&study->held, NULL);
	do {
		study->test++;
	} while (!is_wanted(study, study->test));
	if (study->test == TEST_END)
		study_finish(study);
	else if (study->test == TEST_HAIRPIN)
		start_hairpin(study);
	else
		ask(study, STUN_STEP_RESERVE);
}

static void take_outcome(struct study *study, int outcome)
{
	int *const results[] = { &study->result.port, &study->result.address, &study->result.held };

	/* So late it was our SYN that met the server's, and no bare one was let in */
	if (study->test == TEST_HELD && outcome == STUN_OUTCOME_ESTABLISHED &&
	    clock_now() - study->held_at >= STUDY_HELD)
		outcome = STUN_OUTCOME_SILENT;
	*results[study->test] = outcome < STUN_OUTCOME_COUNT ? outcome : STUN_OUTCOME_NONE;
	next_test(study);
}

static void take_answer(struct study *study, size_t size)
{
	struct endpoint mapped;
	struct stun_back back;

	if (stun_mapped(study->in, size, study->id, &mapped)) {
		study_finish(study);
		return;
	}
	study->result.mapped = mapped;
	/* No server of ours: nothing but the hairpin can be tested */
	if (!stun_get_back(study->in, size, &back)) {
		study->test = TEST_HELD;
		next_test(study);
	} else if (study->step == STUDY_GO || back.what != STUN_OUTCOME_RESERVED) {
		take_outcome(study, back.what);
	} else if (study->test == TEST_HELD && hold(study, back.port)) {
		take_outcome(study, STUN_OUTCOME_NONE);
	} else {
		ask(study, STUN_STEP_GO);
	}
}

/* ---------------------------------------------------------------- events */

static void on_probe(evutil_socket_t fd, short what, void *arg)
{
	struct study *study = arg;
	socklen_t len = sizeof(int);
	ssize_t n, whole;
	int error = 0;

	(void)what;
	if (study->step == STUDY_CONNECT) {
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
			study_finish(study);
			return;
		}
		if (watch_set(study->probe_event, EV_READ)) {
			study_finish(study);
			return;
		}
		ask(study, STUN_STEP_RESERVE);
		return;
	}
	n = recv(fd, study->in + study->have, sizeof(study->in) - study->have, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		study->have += (size_t)n;
	whole = stun_size(study->in, study->have);
	if (n <= 0 || whole < 0) {
		study_finish(study);
	} else if (whole && (size_t)whole <= study->have) {
		study->have = 0;	/* one question, one answer */
		take_answer(study, (size_t)whole);
	}
}

/*
 * Who waits keeps the listener readable, and would wake us without end. For the server that asks, the kernel has
 * answered; but of the hairpin nothing can be said any more.
 */
static void go_deaf(struct study *study)
{
	event_del(study->listener_event);
	study->deaf = true;
	if (study->step != STUDY_HAIRPIN_WAIT)
		return;
	study->result.hairpin = STUN_OUTCOME_NONE;
	study_finish(study);
}

static void on_listener(evutil_socket_t fd, short what, void *arg)
{
	struct study *study = arg;
	int socket_ = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (socket_ < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			go_deaf(study);
		return;
	}
	close(socket_);
	study->came = true;
	if (study->step == STUDY_HAIRPIN_WAIT && study->hairpin_event)
		event_active(study->hairpin_event, EV_WRITE, 0);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct study *study = arg;
	struct study_result result = study->result;
	study_done *done = study->done;
	void *done_arg = study->arg;

	(void)fd;
	(void)what;
	if (study->opinion && !study->answered) {
		study->step = STUDY_OVER;
		study->answered = true;
		timer_set(study->timer, STUDY_ELSEWHERE);
		return;
	}
	log_debug("study: outcomes %d from another port, %d from another address, %d from a held port; hairpin %d",
		  result.port, result.address, result.held, result.hairpin);
	study_free(study);
	done(done_arg, &result);
}

static void on_opinion(void *arg, const struct endpoint *mapped)
{
	struct study *study = arg;

	study->result.elsewhere = *mapped;
	study->answered = true;
	if (study->step == STUDY_OVER)
		timer_set(study->timer, 0);
}

/* Bind, listen, connect. Return: 0 or -errno */
static int open_port(struct study *study)
{
	struct endpoint local;
	int err;

	study->listener = port_socket(study->target.family, 0);
	if (study->listener < 0)
		return study->listener;
	if (endpoint_local(study->listener, &local))
		return -EADDRNOTAVAIL;
	study->number = local.port;
	study->probe = port_socket(study->target.family, local.port);
	if (study->probe < 0)
		return study->probe;
	err = syn_connect(study->probe, study->target.family, &study->target);
	if (err)
		return err;
	if (listen(study->listener, 4))
		return -errno;
	study->listener_event = event_new(study->base, study->listener, EV_READ | EV_PERSIST, on_listener, study);
	study->probe_event = event_new(study->base, study->probe, EV_WRITE, on_probe, study);
	if (!study->listener_event || !study->probe_event || event_add(study->listener_event, NULL) ||
	    event_add(study->probe_event, NULL))
		return -ENOMEM;
	return 0;
}

struct study *study_start(struct event_base *base, const struct endpoint *target, const struct endpoint *other,
			  struct budget *budget, unsigned int (*hops)(void *arg), study_done *done, void *arg)
{
	struct study *study = calloc(1, sizeof(*study));

	if (!study)
		return NULL;
	*study = (struct study){
		.base = base, .target = *target, .budget = budget, .hops = hops, .done = done, .arg = arg,
		.probe = -1, .listener = -1, .held = -1, .hairpin = -1,
	};
	study->timer = evtimer_new(base, on_timer, study);
	if (!study->timer || open_port(study) || timer_set(study->timer, STUDY_PATIENCE)) {
		study_free(study);
		return NULL;
	}
	if (other)
		study->opinion = opinion_start(base, study->number, other, on_opinion, study);
	return study;
}
