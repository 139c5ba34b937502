/* SPDX-License-Identifier: MIT */
/*
 * client.c - one TLS connection of a node: handshake, silence, leaving; its messages are in client_messages.c
 *
 *	HANDSHAKE --TLS done, key proved--> HELLO --good Hello--> ACTIVE
 *	HELLO, ACTIVE --refused, misbehaved, replaced--> LEAVING
 *	any --end, error, time over--> GONE
 *
 * LEAVING sends what is queued (the Failed that says why), then our end of TLS and of TCP, and throws away
 * what still comes until the node has closed too: closing with unread bytes would
 * send RST, and RST can overtake what was sent.
 */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>

#include "common/clock.h"
#include "common/frame.h"
#include "common/log.h"
#include "common/places.h"
#include "common/rtt.h"
#include "common/tls.h"
#include "rendezvous/client_internal.h"

static const char *const client_state_names[] = { "handshake", "hello", "active", "leaving", "gone" };
static_assert(sizeof(client_state_names) / sizeof(client_state_names[0]) == CLIENT_STATE_COUNT,
	      "one name a state");

struct client_stats client_stats;
static LIST_HEAD(, client) clients = LIST_HEAD_INITIALIZER(clients);
static struct places *strangers;

static void client_set_state(struct client *client, enum client_state state)
{
	static const bool edges[CLIENT_STATE_COUNT][CLIENT_STATE_COUNT] = {
		[CLIENT_HANDSHAKE] = {
			[CLIENT_HELLO] = true, [CLIENT_GONE] = true,
		},
		[CLIENT_HELLO] = {
			[CLIENT_ACTIVE] = true, [CLIENT_LEAVING] = true, [CLIENT_GONE] = true,
		},
		[CLIENT_ACTIVE] = { [CLIENT_LEAVING] = true, [CLIENT_GONE] = true },
		[CLIENT_LEAVING] = { [CLIENT_GONE] = true },
	};

	assert(edges[client->state][state]);
	if (log_enabled(LOG_LEVEL_DEBUG))
		log_debug("%s: %s -> %s", client_describe(client), client_state_names[client->state],
			  client_state_names[state]);
	client->state = state;
	/* LEAVING before its Hello it still counts */
	if (state == CLIENT_ACTIVE || state == CLIENT_GONE)
		places_leave(&client->place);
	client_stats.strangers = places_taken(strangers);
}

static void on_crowded_queues(struct queue *queue)
{
	client_stats.overflowed++;
	client_abort((struct client *)(void *)((char *)queue - offsetof(struct client, queue)));
}

int clients_open(struct event_base *base, unsigned int descriptors)
{
	const unsigned int most = places_fit(RDV_STRANGERS, descriptors, RDV_STRANGERS_FIT);
	const size_t fit = (size_t)descriptors * RDV_QUEUES_FIT;

	strangers = places_new(most, places_fit(RDV_STRANGERS_SHARE, most, STRANGERS_SHARE_FIT), RDV_STRANGER_TIME);
	return strangers ? queues_open(base, fit < RDV_QUEUES ? fit : RDV_QUEUES, on_crowded_queues) : -ENOMEM;
}

void clients_close(void)
{
	queues_close();
	places_free(strangers);
	strangers = NULL;
}

void client_arm(struct client *client, uint64_t us)
{
	const struct timeval in = { .tv_sec = (time_t)(us / SECOND), .tv_usec = (suseconds_t)(us % SECOND) };

	evtimer_add(client->timer, &in);
}

void client_abort(struct client *client)
{
	client_set_state(client, CLIENT_GONE);
	client->ops->gone(client);
	client_stats.now--;
	LIST_REMOVE(client, all);
	event_free(client->timer);
	queue_close(&client->queue);
	bufferevent_free(client->bev);	/* closes, frees the SSL */
	free(client);
}

void clients_each(void (*fn)(struct client *client, void *arg), void *arg)
{
	struct client *client, *next;

	for (client = LIST_FIRST(&clients); client; client = next) {
		next = LIST_NEXT(client, all);
		fn(client, arg);
	}
}

/* ---------------------------------------------------------------- leaving */

static void client_hang_up(struct client *client)
{
	if (client->hung_up)
		return;
	client->hung_up = true;
	SSL_shutdown(client->ssl);
	ERR_clear_error();
	shutdown(bufferevent_getfd(client->bev), SHUT_WR);
}

void client_close(struct client *client)
{
	struct evbuffer *input = bufferevent_get_input(client->bev);

	if (client->state >= CLIENT_LEAVING)
		return;
	client_set_state(client, CLIENT_LEAVING);
	client_arm(client, RDV_LEAVE_TIME);
	client->held = false;
	evbuffer_drain(input, evbuffer_get_length(input));
	bufferevent_enable(client->bev, EV_READ);
	/* on_written() hangs up when the queue is empty, maybe now */
	bufferevent_trigger(client->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS | BEV_TRIG_IGNORE_WATERMARKS);
}

void client_fail(struct client *client, Punch__FailReason reason, const char *format, ...)
{
	Punch__Message message = PUNCH__MESSAGE__INIT;
	static struct log_limit limit;
	Punch__Failed failed;
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (log_enabled(LOG_LEVEL_INFO) && log_limited(&limit))
		log_info("%s: refused: %s", client_describe(client), text);
	punch__failed__init(&failed);
	failed.reason = reason;
	failed.text = text;
	message.kind_case = PUNCH__MESSAGE__KIND_FAILED;
	message.failed = &failed;
	client_send(client, &message);
	client_close(client);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct client *client = arg;
	struct evbuffer *input = bufferevent_get_input(bev);

	client_go_on(client);
	if (client->state >= CLIENT_LEAVING)
		evbuffer_drain(input, evbuffer_get_length(input));
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct client *client = arg;

	if (client->state == CLIENT_LEAVING && !evbuffer_get_length(bufferevent_get_output(bev)))
		client_hang_up(client);
	else if (client->held)
		client_go_on(client);
}

/* ---------------------------------------------------------------- the connection */

static void on_handshake(struct client *client)
{
	static struct log_limit limit;

	if (tls_peer(client->ssl, client->key)) {
		client_stats.handshake_failed++;
		if (log_limited(&limit))
			log_info("%s: no proof of a key", client_describe(client));
		client_abort(client);
		return;
	}
	client->has_key = true;
	client_set_state(client, CLIENT_HELLO);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct client *client = arg;
	static struct log_limit limit;
	unsigned long code;

	if (what & BEV_EVENT_CONNECTED) {
		on_handshake(client);
		return;
	}
	code = bufferevent_get_openssl_error(bev);
	if (client->state == CLIENT_HANDSHAKE) {
		client_stats.handshake_failed++;
		if (log_enabled(LOG_LEVEL_INFO) && log_limited(&limit))
			log_info("%s: TLS handshake failed: %s", client_describe(client),
				 code ? ERR_reason_error_string(code) : "connection closed");
	}
	client_abort(client);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;
	uint64_t silent = clock_now() - client->heard;
	static struct log_limit limit;

	(void)fd;
	(void)what;
	if (client->overflowed) {
		client_stats.overflowed++;
		if (log_limited(&limit))
			log_info("%s: does not read what it is sent", client_describe(client));
	} else if (client->state < CLIENT_ACTIVE) {
		client_stats.slow++;
	} else if (client->state == CLIENT_ACTIVE && client->waits) {
		client->waits = false;
		client_arm(client, silent < RDV_SILENCE_TIME ? RDV_SILENCE_TIME - silent : RDV_MESSAGE_WAIT);
		client_go_on(client);
		return;
	} else if (client->state == CLIENT_ACTIVE && silent < RDV_SILENCE_TIME) {
		client_arm(client, RDV_SILENCE_TIME - silent);
		return;
	} else if (client->state == CLIENT_ACTIVE) {
		client_stats.silent++;
		if (log_limited(&limit))
			log_info("%s: silent for %u s", client_describe(client),
				 (unsigned int)(RDV_SILENCE_TIME / SECOND));
	}
	client_abort(client);
}

static void set_options(int fd)
{
	const struct { int level, name, value; } options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, RDV_USER_TIMEOUT_MS },
		{ SOL_SOCKET, SO_SNDBUF, RDV_SOCKET },
		{ SOL_SOCKET, SO_RCVBUF, RDV_SOCKET },
	};

	/* Each of them is an improvement, none a condition */
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			   sizeof(options[i].value));
}

/* Return: false when there is no place for it; otherwise another one may have lost his to it */
static bool client_place(struct client *client)
{
	struct place *loser;
	int err = places_take(strangers, &client->place, &client->from, clock_now(), &loser);

	if (loser) {
		client_stats.crowded++;
		client_abort((struct client *)(void *)((char *)loser - offsetof(struct client, place)));
	}
	client_stats.strangers = places_taken(strangers);
	return !err;
}

struct client *client_new(struct event_base *base, SSL_CTX *tls, int fd,
			  const struct endpoint *from, const struct client_ops *ops)
{
	struct client *client = calloc(1, sizeof(*client));
	SSL *ssl = NULL;

	if (!client)
		goto failed;
	client->from = *from;
	if (!client_place(client))
		goto failed;
	ssl = SSL_new(tls);
	if (!ssl)
		goto failed;
	client->timer = evtimer_new(base, on_timer, client);
	if (!client->timer)
		goto failed;
	set_options(fd);
	client->bev = bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
						     BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!client->bev)
		goto failed;
	client->ssl = ssl;
	if (queue_open(&client->queue, client->bev))
		goto failed;
	client->ops = ops;
	client->heard = clock_now();
	/* Most nodes close without close_notify when they die: that is an end, no error */
	bufferevent_openssl_set_allow_dirty_shutdown(client->bev, 1);
	bufferevent_setcb(client->bev, on_read, on_written, on_event, client);
	bufferevent_setwatermark(client->bev, EV_READ, 0, FRAME_HEADER + LIMIT_FRAME);
	bufferevent_setwatermark(client->bev, EV_WRITE, RDV_QUEUE, 0);	/* whenever some of it has gone */
	bufferevent_enable(client->bev, EV_READ | EV_WRITE);
	client_arm(client, RDV_HELLO_TIME);
	client_stats.accepted++;
	client_stats.now++;
	LIST_INSERT_HEAD(&clients, client, all);
	return client;
failed:
	if (client) {
		places_leave(&client->place);
		client_stats.strangers = places_taken(strangers);
		if (client->timer)
			event_free(client->timer);
	}
	if (client && client->bev) {
		bufferevent_free(client->bev);
	} else {
		SSL_free(ssl);
		close(fd);
	}
	free(client);
	return NULL;
}

void client_activate(struct client *client)
{
	client_set_state(client, CLIENT_ACTIVE);
	client_arm(client, RDV_SILENCE_TIME);
}

bool client_is_active(const struct client *client)
{
	return client->state == CLIENT_ACTIVE;
}

/* ---------------------------------------------------------------- what is known of it */

const uint8_t *client_key(const struct client *client)
{
	return client->key;
}

const struct endpoint *client_from(const struct client *client)
{
	return &client->from;
}

int client_local(const struct client *client, struct endpoint *local)
{
	return endpoint_local(bufferevent_getfd(client->bev), local);
}

uint32_t client_rtt_us(const struct client *client)
{
	return rtt_us(bufferevent_getfd(client->bev));
}

const char *client_describe(const struct client *client)
{
	static char texts[4][ENDPOINT_TEXT_SIZE + 32];
	static unsigned int next;
	char *text = texts[next++ % 4], address[ENDPOINT_TEXT_SIZE];

	endpoint_format(&client->from, address);
	if (client->has_key)
		snprintf(text, sizeof(texts[0]), "%s key %02x%02x%02x%02x", address, client->key[0],
			 client->key[1], client->key[2], client->key[3]);
	else
		snprintf(text, sizeof(texts[0]), "%s", address);
	return text;
}

void client_set_data(struct client *client, void *data)
{
	client->data = data;
}

void *client_data(const struct client *client)
{
	return client->data;
}
