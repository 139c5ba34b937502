/* SPDX-License-Identifier: MIT */
/*
 * stunlist.c - other people's STUN servers ([node] stun), as addresses
 *
 * Any server of RFC 8489 that listens on TCP will do. It stands elsewhere than the rendezvous, so together they
 * tell whether a NAT's mapping depends on the address.
 *
 * Names are looked up again when the network changes and when no answer came, at most once in STUNLIST_AGAIN. The
 * address in use is kept while it is one of those found, or none is found.
 */
#include "resolver/stunlist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "resolver/dns.h"
#include "resolver/timer.h"

#define STUN_PORT	3478	/* RFC 8489 18.6 */
/* between two look-ups: names of services have such lifetimes, or longer ones */
#define STUNLIST_AGAIN	(60 * SECOND)

struct entry {
	struct stunlist *list;
	char name[LIMIT_HOST];
	struct dns_query *query;
	struct endpoint address;	/* family 0: not found yet */
	struct event *again;
	uint64_t asked;			/* when it was looked up last; 0: never */
};

struct stunlist {
	struct node *node;
	struct entry entries[STUNLIST_MAX];
	unsigned int count;
	void (*changed)(void *arg);
	void *arg;
};

static void on_found(void *arg, int error, const char *text, const struct endpoint *results, unsigned int count)
{
	const struct endpoint *found = NULL;
	struct entry *entry = arg;
	unsigned int i;

	entry->query = NULL;
	for (i = 0; !error && i < count; i++) {
		if (results[i].family != AF_INET)
			continue;
		if (endpoint_equal(&results[i], &entry->address))
			return;
		if (!found)
			found = &results[i];
	}
	if (found) {
		entry->address = *found;
		entry->list->changed(entry->list->arg);
		return;
	}
	log_info("stun = %s: %s", entry->name, error ? text : "no IPv4 address");
	timer_set(entry->again, STUNLIST_AGAIN);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct entry *entry = arg;
	char text[LIMIT_HOST + 8];
	struct endpoint ep;
	const char *colon = strrchr(entry->name, ':');

	(void)fd;
	(void)what;
	/* With a port: SRV records of the name are none of STUN's */
	if (endpoint_parse(&ep, entry->name, STUN_PORT) == 0)
		endpoint_format(&ep, text);
	else
		snprintf(text, sizeof(text), colon ? "%s" : "%s:3478", entry->name);
	if (entry->query)
		return;
	entry->asked = clock_now();
	entry->query = dns_lookup(entry->list->node->dns, text, STUN_PORT, on_found, entry);
}

void stunlist_refresh(struct stunlist *list)
{
	const uint64_t now = clock_now();
	struct entry *entry;

	for (entry = list->entries; entry < list->entries + list->count; entry++)
		if (entry->asked && !entry->query)
			timer_set(entry->again,
				  now - entry->asked < STUNLIST_AGAIN ? entry->asked + STUNLIST_AGAIN - now : 0);
}

unsigned int stunlist_get(const struct stunlist *list, struct endpoint *out, unsigned int max)
{
	unsigned int i, count = 0;

	for (i = 0; list && i < list->count && count < max; i++)
		if (list->entries[i].address.family)
			out[count++] = list->entries[i].address;
	return count;
}

struct stunlist *stunlist_new(struct node *node, void (*changed)(void *arg), void *arg)
{
	struct stunlist *list = calloc(1, sizeof(*list));
	const char *cursor = node->conf.stun;
	char word[LIMIT_HOST];

	if (!list)
		return NULL;
	list->node = node;
	list->changed = changed;
	list->arg = arg;
	while (list->count < STUNLIST_MAX && conf_word_next(&cursor, word, sizeof(word))) {
		struct entry *entry = &list->entries[list->count];

		entry->list = list;
		strcpy(entry->name, word);
		entry->again = evtimer_new(node->base, on_again, entry);
		if (!entry->again || timer_set(entry->again, 0)) {
			if (entry->again)
				event_free(entry->again);
			stunlist_free(list);
			return NULL;
		}
		list->count++;
	}
	return list;
}

void stunlist_free(struct stunlist *list)
{
	unsigned int i;

	if (!list)
		return;
	for (i = 0; i < list->count; i++) {
		dns_cancel(list->entries[i].query);
		event_free(list->entries[i].again);
	}
	free(list);
}
