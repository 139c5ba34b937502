/* SPDX-License-Identifier: MIT */
/*
 * conf_check.c - what can be judged only when the whole punch.conf has been read
 *
 * Linked into the shim.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "conf/conf_reading.h"

/* A name that means a peer: its own, or an alias */
struct claim {
	const char *text;
	size_t size;
	unsigned int peer;
	int line;
	const char *key;	/* NULL: the section's name */
};

static int claim_compare(const void *a_, const void *b_)
{
	const struct claim *a = a_, *b = b_;
	int rc = strncasecmp(a->text, b->text, a->size < b->size ? a->size : b->size);

	if (rc)
		return rc;
	if (a->size != b->size)
		return a->size < b->size ? -1 : 1;
	return a->line - b->line;
}

static size_t count_words(const char *list)
{
	char word[2];
	size_t n = 0;

	while (conf_word_next(&list, word, sizeof(word)))
		n++;
	return n;
}

static void add_claims(const struct reading *reading, unsigned int i, struct claim *claims, size_t *count)
{
	const struct conf_peer *peer = &reading->conf->peers[i];
	const char *at = peer->alias;

	claims[(*count)++] = (struct claim){ peer->name, strlen(peer->name), i, peer->line, NULL };
	while (*(at += strspn(at, " "))) {
		size_t size = strcspn(at, " ");

		claims[(*count)++] = (struct claim){ at, size, i, reading->peer_alias_line[i], "alias" };
		at += size;
	}
}

/* No name may mean two peers */
static void check_names(struct conf_walk *walk, const struct reading *reading)
{
	const struct conf_node *conf = reading->conf;
	size_t count = 0, total = 0, i;
	struct claim *claims;
	unsigned int p;

	for (p = 0; p < conf->peer_count; p++)
		total += 1 + count_words(conf->peers[p].alias);
	claims = calloc(total ? total : 1, sizeof(*claims));
	if (!claims) {
		conf_fail_at(walk, 0, NULL, NULL, NULL, "%s", strerror(ENOMEM));
		return;
	}
	for (p = 0; p < conf->peer_count; p++)
		add_claims(reading, p, claims, &count);
	qsort(claims, count, sizeof(*claims), claim_compare);
	for (i = 1; i < count; i++) {
		const struct claim *first = &claims[i - 1], *second = &claims[i];
		char header[LIMIT_NAME + 16], text[LIMIT_HOST];

		if (first->size != second->size || strncasecmp(first->text, second->text, first->size) != 0)
			continue;
		if (first->peer == second->peer)
			continue;	/* said twice of one peer: harmless */
		snprintf(header, sizeof(header), "[peer %s]", conf->peers[second->peer].name);
		snprintf(text, sizeof(text), "%.*s", (int)second->size, second->text);
		conf_fail_at(walk, second->line, header, second->key, text,
			     "this name is already that of [peer %s] in line %d", conf->peers[first->peer].name,
			     first->line);
	}
	free(claims);
}

static void check_peers(struct conf_walk *walk, const struct conf_node *conf)
{
	char header[LIMIT_NAME + 16];
	unsigned int i;

	for (i = 0; i < conf->peer_count; i++) {
		snprintf(header, sizeof(header), "[peer %s]", conf->peers[i].name);
		if (!conf->peers[i].key[0])
			conf_fail_at(walk, conf->peers[i].line, header, "key", NULL,
				     "missing; it is what \"punchctl pubkey\" prints on that host");
	}
}

/* Names of sections alone: "allow" speaks of peers, not of addresses */
static bool is_peer_name(const struct conf_node *conf, const char *name)
{
	unsigned int i;

	for (i = 0; i < conf->peer_count; i++) {
		if (strcasecmp(conf->peers[i].name, name) == 0)
			return true;
	}
	return false;
}

static void check_services(struct conf_walk *walk, const struct reading *reading)
{
	const struct conf_node *conf = reading->conf;
	char header[LIMIT_NAME + 16], word[CONF_WORDS];
	unsigned int i;

	for (i = 0; i < conf->service_count; i++) {
		const struct conf_service *service = &conf->services[i];
		const char *cursor = service->allow;

		snprintf(header, sizeof(header), "[service %s]", service->name);
		if (!service->port)
			conf_fail_at(walk, service->line, header, "port", NULL,
				     "missing; write the port that the program listens on");
		while (conf_word_next(&cursor, word, sizeof(word))) {
			if (strcmp(word, "*") == 0 && strcmp(service->allow, "*") != 0)
				conf_fail_at(walk, reading->service_allow_line[i], header, "allow", service->allow,
					     "* stands alone: it is all peers");
			else if (strcmp(word, "*") != 0 && !is_peer_name(conf, word))
				conf_fail_at(walk, reading->service_allow_line[i], header, "allow", word,
					     "no [peer %s] in this file; use peers' names, or * for all of them", word);
		}
	}
}

/* Without a server a peer has an address, with one an address has no use */
static void check_serverless(struct conf_walk *walk, const struct reading *reading)
{
	const struct conf_node *conf = reading->conf;
	char header[LIMIT_NAME + 16];
	unsigned int i, met = 0;

	for (i = 0; i < conf->peer_count; i++) {
		const struct conf_peer *peer = &conf->peers[i];

		snprintf(header, sizeof(header), "[peer %s]", peer->name);
		met += reading->peer_address_line[i] != 0;
		if (peer->address[0] && !conf->serverless)
			conf_fail_at(walk, reading->peer_address_line[i], header, "address", peer->address,
				     "used only with rendezvous = none in [node]; a rendezvous finds the address by "
				     "itself");
		if (conf->serverless && peer->route == CONF_ROUTE_RELAY)
			conf_fail_at(walk, peer->line, header, "route", "relay",
				     "there is no relay with rendezvous = none in [node]");
	}
	if (conf->serverless && !met)
		conf_fail_at(walk, 0, "[node]", "rendezvous", "none",
			     "no [peer] has an address, so nobody could be met; write its public one: address = HOST");
}

static void check_node(struct conf_walk *walk, const struct reading *reading)
{
	struct conf_node *conf = reading->conf;

	if (!walk->seen_section[0]) {
		conf_fail_at(walk, 0, "[node]", NULL, NULL, "missing; it needs key and rendezvous");
	} else if (!conf->key[0]) {
		conf_fail_at(walk, 0, "[node]", "key", NULL,
			     "missing; make one with \"punchctl keygen FILE\" and name the file here");
	} else if (!conf->rendezvous[0]) {
		conf_fail_at(walk, 0, "[node]", "rendezvous", NULL, "missing; write HOST or HOST:PORT of the server");
	} else {
		check_serverless(walk, reading);
	}
	if (!conf->name[0]) {
		/* only for logs: the host's own name will do */
		if (gethostname(conf->name, sizeof(conf->name) - 1) < 0)
			conf->name[0] = '\0';
		conf->name[sizeof(conf->name) - 1] = '\0';
		conf->name[strcspn(conf->name, ".")] = '\0';
	}
}

void conf_check(struct conf_walk *walk, const struct reading *reading)
{
	const struct conf_node *conf = reading->conf;

	check_node(walk, reading);
	check_names(walk, reading);
	check_peers(walk, conf);
	check_services(walk, reading);
}
