/* SPDX-License-Identifier: MIT */
/*
 * session_uplink.c - the side that dials: through which server, and how long is one waited for?
 */
#include <errno.h>

#include "resolver/session_internal.h"

struct uplink *caller_uplink(struct session *s)
{
	unsigned int i;

	for (i = 0; i < s->node->uplink_count; i++)
		if (!(s->tried & (1u << i)) && uplink_state(s->node->uplinks[i]) == UPLINK_READY)
			return s->node->uplinks[i];
	return NULL;
}

/* Until when is a server waited for? */
static uint64_t caller_patience(const struct session *s)
{
	const struct node *node = s->node;
	uint64_t until = s->patience, advanced;
	unsigned int i;

	for (i = 0; i < node->uplink_count; i++) {
		advanced = uplink_advanced(node->uplinks[i]);
		if (advanced && advanced + SESSION_UPLINK_STEP > until)
			until = advanced + SESSION_UPLINK_STEP;
	}
	return clock_before(s->deadline, until);
}

void caller_no_uplink(struct session *s, uint64_t now)
{
	const struct node *node = s->node;
	const struct uplink *worst = NULL;
	char why[LOCAL_TEXT];
	unsigned int i, refused = 0;

	for (i = 0; i < node->uplink_count; i++) {
		enum uplink_state state = uplink_state(node->uplinks[i]);

		if (!worst || state == UPLINK_REFUSED)
			worst = node->uplinks[i];
		if (state == UPLINK_REFUSED)
			refused++;
	}
	if (!worst) {
		session_fail(s, ENETUNREACH, "%s: no rendezvous is configured; set [node] rendezvous = HOST",
			     s->peer.name);
	} else if (refused == node->uplink_count) {
		session_fail(s, uplink_wrong_key(worst) ? EACCES : ENETUNREACH, "%s: rendezvous %s: %s",
			     s->peer.name, uplink_name(worst), uplink_problem(worst));
	} else if (now >= caller_patience(s)) {
		uplink_explain(worst, why, sizeof(why));
		session_fail(s, ENETUNREACH, "%s: rendezvous %s: %s; look at %s",
			     s->peer.name, uplink_name(worst), why,
			     node->quick_mode ? "PUNCH_RENDEZVOUS" : "[node] rendezvous");
	} else {
		/* Somebody needs it now: its own pauses have grown while nobody did */
		for (i = 0; i < node->uplink_count; i++)
			uplink_wake(node->uplinks[i]);
		session_arm(s, clock_before(now + SESSION_RETRY, caller_patience(s)));
	}
}
