/* SPDX-License-Identifier: MIT */
/*
 * doctor_doors.c - do a server's other ports answer: its probes, and its relays?
 *
 * A firewall in front of a server that lets only the rendezvous' own port through leaves every NAT unmeasured and
 * relays nothing, and neither failure looks like one of the server.  So each port is connected to, and closed again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/limits.h"
#include "resolver/doctor_doors.h"
#include "resolver/race.h"
#include "resolver/reach.h"

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

static void knock(struct door *door, const struct endpoint *at, unsigned int count)
{
	door->race = race_new(door->node->base, at, count, 0, DOOR_LIMIT, on_door, door);
	if (!door->race)
		door->error = -ENOMEM;
}

static void on_addresses(void *arg, int error, const char *text, const struct endpoint *results, unsigned int count)
{
	struct endpoint kept[DNS_RESULTS];
	struct door *door = arg;
	unsigned int i, routed = 0;

	(void)text;
	door->query = NULL;
	door->error = error;
	door->nameless = error != 0;
	if (error)
		return;
	count = endpoint_keep_referred(&door->server, results, count, kept);
	door->forbidden = !count;
	for (i = 0; i < count; i++)
		if (reach_routed(&kept[i]))
			kept[routed++] = kept[i];
	door->unrouted = count && !routed;
	door->error = door->forbidden ? -EACCES : door->unrouted ? -ENETUNREACH : -EINPROGRESS;
	if (routed)
		knock(door, kept, routed);
}

/* Return: NULL when there are too many */
static struct door *door_add(struct doors *doors, struct node *node, const struct uplink *uplink)
{
	struct door *door = &doors->list[doors->count];

	if (doors->count == DOORS_MOST)
		return NULL;
	doors->count++;
	*door = (struct door){ .node = node,
			       .uplink = uplink,
			       .server = *uplink_server(uplink),
			       .error = -EINPROGRESS };
	return door;
}

static void add_probe(struct doors *doors, struct node *node, const struct uplink *uplink, const struct endpoint *at)
{
	struct door *door = door_add(doors, node, uplink);
	char text[ENDPOINT_TEXT_SIZE];

	if (!door)
		return;
	door->port = at->port;
	snprintf(door->where, sizeof(door->where), "%s", endpoint_format(at, text));
	knock(door, at, 1);
}

static void add_relay(struct doors *doors, struct node *node, const struct uplink *uplink,
		      const struct uplink_relay *relay)
{
	struct door *door = door_add(doors, node, uplink);
	char text[ENDPOINT_TEXT_SIZE];
	struct endpoint at;

	if (!door)
		return;
	at = door->server;
	door->relay = true;
	door->port = relay->port;
	at.port = relay->port;
	if (!*relay->host || !endpoint_parse(&at, relay->host, relay->port))
		snprintf(door->where, sizeof(door->where), "%s", endpoint_format(&at, text));
	else
		snprintf(door->where, sizeof(door->where), "%s:%u", relay->host, relay->port);
	door->query = dns_lookup(node->dns, door->where, relay->port, on_addresses, door);
	if (!door->query)
		door->error = -ENOMEM;
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
	const struct uplink_relay *relays;
	struct endpoint probes[UPLINK_PROBES];
	unsigned int i, j, count;

	for (i = 0; i < node->uplink_count; i++) {
		const struct uplink *uplink = node->uplinks[i];

		if (uplink_state(uplink) != UPLINK_READY || was_tried(doors, uplink))
			continue;
		count = uplink_probes(uplink, probes);
		for (j = 0; j < count; j++)
			if (reach_routed(&probes[j]))
				add_probe(doors, node, uplink, &probes[j]);
		count = uplink_relays(uplink, &relays);
		for (j = 0; j < count; j++)
			add_relay(doors, node, uplink, &relays[j]);
	}
}

bool doors_known(const struct doors *doors)
{
	unsigned int i;

	for (i = 0; i < doors->count; i++)
		if (doors->list[i].query || doors->list[i].race)
			return false;
	return true;
}

bool doors_without_relay(const struct node *node)
{
	const struct uplink_relay *relays;
	unsigned int i, ready = 0;

	for (i = 0; i < node->uplink_count; i++) {
		if (uplink_relays(node->uplinks[i], &relays))
			return false;
		ready += uplink_state(node->uplinks[i]) == UPLINK_READY;
	}
	return ready > 0;
}

bool doors_shut(const struct doors *doors, bool relay)
{
	unsigned int i, shut = 0;

	for (i = 0; i < doors->count; i++) {
		const struct door *door = &doors->list[i];

		if (door->relay != relay || door->error == -EINPROGRESS)
			continue;
		if (!door->error)
			return false;
		shut++;
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
		snprintf(text, size, "refused: does punch-relay run there?");
	else if (door->nameless)
		snprintf(text, size, "its name: %s", door->error == -ENOENT ? "there is none" : strerror(-door->error));
	else if (door->error == -ETIMEDOUT)
		snprintf(text, size, "no answer: does a firewall drop TCP %u?", door->port);
	else if (door->unrouted)
		snprintf(text, size, "this host has no route to it");
	else if (door->forbidden)
		snprintf(text, size, "a private address, while the rendezvous has a public one: not tried");
	else
		snprintf(text, size, "%s: does a firewall reject TCP %u?", strerror(-door->error), door->port);
	return text;
}

void doors_close(struct doors *doors)
{
	unsigned int i;

	for (i = 0; i < doors->count; i++) {
		dns_cancel(doors->list[i].query);
		race_cancel(doors->list[i].race);
	}
	doors->count = 0;
}
