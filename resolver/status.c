/* SPDX-License-Identifier: MIT */
/*
 * status.c - punchctl status
 *
 * One tree (json-c) is made of what the parts know; the text for people is
 * printed from the same tree, so that both say the same.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/standin.h"
#include "resolver/connections_internal.h"
#include "resolver/life.h"
#include "resolver/names.h"
#include "resolver/peers.h"
#include "resolver/serverless.h"
#include "resolver/services_internal.h"
#include "resolver/session.h"
#include "resolver/status.h"
#include "resolver/uplink.h"

#define STATUS_PEERS	1024	/* shown at most: in quick mode each one's key is derived, 0.1 ms */

static void add_text(struct json_object *to, const char *name, const char *text)
{
	json_object_object_add(to, name, json_object_new_string(text));
}

static void add_number(struct json_object *to, const char *name, uint64_t number)
{
	json_object_object_add(to, name, json_object_new_int64((int64_t)number));
}

/* Milliseconds with a tenth: "12.3", not the double's 17 digits */
static void add_ms(struct json_object *to, const char *name, uint64_t us)
{
	char text[32];

	snprintf(text, sizeof(text), "%.1f", (double)us / (double)MS);
	json_object_object_add(to, name, json_object_new_double_s((double)us / (double)MS, text));
}

static void add_endpoint(struct json_object *to, const char *name, const struct endpoint *ep)
{
	char text[ENDPOINT_TEXT_SIZE];

	add_text(to, name, endpoint_format(ep, text));
}

/* ------------------------------------------------------------ the tree */

static struct json_object *list_rendezvous(const struct node *node)
{
	struct json_object *list = json_object_new_array();
	unsigned int i;

	for (i = 0; i < node->uplink_count; i++) {
		struct json_object *item = json_object_new_object();
		const struct uplink *uplink = node->uplinks[i];

		add_text(item, "name", uplink_name(uplink));
		add_text(item, "state", uplink_state_name(uplink_state(uplink)));
		add_text(item, "problem", uplink_problem(uplink));
		add_ms(item, "rtt_ms", uplink_rtt_us(uplink));
		json_object_array_add(list, item);
	}
	return list;
}

static struct json_object *list_services(const struct node *node)
{
	struct json_object *list = json_object_new_array();
	const struct service *service;
	unsigned int i;

	for (i = 0; (service = services_get(node, i)); i++) {
		struct json_object *item = json_object_new_object();

		add_text(item, "name", service->name);
		add_number(item, "port", service->port);
		add_endpoint(item, "listener", &service->listener);
		add_number(item, "uid", service->uid);
		json_object_object_add(item, "alive", json_object_new_boolean(service_alive(service)));
		json_object_array_add(list, item);
	}
	return list;
}

static void add_peer(struct json_object *list, const char *name, const char *key, uint32_t slot)
{
	struct json_object *item = json_object_new_object();
	char text[ENDPOINT_TEXT_SIZE];
	struct endpoint standin;

	standin_endpoint(&standin, AF_INET, slot, 0);
	add_text(item, "name", name);
	add_text(item, "key", key);
	add_text(item, "address", endpoint_format_address(&standin, text));
	json_object_array_add(list, item);
}

static struct json_object *list_peers(struct node *node)
{
	struct json_object *list = json_object_new_array();
	const struct endpoint none = { 0 };
	char key[KEY_TEXT_SIZE];
	const char *name;
	struct peer peer;
	uint32_t slot;
	unsigned int i;

	for (i = 0; !node->quick_mode && i < node->conf.peer_count; i++)
		add_peer(list, node->conf.peers[i].name, node->conf.peers[i].key,
			 names_find(node->names, node->conf.peers[i].name));
	for (i = 0; node->quick_mode && i < STATUS_PEERS && names_get(node->names, i, &name, &slot); i++) {
		key[0] = '\0';
		if (peer_find(node, name, &none, &peer) == 0)	/* a nameless guest has no key of its own */
			key_text(peer.key, key);
		add_peer(list, name, key, slot);
	}
	return list;
}

static struct json_object *list_connections(struct node *node)
{
	struct json_object *list = json_object_new_array();
	const struct connection *c;
	unsigned int i;

	connections_refresh(node);
	i = connections_count(node) > CONNECTIONS_SHOWN ? connections_count(node) - CONNECTIONS_SHOWN : 0;
	for (; (c = connections_get(node, i)); i++) {
		struct json_object *item = json_object_new_object();

		add_text(item, "peer", c->peer);
		add_number(item, "port", c->port);
		add_text(item, "direction", c->incoming ? "in" : "out");
		json_object_object_add(item, "open", json_object_new_boolean(!c->closed));
		add_text(item, "path", connection_path_name(c->path));
		add_text(item, "encrypted", encrypt_cover_name(c->track.cover));
		add_endpoint(item, "remote", &c->track.path.remote);
		add_endpoint(item, "local", &c->track.path.local);
		add_ms(item, "setup_ms", c->setup_us);
		add_number(item, "bytes_in", c->bytes_in);
		add_number(item, "bytes_out", c->bytes_out);
		add_number(item, "age_s", (clock_now() - c->since) / SECOND);
		json_object_array_add(list, item);
	}
	return list;
}

static void add_meeting(struct json_object *list, const struct meeting_view *view, bool incoming)
{
	struct json_object *item = json_object_new_object();

	add_text(item, "peer", view->peer);
	add_number(item, "port", view->port);
	add_text(item, "direction", incoming ? "in" : "out");
	add_text(item, "state", view->state);
	add_endpoint(item, "remote", &view->remote);
	add_number(item, "local_port", view->local);
	add_number(item, "age_s", (clock_now() - view->since) / SECOND);
	json_object_array_add(list, item);
}

/* Without a server: where peers are awaited, and where we are on our way to them */
static struct json_object *list_meetings(const struct node *node)
{
	struct json_object *list = json_object_new_array();
	struct meeting_view view;
	unsigned int i;

	for (i = 0; node->serverless && serverless_view(node->serverless, i, &view); i++)
		add_meeting(list, &view, true);
	for (i = 0; node->sessions && sessions_meeting(node->sessions, i, &view); i++)
		add_meeting(list, &view, false);
	return list;
}

static struct json_object *draw(struct node *node)
{
	struct json_object *root = json_object_new_object();
	char key[KEY_TEXT_SIZE];

	add_text(root, "node", node->conf.name);
	add_text(root, "public_key", key_text(node->key.public, key));
	json_object_object_add(root, "quick", json_object_new_boolean(node->quick_mode));
	add_text(root, "configuration", node->config.path);
	if (*life_complaint(node->life))
		add_text(root, "configuration_error", life_complaint(node->life));
	add_number(root, "pid", (uint64_t)getpid());
	add_number(root, "keeper_pid", (uint64_t)life_keeper_pid(node->life));
	add_number(root, "uptime_s", (clock_now() - node->started) / SECOND);
	add_number(root, "sessions", node->sessions ? sessions_count(node->sessions) : 0);
	json_object_object_add(root, "rendezvous", list_rendezvous(node));
	json_object_object_add(root, "services", list_services(node));
	json_object_object_add(root, "peers", list_peers(node));
	json_object_object_add(root, "meetings", list_meetings(node));
	json_object_object_add(root, "connections", list_connections(node));
	return root;
}

/* ------------------------------------------------------------ for people */

static const char *text_of(struct json_object *of, const char *name)
{
	return json_object_get_string(json_object_object_get(of, name));
}

static long long number_of(struct json_object *of, const char *name)
{
	return (long long)json_object_get_int64(json_object_object_get(of, name));
}

static void print_rendezvous(FILE *out, struct json_object *item)
{
	const char *problem = text_of(item, "problem");
	bool ready = strcmp(text_of(item, "state"), "ready") == 0;

	fprintf(out, "rendezvous %s: %s", text_of(item, "name"), text_of(item, "state"));
	if (ready)
		fprintf(out, ", round trip %s ms", text_of(item, "rtt_ms"));
	else if (*problem)
		fprintf(out, ": %s", problem);
	fputc('\n', out);
}

static void print_service(FILE *out, struct json_object *item)
{
	fprintf(out, "service %s: port %lld, listener %s%s\n", text_of(item, "name"), number_of(item, "port"),
		text_of(item, "listener"),
		json_object_get_boolean(json_object_object_get(item, "alive")) ? "" : ", gone");
}

static void print_peer(FILE *out, struct json_object *item)
{
	fprintf(out, "peer %s: %s  %s\n", text_of(item, "name"), text_of(item, "address"), text_of(item, "key"));
}

static void print_connection(FILE *out, struct json_object *item)
{
	bool incoming = strcmp(text_of(item, "direction"), "in") == 0;

	fprintf(out, "%s %s port %lld%s: %s path, %s, %s, set up in %s ms, %lld bytes in, %lld out, %lld s\n",
		incoming ? "from" : "to", text_of(item, "peer"), number_of(item, "port"),
		json_object_get_boolean(json_object_object_get(item, "open")) ? "" : " (closed)", text_of(item, "path"),
		text_of(item, "encrypted"), text_of(item, "remote"), text_of(item, "setup_ms"),
		number_of(item, "bytes_in"), number_of(item, "bytes_out"), number_of(item, "age_s"));
}

static void print_meeting(FILE *out, struct json_object *item)
{
	bool incoming = strcmp(text_of(item, "direction"), "in") == 0;

	fprintf(out, "meeting %s %s port %lld: %s, from our port %lld to %s, %lld s\n", incoming ? "from" : "to",
		text_of(item, "peer"), number_of(item, "port"), text_of(item, "state"), number_of(item, "local_port"),
		text_of(item, "remote"), number_of(item, "age_s"));
}

static void print_list(FILE *out, struct json_object *root, const char *name,
		       void (*print)(FILE *out, struct json_object *item))
{
	struct json_object *list = json_object_object_get(root, name);
	size_t i;

	for (i = 0; i < json_object_array_length(list); i++)
		print(out, json_object_array_get_idx(list, i));
}

static void print_head(FILE *out, const struct node *node, struct json_object *root)
{
	const char *name = text_of(root, "node");

	fprintf(out, "node %s  %s\n", *name ? name : "without a name", text_of(root, "public_key"));
	fprintf(out, "%s, process %lld%s, up %lld s\n",
		node->quick_mode ? "quick mode" : text_of(root, "configuration"), number_of(root, "pid"),
		number_of(root, "keeper_pid") ? " (kept)" : "", number_of(root, "uptime_s"));
	if (*life_complaint(node->life))
		fprintf(out, "not in force, for an error: %s\n", life_complaint(node->life));
}

static char *print(const struct node *node, struct json_object *root)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	print_head(out, node, root);
	print_list(out, root, "rendezvous", print_rendezvous);
	print_list(out, root, "services", print_service);
	print_list(out, root, "peers", print_peer);
	print_list(out, root, "meetings", print_meeting);
	print_list(out, root, "connections", print_connection);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

char *status_text(struct node *node, bool as_json)
{
	struct json_object *root = draw(node);
	char *text = NULL;

	if (as_json && asprintf(&text, "%s\n", json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
									       JSON_C_TO_STRING_NOSLASHESCAPE)) < 0)
		text = NULL;
	if (!as_json)
		text = print(node, root);
	json_object_put(root);
	return text;
}
