/* SPDX-License-Identifier: MIT */
/*
 * publish.c - is what a program has just published within reach of its peers?
 *
 * A server whose rendezvous is down, or refuses it, would wait for its peers in silence, while they
 * are told no more than that it is not there.  Its own listen() is the last moment at which something can be said where
 * its user looks.  So the answer to it carries what is wrong with the rendezvous.
 *
 * A resolver that was started by this very listen() does not know that yet: the outcome of its first try is
 * awaited, which comes after some round trips, or not at all.  Others that listen meanwhile wait with it.  Nobody
 * waits later, whatever is wrong, for a program may listen often.
 */
#include <stdio.h>

#include "common/clock.h"
#include "resolver/publish.h"
#include "resolver/timer.h"
#include "resolver/uplink.h"

/* look-up, TCP, TLS and Hello are five round trips; a program starts no later for it */
#define PUBLISH_WAIT	(1 * SECOND)
#define PUBLISH_STEP	(10 * MS)	/* between two looks: a program is held up by half of it for nothing */

/* Return: the rendezvous to speak of; NULL when peers can come, or when there is none by design */
static struct uplink *out_of_reach(const struct node *node)
{
	struct uplink *worst = NULL;
	unsigned int i;

	for (i = 0; i < node->uplink_count; i++) {
		enum uplink_state state = uplink_state(node->uplinks[i]);

		if (state == UPLINK_READY)
			return NULL;
		if (!worst || state == UPLINK_REFUSED)
			worst = node->uplinks[i];
	}
	return worst;
}

/* Has each one been tried to the end? */
static bool all_tried(const struct node *node)
{
	unsigned int i;

	for (i = 0; i < node->uplink_count; i++)
		if (!uplink_tried(node->uplinks[i]))
			return false;
	return true;
}

static void say(struct request *rq)
{
	struct uplink *worst = out_of_reach(rq->node);
	struct local_reply reply;
	char why[LOCAL_TEXT];

	reply_init(rq, &reply, LOCAL_OK);
	if (worst) {
		uplink_explain(worst, why, sizeof(why));
		snprintf(reply.text, sizeof(reply.text), "rendezvous %.100s: %.390s", uplink_name(worst), why);
		uplink_wake(worst);	/* mended meanwhile, perhaps */
	}
	request_reply(rq, &reply, -1);
	request_end(rq);
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
	struct request *rq = arg;

	(void)fd;
	(void)what;
	if (!out_of_reach(rq->node) || all_tried(rq->node) || clock_now() >= rq->node->awaited_until ||
	    timer_set(rq->timer, PUBLISH_STEP))
		say(rq);
}

void publish_answer(struct request *rq)
{
	struct node *node = rq->node;

	if (!node->awaited_until)
		node->awaited_until = clock_now() + PUBLISH_WAIT;
	if (clock_now() < node->awaited_until && out_of_reach(node) && !all_tried(node))
		rq->timer = evtimer_new(node->base, on_step, rq);
	if (!rq->timer || timer_set(rq->timer, PUBLISH_STEP))
		say(rq);
}
