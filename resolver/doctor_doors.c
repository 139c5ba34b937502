/* SPDX-License-Identifier: MIT */
/*
 * doctor_doors.c - do a server's other ports answer: its probes, and the relay beside it?
 *
 * A firewall in front of a server that lets only the rendezvous' own port through leaves every NAT unmeasured and
 * relays nothing, and neither failure looks like one of the server.  So each port is connected to, and closed again.  A
 * node learns of relays on other hosts by their offers alone: those are not asked.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/limits.h"
#include "resolver/doctor_doors.h"
#include "resolver/race.h"

#define DOOR_LIMIT	(4 * SECOND)	/* SYNs at 0, 1 and 3 s; a study of the NAT takes longer */

static void on_door(void *arg, int fd, const struct endpoint *reached, int error, const char *text)
{
	struct door *door = arg;

	(void)reached;
	(void)text;
	door->race = NULL;
	door->error = error;
	if (fd >= 0)
		close(fd);
}

static void knock(struct doors *doors, struct node *node, const struct uplink *uplink, const struct endpoint *at, bool relay)
{
	struct door *door = &doors->list[doors->count];

	if (doors->count == DOORS_MOST)
		return;
	*door = (struct door){ .at = *at, .uplink = uplink, .relay = relay, .error = -EINPROGRESS };
	door->race = race_new(node->base, at, 1, 0, DOOR_LIMIT, on_door, door);
	if (door->race)
		doors->count++;
}

static bool was_tried(const struct doors *doors, const struct uplink *uplink)
{
	unsigned int i;

	for (i = 0; i < doors->count; i++)
		if (doors->list[i].uplink == uplink)
			return true;
	return false;
}

void doors_knock(struct doors *doors, struct node *node)
{
	struct endpoint probes[UPLINK_PROBES], relay;
	unsigned int i, j, count;

	for (i = 0; i < node->uplink_count; i++) {
		const struct uplink *uplink = node->uplinks[i];

		if (uplink_state(uplink) != UPLINK_READY || was_tried(doors, uplink))
			continue;
		count = uplink_probes(uplink, probes);
		for (j = 0; j < count; j++)
			knock(doors, node, uplink, &probes[j], false);
		relay = *uplink_server(uplink);
		relay.port = PORT_RELAY;
		knock(doors, node, uplink, &relay, true);
	}
}

bool doors_known(const struct doors *doors)
{
	unsigned int i;

	for (i = 0; i < doors->count; i++)
		if (doors->list[i].race)
			return false;
	return true;
}

bool doors_shut(const struct doors *doors, bool relay)
{
	unsigned int i, shut = 0;

	for (i = 0; i < doors->count; i++) {
		const struct door *door = &doors->list[i];

		/* Refused: no relay is meant to be there, perhaps */
		if (door->relay == relay && door->error != -EINPROGRESS && !(relay && door->error == -ECONNREFUSED)) {
			if (!door->error)
				return false;
			shut++;
		}
	}
	return shut > 0;
}

const char *door_problem(const struct door *door, char *text, size_t size)
{
	if (door->error == -EINPROGRESS)
		return NULL;
	if (!door->error)
		*text = '\0';
	else if (door->relay && door->error == -ECONNREFUSED)
		snprintf(text, size, "refused: right where the rendezvous has its relays on other hosts, or none");
	else if (door->error == -ETIMEDOUT)
		snprintf(text, size, "no answer: does a firewall drop TCP %u?", door->at.port);
	else
		snprintf(text, size, "%s: does a firewall reject TCP %u?", strerror(-door->error), door->at.port);
	return text;
}

void doors_close(struct doors *doors)
{
	unsigned int i;

	for (i = 0; i < doors->count; i++)
		race_cancel(doors->list[i].race);
	doors->count = 0;
}
