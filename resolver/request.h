/* SPDX-License-Identifier: MIT */
/*
 * request.h - one request of a program or of punchctl, from its arrival to its last byte
 */
#ifndef PUNCH_REQUEST_H
#define PUNCH_REQUEST_H

#include <sys/queue.h>
#include <event2/buffer.h>
#include <event2/event.h>

#include "common/local.h"
#include "resolver/node.h"
#include "resolver/proof.h"
#include "resolver/session.h"

enum request_state {
	REQUEST_READING,	/* connected; the request has not come yet */
	REQUEST_WAITING,	/* being worked on, or its text still comes */
	REQUEST_FLUSHING,	/* all said; some text waits for the reader */
	REQUEST_OVER,		/* freed by the next turn of the loop */
	REQUEST_STATE_COUNT
};

/**
 * struct request
 * @kind, @as_json: as in struct local_request
 * @own:	the client runs under our own uid
 * @trusted:	own, or it sent our token
 * @proof:	of the descriptor that came, or, of another user, was shown to the porter
 * @text:	not yet sent; NULL until there is any
 * @session:	of DIAL and PING: cancelled when the client goes away
 * @timer:	of LISTEN (publish.c): when to look again; NULL: it does not wait
 * @detached:	somebody will still call back with this request, so it is kept when the client leaves
 */
struct request {
	TAILQ_ENTRY(request) link;
	struct node *node;
	enum request_state state;
	int fd;
	bool own, trusted;
	uint32_t kind;
	uint32_t as_json;
	struct proof proof;
	struct event *readable, *writable, *end;
	struct evbuffer *text;
	struct session *session;
	struct event *timer;
	struct peer peer;		/* DIAL, PARK, PING */
	uint16_t port;
	bool detached;
};

/**
 * request_receive() - of our own user, or of another by his porter; its texts end within it, and @rq->proof is set
 * @pass:	descriptor that came, or -1; the caller owns it
 * Return: as local_recv(), for the request alone
 */
ssize_t request_receive(struct request *rq, struct local_request *in, int *pass);

/** request_handle() - start to work on what came. @pass: its descriptor or -1, owned from here on */
void request_handle(struct request *rq, const struct local_request *in, int pass);

/** reply_init() - an empty reply for this client */
void reply_init(const struct request *rq, struct local_reply *reply, enum local_status status);

/** request_reply() - send the reply. @pass: descriptor, stays the caller's, or -1. Return: 0 or -errno */
int request_reply(struct request *rq, const struct local_reply *reply, int pass);

/** request_text() - add to the text that follows the reply; sent as the reader takes it */
void request_text(struct request *rq, const char *text);
void request_printf(struct request *rq, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** request_end() - close when all text is sent; @rq is not to be used any more */
void request_end(struct request *rq);

/** request_stopped() - answer a LOCAL_STOP: the name is free */
void request_stopped(struct request *rq);

/** request_ping() - LOCAL_PING (ping.c); @rq->peer and @rq->port are set */
void request_ping(struct request *rq, const struct local_request *in);

#endif
