/* SPDX-License-Identifier: MIT */
/*
 * uplink_tls.c - messages over TLS 1.3 on a connected socket
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>

#include "common/frame.h"
#include "common/tls.h"
#include "resolver/uplink_tls.h"

/* Unacknowledged bytes end the connection after this; twice the wait for a Pong, which acts first */
#define USER_TIMEOUT_MS	20000u
/* Most bytes queued for a server that does not read: some 200 invitations */
#define OUTPUT_MOST	((size_t)256 * 1024)

struct uplink_tls {
	struct bufferevent *bev;
	const struct uplink_tls_events *events;
	void *arg;
	bool secure;
};

int uplink_tls_fd(const struct uplink_tls *tls)
{
	return bufferevent_getfd(tls->bev);
}

/*
 * Why did the connection end?  TLS's own error first, it says most.  An end without the close_notify that TLS
 * wants is an ordinary one here: frames have lengths, nothing can be cut off unseen.
 */
static void explain(struct bufferevent *bev, short what, bool secure, char *text, size_t size)
{
	int error = EVUTIL_SOCKET_ERROR();	/* of the call that has just failed */
	const char *reason = NULL;
	unsigned long code;
	bool closed = what & BEV_EVENT_EOF;

	/* libevent keeps SSL_get_error()'s small numbers among the codes; they have no text */
	while ((code = bufferevent_get_openssl_error(bev))) {
		if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
			closed = true;
		if (!reason)
			reason = ERR_reason_error_string(code);
	}
	if (closed || (!reason && !error))
		snprintf(text, size, "the server closed the connection%s",
			 secure ? "" : " during the TLS handshake: is it a punch rendezvous?");
	else if (reason)
		snprintf(text, size, "TLS: %s%s", reason,
			 secure ? "" : ": is it a punch rendezvous?");
	else
		snprintf(text, size, "connection lost: %s", strerror(error));
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct uplink_tls *tls = arg;
	uint8_t key[KEY_SIZE];
	char why[256];

	if (what & BEV_EVENT_CONNECTED) {
		tls->secure = true;
		if (tls_peer(bufferevent_openssl_get_ssl(bev), key))
			tls->events->closed(tls->arg, "TLS: the server showed no Ed25519 key: is it a punch "
						      "rendezvous?");
		else
			tls->events->secure(tls->arg, key);
		return;
	}
	explain(bev, what, tls->secure, why, sizeof(why));
	tls->events->closed(tls->arg, why);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct uplink_tls *tls = arg;
	struct evbuffer *input = bufferevent_get_input(bev);
	ProtobufCMessage *message;
	uint8_t head[FRAME_HEADER];
	const uint8_t *frame;
	ssize_t size;
	bool alive;

	for (;;) {
		size = frame_size(head, (size_t)evbuffer_copyout(input, head, sizeof(head)));
		if (!size || (size > 0 && evbuffer_get_length(input) < (size_t)size))
			return;
		frame = size > 0 ? evbuffer_pullup(input, size) : NULL;
		message = frame ? frame_unpack(&punch__message__descriptor, frame, (size_t)size) : NULL;
		if (!message) {
			tls->events->closed(tls->arg, "the server sent a malformed frame");
			return;
		}
		evbuffer_drain(input, (size_t)size);
		alive = tls->events->message(tls->arg, (const Punch__Message *)message);
		protobuf_c_message_free_unpacked(message, NULL);
		if (!alive)
			return;
	}
}

struct uplink_tls *uplink_tls_new(struct event_base *base, SSL_CTX *context, int fd,
				  const struct uplink_tls_events *events, void *arg)
{
	struct uplink_tls *tls = calloc(1, sizeof(*tls));
	SSL *ssl = tls ? SSL_new(context) : NULL;
	unsigned int user_timeout = USER_TIMEOUT_MS;
	int one = 1;

	if (ssl)	/* from here on SSL belongs to the bufferevent */
		tls->bev = bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_CONNECTING,
							  BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!tls || !tls->bev) {
		close(fd);
		free(tls);
		return NULL;
	}
	/* Small messages, each awaited by somebody; failures of these two only cost time */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof(user_timeout));
	tls->events = events;
	tls->arg = arg;
	bufferevent_setcb(tls->bev, on_read, NULL, on_event, tls);
	bufferevent_setwatermark(tls->bev, EV_READ, 0, FRAME_HEADER + LIMIT_FRAME);
	bufferevent_enable(tls->bev, EV_READ | EV_WRITE);
	return tls;
}

void uplink_tls_free(struct uplink_tls *tls)
{
	if (!tls)
		return;
	bufferevent_free(tls->bev);
	free(tls);
}

int uplink_tls_send(struct uplink_tls *tls, const Punch__Message *message)
{
	struct evbuffer *output = bufferevent_get_output(tls->bev);
	uint8_t *frame;
	ssize_t size;
	int error = 0;

	if (evbuffer_get_length(output) > OUTPUT_MOST)
		return -ENOMEM;
	size = frame_pack(&message->base, &frame);
	if (size < 0)
		return (int)size;
	if (evbuffer_add(output, frame, (size_t)size))
		error = -ENOMEM;
	free(frame);
	return error;
}
