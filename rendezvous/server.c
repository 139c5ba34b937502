/* SPDX-License-Identifier: MIT */
/*
 * server.c - the rendezvous as a whole: listeners, nodes, broker, store
 *
 * Everything here reacts: a message of a node or of another server is checked for form and handed to the
 * broker, whose answers leave by outbox.c; after each of them the timer is set to the broker's next deadline.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/accept.h"
#include "common/log.h"
#include "common/printable.h"
#include "common/places.h"
#include "common/secret.h"
#include "common/sources.h"
#include "common/tls.h"
#include "rendezvous/allowed.h"
#include "rendezvous/broker.h"
#include "rendezvous/client.h"
#include "rendezvous/embedded.h"
#include "rendezvous/forward.h"
#include "rendezvous/inbox.h"
#include "rendezvous/listeners.h"
#include "rendezvous/metrics.h"
#include "rendezvous/outbox.h"
#include "rendezvous/probe.h"
#include "rendezvous/report.h"
#include "rendezvous/server.h"
#include "rendezvous/store.h"
#include "rendezvous/tickets.h"

/* What an address spends, beside its connections */
enum { PURSE_INVITATIONS, PURSE_MESSAGES };

#define SOFTWARE 40	/* bytes of Hello.software in a line of the log */

static struct {
	struct event_base *base;
	struct conf_rendezvous *conf;
	SSL_CTX *tls;
	struct listeners *listeners;
	struct sources *sources;
	struct broker *broker;
	struct event *timer;		/* the broker's next deadline */
	struct outbox outbox;
	uint64_t started;
	uint64_t refused;		/* connections over a limit, closed without a word */
} server;

static void server_run(void)
{
	uint64_t now = clock_now(), next = broker_run(server.broker, now), in;
	struct timeval tv;

	if (next == NEVER) {
		evtimer_del(server.timer);
		return;
	}
	in = next > now ? next - now : 0;
	tv = (struct timeval){ .tv_sec = (time_t)(in / SECOND), .tv_usec = (suseconds_t)(in % SECOND) };
	evtimer_add(server.timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	server_run();
}

/* ---------------------------------------------------------------- messages of nodes */

static void malformed(struct client *client, const char *what)
{
	client_stats.malformed++;
	client_fail(client, PUNCH__FAIL_REASON__FAIL_MALFORMED, "%s", what);
}

static void welcome(struct client *client)
{
	outbox_welcome(client, server.conf->probe, server.conf->probe_count);
}

/* Nodes that come and go are strangers' doing */
static bool may_log(void)
{
	static struct log_limit limit;

	return log_enabled(LOG_LEVEL_DEBUG) || (log_enabled(LOG_LEVEL_INFO) && log_limited(&limit));
}

/* A node's word on itself, for a line of the log */
static const char *its_word(const char *text, char out[SOFTWARE])
{
	snprintf(out, SOFTWARE, "%s", text);
	printable(out, strlen(out));
	return out;
}

/* A node that begins or ceases to serve says so on its connection */
static void on_hello_again(struct client *client, const Punch__Hello *hello)
{
	if (broker_receive(server.broker, client_data(client), hello->receive, clock_now())) {
		client_close(client);
		return;
	}
	if (may_log())
		log_info("%s: %s", client_describe(client),
			 hello->receive ? "receives now" : "only dials now");
	welcome(client);
}

static void on_hello(struct client *client, const Punch__Hello *hello)
{
	uint64_t now = clock_now();
	char text[KEY_TEXT_SIZE], software[SOFTWARE];
	struct broker_node *node;

	if (hello->version != PROTOCOL_VERSION) {
		client_fail(client, PUNCH__FAIL_REASON__FAIL_VERSION,
			    "this server speaks version %u of the protocol, the node %" PRIu32,
			    PROTOCOL_VERSION, hello->version);
		return;
	}
	if (!allowed_has(client_key(client))) {
		client_fail(client, PUNCH__FAIL_REASON__FAIL_NOT_ALLOWED,
			    "this server does not serve the key %s; its owner has to add it",
			    key_text(client_key(client), text));
		return;
	}
	if (broker_join(server.broker, client, client_key(client), client_from(client), hello->receive, now, &node)) {
		client_close(client);
		return;
	}
	client_set_data(client, node);
	client_activate(client);
	if (may_log())
		log_info("%s: online (%s)%s", client_describe(client), its_word(hello->software, software),
			 hello->receive ? "" : ", only dials");
	welcome(client);
}

static void on_invite(struct client *client, const Punch__Invite *invite)
{
	static const struct rate rate = RDV_SOURCE_INVITE_RATE;
	struct broker_payload payload = payload_from(invite->payload);

	if (invite->session.len != SESSION_SIZE)
		malformed(client, "Invite.session: want 16 bytes");
	else if (invite->to.len != KEY_SIZE)
		malformed(client, "Invite.to: want a key of 32 bytes");
	else if (!payload_is_sound(invite->payload))
		malformed(client, "Invite.payload: want a body of 1 to 4096 bytes and a signature of 64");
	else if (!sources_spend(server.sources, client_from(client), PURSE_INVITATIONS, &rate, clock_now()))
		broker_refuse(server.broker, client_data(client), invite->session.data,
			      "too many invitations a second from this address");
	else
		broker_invite(server.broker, client_data(client), invite->session.data,
			      invite->to.data, &payload, clock_now());
}

static void on_reply(struct client *client, const Punch__Reply *reply)
{
	struct broker_payload payload = payload_from(reply->payload);

	if (reply->session.len != SESSION_SIZE)
		malformed(client, "Reply.session: want 16 bytes");
	else if (payload.body_size && !payload_is_sound(reply->payload))
		malformed(client, "Reply.payload: want no body, or one of up to 4096 bytes and a signature of 64");
	else
		broker_reply(server.broker, client_data(client), reply->session.data, &payload,
			     clock_now());
}

static bool may_say(const struct client *client)
{
	static const struct rate rate = RDV_SOURCE_MESSAGE_RATE;

	return sources_spend(server.sources, client_from(client), PURSE_MESSAGES, &rate, clock_now());
}

static void on_message(struct client *client, const Punch__Message *message)
{
	bool is_hello = message->kind_case == PUNCH__MESSAGE__KIND_HELLO;

	if (!is_hello && !client_is_active(client)) {
		malformed(client, "a message before Hello");
		return;
	}
	switch (message->kind_case) {
	case PUNCH__MESSAGE__KIND_HELLO:
		if (client_is_active(client))
			on_hello_again(client, message->hello);
		else
			on_hello(client, message->hello);
		break;
	case PUNCH__MESSAGE__KIND_PING:
		outbox_pong(client, message->ping->nonce);
		return;
	case PUNCH__MESSAGE__KIND_PONG:
		return;
	case PUNCH__MESSAGE__KIND_INVITE:
		on_invite(client, message->invite);
		break;
	case PUNCH__MESSAGE__KIND_REPLY:
		on_reply(client, message->reply);
		break;
	default:
		malformed(client, "a message that nodes do not send");
		return;
	}
	server_run();
}

static void on_gone(struct client *client)
{
	uint64_t now = clock_now();

	sources_release(server.sources, client_from(client), now);
	if (client_data(client)) {
		if (may_log())
			log_info("%s: offline", client_describe(client));
		broker_leave(server.broker, client_data(client), now);
		client_set_data(client, NULL);
		server_run();
	}
}

static void on_accepted(void *ctx, unsigned int index, int fd, const struct endpoint *from)
{
	static const struct client_ops ops = { .may = may_say, .message = on_message, .gone = on_gone };
	uint64_t now = clock_now();

	(void)ctx;
	(void)index;
	if (client_stats.now >= RDV_CONNECTIONS || sources_admit(server.sources, from, now)) {
		server.refused++;
		close(fd);
	} else if (!client_new(server.base, server.tls, fd, from, &ops)) {
		server.refused++;
		sources_release(server.sources, from, now);
	}
}

/* ---------------------------------------------------------------- messages of other servers */

static void on_received(void *ctx, const uint8_t *data, size_t size)
{
	(void)ctx;
	inbox_forward(server.broker, server.outbox.store, data, size);
	server_run();
}

static void on_found(void *ctx, const struct broker_call *call, const char *where, int err)
{
	(void)ctx;
	broker_found(server.broker, call, where, err, clock_now());
	server_run();
}

static void on_store_up(void *ctx)
{
	(void)ctx;
	broker_store_up(server.broker, clock_now());
}

static void on_undelivered(void *ctx, const struct broker_call *call)
{
	(void)ctx;
	broker_undelivered(server.broker, call);
	server_run();
}

static void on_lost(void *ctx, const uint8_t key[KEY_SIZE], const char *where)
{
	(void)ctx;
	broker_lost(server.broker, key, where, clock_now());
	server_run();
}

/* ---------------------------------------------------------------- opening */

static int open_store(void)
{
	static const struct store_events events = {
		.up = on_store_up, .found = on_found, .undelivered = on_undelivered, .received = on_received,
		.lost = on_lost,
	};
	uint8_t name[(RDV_SERVER_ID - 1) / 2];
	char why[512];

	secret_random(name, sizeof(name));
	for (size_t i = 0; i < sizeof(name); i++)
		sprintf(server.outbox.self + 2 * i, "%02x", name[i]);
	if (!strcmp(server.conf->store, "memory"))
		server.outbox.store = store_memory_open();
	else
		server.outbox.store = store_redis_open(server.base, server.conf->store,
						       server.outbox.self, &events, NULL, why,
						       sizeof(why));
	if (server.outbox.store)
		return 0;
	log_error("%s", why);
	return -EINVAL;
}

/*
 * Hosts without IPv6 are common: [::] beside another address is a wish, not a demand.
 * Return: 0 or -errno, told
 */
static int open_listeners(void)
{
	struct conf_rendezvous *conf = server.conf;
	unsigned int open = 0;
	char why[512];
	int err;

	for (unsigned int i = 0; i < conf->listen_count; i++) {
		err = listeners_add(server.listeners, &conf->listen[i], why, sizeof(why));
		if (err && (conf->listen[i].family != AF_INET6 || !endpoint_is_any(&conf->listen[i]) ||
			    conf->listen_count == 1 ||
			    (err != -EAFNOSUPPORT && err != -EADDRNOTAVAIL))) {
			log_error("%s", why);
			return err;
		}
		if (err) {
			log_info("%s", why);
			conf->listen[i].family = 0;
		}
		open += !err;
	}
	if (open)
		return 0;
	log_error("no address to listen on is left");
	return -EADDRNOTAVAIL;
}

/* Return: 0 or -errno, told */
static int open_relays(void)
{
	struct conf_rendezvous *conf = server.conf;
	uint8_t secret[RELAY_SECRET_SIZE] = { 0 };
	bool embedded = !strcmp(conf->relay, "embedded");
	char why[512];
	int err = 0;

	if (strcmp(conf->relay, "none"))
		err = ticket_secret_load(secret, conf->relay_secret, embedded, why, sizeof(why));
	if (!err) {
		err = tickets_open(conf->relay, secret);
		snprintf(why, sizeof(why), "relay = %.400s: want HOST:PORT words", conf->relay);
	}
	explicit_bzero(secret, sizeof(secret));
	if (err) {
		log_error("%s%s", why, err == -ENOENT ?
			  " (one secret for this server and its relays: openssl rand -base64 32)" : "");
		return err;
	}
	if (embedded)
		err = embedded_open(server.base, conf->listen, conf->listen_count,
				    conf->relay_secret, tickets_embedded);
	if (err)
		log_error("cannot run punch-relay, which should lie beside this program: %s",
			  strerror(-err));
	return err;
}

static void render(struct evbuffer *out, void *ctx)
{
	(void)ctx;
	report_clients(out, server.refused);
	report_broker(out, broker_stats(server.broker));
	report_probes(out);
	report_rest(out, (clock_now() - server.started) / SECOND,
		    server.outbox.store->ops->is_up(server.outbox.store));
}

static int open_metrics(void)
{
	char why[512];
	int err = 0;

	if (server.conf->metrics.family)
		err = metrics_open(server.base, &server.conf->metrics, render, NULL, why, sizeof(why));
	if (err)
		log_error("%s", why);
	return err;
}

static void check_allowed(struct client *client, void *arg)
{
	(void)arg;
	if (client_is_active(client) && !allowed_has(client_key(client)))
		client_fail(client, PUNCH__FAIL_REASON__FAIL_NOT_ALLOWED,
			    "this server does not serve your key any more");
}

static void on_allowed(void)
{
	clients_each(check_allowed, NULL);
}

int server_open(struct event_base *base, struct conf_rendezvous *conf, const struct key *key)
{
	static const struct rate rate = RDV_CONNECT_RATE;
	const unsigned int descriptors = accept_limit();
	int err;

	server.base = base;
	server.conf = conf;
	server.started = clock_now();
	err = allowed_open(base, conf->allow, on_allowed);
	if (!err)
		err = open_store();
	if (err)
		return err;
	server.tls = tls_context(key, true);
	server.broker = broker_new(&outbox_ops, &server.outbox, places_fit(RDV_NODES, descriptors, RDV_NODES_FIT),
				   server.started);
	server.sources = sources_new(RDV_SOURCES, RDV_PER_SOURCE, &rate);
	server.listeners = listeners_new(base, on_accepted, NULL);
	server.timer = evtimer_new(base, on_timer, NULL);
	if (clients_open(base, descriptors) || !server.tls || !server.broker || !server.sources || !server.listeners ||
	    !server.timer) {
		log_error("out of memory");
		return -ENOMEM;
	}
	err = open_listeners();
	if (!err)
		err = probes_open(base, conf->probe, conf->probe_count, descriptors);
	if (err >= 0)
		err = open_relays();
	return err ? err : open_metrics();
}

/* ---------------------------------------------------------------- closing */

static void end_client(struct client *client, void *arg)
{
	(void)arg;
	client_abort(client);
}

void server_close(void)
{
	metrics_close();
	embedded_close();
	listeners_free(server.listeners);
	clients_each(end_client, NULL);
	clients_close();
	probes_close();
	if (server.outbox.store)
		server.outbox.store->ops->close(server.outbox.store);
	broker_free(server.broker);
	sources_free(server.sources);
	allowed_close();
	tickets_close();
	if (server.timer)
		event_free(server.timer);
	SSL_CTX_free(server.tls);
}
