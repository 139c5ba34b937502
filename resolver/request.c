/* SPDX-License-Identifier: MIT */
/*
 * request.c - what each kind of request means and who may make it
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "common/log.h"
#include "common/standin.h"
#include "resolver/connections.h"
#include "resolver/doctor.h"
#include "resolver/doorbell_internal.h"
#include "resolver/drain.h"
#include "resolver/ktls.h"
#include "resolver/life.h"
#include "resolver/local_internal.h"
#include "resolver/parked.h"
#include "resolver/porter.h"
#include "resolver/publish.h"
#include "resolver/reply.h"
#include "resolver/request.h"
#include "resolver/services_internal.h"
#include "resolver/status.h"

void reply_init(const struct request *rq, struct local_reply *reply, enum local_status status)
{
	memset(reply, 0, sizeof(*reply));
	reply->magic = LOCAL_MAGIC;
	reply->status = status;
	if (rq->own)
		memcpy(reply->token, rq->node->token, LOCAL_TOKEN);
}

static void answer(struct request *rq, const struct local_reply *reply, int pass)
{
	request_reply(rq, reply, pass);
	request_end(rq);
}

/* Before the answer: a program that closes its socket then must find it closed, and its port free */
static void let_go(int *pass)
{
	if (*pass >= 0)
		close(*pass);
	*pass = -1;
}

/* Texts of strangers end where their arrays do */
static void terminate(struct local_request *in)
{
	in->config.path[sizeof(in->config.path) - 1] = '\0';
	in->config.secret[sizeof(in->config.secret) - 1] = '\0';
	in->config.as[sizeof(in->config.as) - 1] = '\0';
	in->config.rendezvous[sizeof(in->config.rendezvous) - 1] = '\0';
	in->peer[sizeof(in->peer) - 1] = '\0';
}

ssize_t request_receive(struct request *rq, struct local_request *in, int *pass)
{
	struct porter_request handed;
	ssize_t n;

	if (rq->own) {
		n = local_recv(rq->fd, in, sizeof(*in), pass);
		if (local_is_request(in, n)) {
			proof_take(*pass, rq->fd, &rq->proof);
			terminate(in);
		}
		return n;
	}
	n = local_recv(rq->fd, &handed, sizeof(handed), pass);
	if (n != (ssize_t)sizeof(handed))
		return n < 0 ? n : 0;
	*in = handed.in;
	terminate(in);
	rq->proof = handed.proof;
	OPENSSL_cleanse(&handed, sizeof(handed));
	return (ssize_t)sizeof(*in);
}

/* ------------------------------------------------------------ names */

/* Name of a guest or a removed [peer], who can be shown but not called */
static int only_name(const struct request *rq, const struct local_request *in, struct peer *peer)
{
	uint32_t slot = in->peer[0] ? 0 : standin_slot(&in->target);
	const char *name = slot ? peer_name_of_slot(rq->node, slot) : NULL;

	if (!name)
		return -ENOENT;
	memset(peer, 0, sizeof(*peer));
	snprintf(peer->name, sizeof(peer->name), "%s", name);
	peer->slot = slot;
	return 0;
}

static void handle_name(struct request *rq, const struct local_request *in, int *pass)
{
	struct local_reply reply;
	struct peer peer;
	int rc;

	(void)pass;
	rc = peer_find(rq->node, in->peer, &in->target, &peer);
	if (rc == -ENOENT)
		rc = only_name(rq, in, &peer);
	if (rc == -EKEYREJECTED)
		rc = 0;		/* its name is ours all the same: it must not go to DNS */
	reply_init(rq, &reply, LOCAL_OK);
	if (rc == 0 && !peer.slot) {
		reply_fail(&reply, ENOSPC, "no stand-in address is left for \"%s\"", peer.name);
	} else if (rc < 0) {
		reply.status = LOCAL_NOT_OURS;
		reply.error = ENOENT;
	} else {
		reply.slot = peer.slot;
		snprintf(reply.peer, sizeof(reply.peer), "%s", peer.name);
	}
	answer(rq, &reply, -1);
}

/*
 * Whom DIAL, PARK and PING mean.  An address that is nobody's is not ours; a name
 * or a stand-in address that nobody has is a failure, for nothing else can reach it.
 * Return: true when @rq->peer is set, else @reply is complete
 */
static bool find_peer(struct request *rq, const struct local_request *in, struct local_reply *reply)
{
	const struct node *node = rq->node;
	char text[ENDPOINT_TEXT_SIZE];
	int rc = peer_find(rq->node, in->peer, &in->target, &rq->peer);

	if (rc == 0)
		return true;
	if (rc == -EKEYREJECTED) {
		reply_fail(reply, EACCES, "the key of [peer %s] in %s is not a public key (44 characters of base64)",
			   rq->peer.name, node->conf.path);
	} else if (!in->peer[0] && !standin_slot(&in->target)) {
		reply->status = LOCAL_NOT_OURS;
		reply->error = ENOENT;
	} else {
		reply_fail(reply, EHOSTUNREACH, node->quick_mode ? "\"%s\" is no name of a peer (NAME.punch)%s" :
			   "no [peer] is named \"%s\" in %s",
			   in->peer[0] ? in->peer : endpoint_format_address(&in->target, text),
			   node->quick_mode ? "" : node->conf.path);
	}
	return false;
}

/* ------------------------------------------------------------ DIAL */

static void on_dialled(void *arg, const struct session_result *result)
{
	struct request *rq = arg;
	struct local_reply reply;

	rq->session = NULL;
	reply_init(rq, &reply, LOCAL_OK);
	snprintf(reply.peer, sizeof(reply.peer), "%s", rq->peer.name);
	reply.slot = rq->peer.slot;
	reply.setup_us = result->setup_us;
	if (result->error) {
		reply_fail(&reply, result->error, "%s", result->text);
		answer(rq, &reply, -1);
		return;
	}
	reply.remote = result->track.path.remote;
	reply.path = result->path;
	connections_add(rq->node, &rq->peer, rq->port, false, &result->track, result->path, result->setup_us);
	answer(rq, &reply, result->fd);
	close(result->fd);
}

static void handle_dial(struct request *rq, const struct local_request *in, int *pass)
{
	int family = in->family == AF_INET6 ? AF_INET6 : AF_INET;
	struct local_reply reply;

	(void)pass;
	reply_init(rq, &reply, LOCAL_OK);
	rq->port = in->target.port;
	if (!find_peer(rq, in, &reply)) {
		answer(rq, &reply, -1);
		return;
	}
	if (!rq->port || (in->family != AF_INET && in->family != AF_INET6)) {
		reply_fail(&reply, EINVAL, "port %u, address family %u: a port of 1 to 65535 and AF_INET or AF_INET6 "
			   "are needed", rq->port, in->family);
		answer(rq, &reply, -1);
		return;
	}
	rq->session = session_dial(rq->node, &rq->peer, rq->port, family, request_timeout(in->timeout_ms), in->route,
				   on_dialled, NULL, rq);
	if (!rq->session) {
		reply_fail(&reply, ENOBUFS, "too many connections are being set up at once");
		answer(rq, &reply, -1);
	}
}

static void handle_ping(struct request *rq, const struct local_request *in, int *pass)
{
	struct local_reply reply;

	(void)pass;
	reply_init(rq, &reply, LOCAL_OK);
	rq->port = in->target.port;
	if (!find_peer(rq, in, &reply)) {
		if (reply.status == LOCAL_NOT_OURS)
			reply_fail(&reply, EHOSTUNREACH, "no peer was named");
		answer(rq, &reply, -1);
		return;
	}
	snprintf(reply.peer, sizeof(reply.peer), "%s", rq->peer.name);
	reply.slot = rq->peer.slot;
	if (request_reply(rq, &reply, -1) == 0)
		request_ping(rq, in);
	else
		request_end(rq);
}

/* ------------------------------------------------------------ sockets of programs */

static void handle_park(struct request *rq, const struct local_request *in, int *pass)
{
	struct local_reply reply;

	reply_init(rq, &reply, LOCAL_OK);
	if (find_peer(rq, in, &reply)) {
		snprintf(reply.peer, sizeof(reply.peer), "%s", rq->peer.name);
		reply.slot = rq->peer.slot;
		parked_start(rq->node, *pass, &rq->peer, in, &reply);
	}
	let_go(pass);
	answer(rq, &reply, -1);
}

static void answer_claim(struct request *rq, struct local_reply *reply, int fd)
{
	if (reply->status == LOCAL_NOT_OURS && !rq->trusted)
		reply->status = LOCAL_OTHER_CONFIG;
	answer(rq, reply, fd);
	if (fd >= 0)
		close(fd);
}

static void handle_claim_parked(struct request *rq, const struct local_request *in, int *pass)
{
	struct local_reply reply;
	int fd;

	reply_init(rq, &reply, LOCAL_OK);
	fd = parked_claim(rq->node, &rq->proof, *pass, in->copy, &reply);
	let_go(pass);
	answer_claim(rq, &reply, fd);
}

static void handle_claim_doorbell(struct request *rq, const struct local_request *in, int *pass)
{
	struct local_reply reply;
	int fd;

	(void)in;
	reply_init(rq, &reply, LOCAL_OK);
	fd = doorbell_claim(rq->node, &rq->proof, &reply);
	let_go(pass);
	answer_claim(rq, &reply, fd);
}

static void handle_listen(struct request *rq, const struct local_request *in, int *pass)
{
	struct local_reply reply;

	reply_init(rq, &reply, LOCAL_OK);
	services_listen(rq->node, *pass, in->target.port, &reply);
	let_go(pass);
	if (reply.status == LOCAL_OK)
		publish_answer(rq);
	else
		answer(rq, &reply, -1);
}

static void handle_drain(struct request *rq, const struct local_request *in, int *pass)
{
	struct local_reply reply;
	int rc;

	reply_init(rq, &reply, LOCAL_OK);
	if (!ktls_is(*pass)) {
		reply.status = LOCAL_NOT_OURS;
	} else {
		rc = drain_take(rq->node->drains, *pass, in->kind == LOCAL_DRAIN_END);
		if (rc == 0)
			*pass = -1;
		else
			reply_fail(&reply, -rc, "a connection that ends cannot be kept until its last bytes are sent");
	}
	let_go(pass);
	answer(rq, &reply, -1);
}

/* ------------------------------------------------------------ punchctl */

static void handle_status(struct request *rq, const struct local_request *in, int *pass)
{
	struct local_reply reply;
	char *text;

	(void)pass;
	reply_init(rq, &reply, LOCAL_OK);
	text = status_text(rq->node, in->as_json != 0);
	if (!text)
		reply_fail(&reply, ENOMEM, "out of memory");
	if (request_reply(rq, &reply, -1) == 0 && text)
		request_text(rq, text);
	request_end(rq);
	free(text);
}

static void on_doctor(void *arg, const char *text)
{
	struct request *rq = arg;

	request_text(rq, text);
	request_end(rq);
}

static void handle_doctor(struct request *rq, const struct local_request *in, int *pass)
{
	struct local_reply reply;

	(void)pass;
	reply_init(rq, &reply, LOCAL_OK);
	if (request_reply(rq, &reply, -1) < 0) {
		request_end(rq);
		return;
	}
	rq->detached = true;
	doctor_start(rq->node, in->as_json != 0, on_doctor, rq);
}

/*
 * Another word or file of our user needs the place: it is his when we have nothing to do.  What counts
 * is what would be lost; this request itself is under way, too, but asks for nothing.
 */
static void handle_yield(struct request *rq, const struct local_request *in, int *pass)
{
	struct local_reply reply;

	(void)in;
	(void)pass;
	if (life_yield(rq->node))
		return;		/* request_stopped() answers */
	reply_init(rq, &reply, LOCAL_OK);
	reply_fail(&reply, EBUSY, "something is published or under way");
	answer(rq, &reply, -1);
}

/* The answer comes last of all: then the name is free, and the next resolver can take it */
static void handle_stop(struct request *rq, const struct local_request *in, int *pass)
{
	(void)in;
	(void)pass;
	life_stop(rq->node);
}

static bool port_was_told(const struct node *node, unsigned int i)
{
	unsigned int before;

	for (before = 0; before < i; before++)
		if (services_get(node, before)->port == services_get(node, i)->port)
			return true;
	return false;
}

/* Who stops us may not think of the servers that were published through us */
static void tell_unpublished(struct request *rq)
{
	const struct service *service;
	char name[64];
	unsigned int i;
	pid_t pid;

	for (i = 0; (service = services_get(rq->node, i)); i++) {
		if (port_was_told(rq->node, i) || !service_alive(service))
			continue;
		pid = service_holder(service, name, sizeof(name));
		request_printf(rq, "port %u", service->port);
		if (pid)
			request_printf(rq, " (PID %d %s)", (int)pid, name);
		request_printf(rq, " is not reachable by peers until punch runs again here: \"punchctl doctor\", or "
			       "any program under punch that needs it, starts it\n");
	}
}

void request_stopped(struct request *rq)
{
	struct local_reply reply;

	reply_init(rq, &reply, LOCAL_OK);
	if (request_reply(rq, &reply, -1) == 0)
		tell_unpublished(rq);
	request_end(rq);
}

/* ------------------------------------------------------------ who may ask for what */

/**
 * struct handler
 * @fd:		a descriptor must come with it
 * @proof:	that descriptor is itself the right to ask
 */
struct handler {
	void (*handle)(struct request *rq, const struct local_request *in, int *pass);
	bool fd;
	bool proof;
};

static const struct handler handlers[] = {
	[LOCAL_NAME] = { handle_name, false, false },
	[LOCAL_DIAL] = { handle_dial, false, false },
	[LOCAL_PARK] = { handle_park, true, false },
	[LOCAL_CLAIM_PARKED] = { handle_claim_parked, true, true },
	[LOCAL_LISTEN] = { handle_listen, true, false },
	[LOCAL_CLAIM_DOORBELL] = { handle_claim_doorbell, true, true },
	[LOCAL_STATUS] = { handle_status, false, false },
	[LOCAL_DOCTOR] = { handle_doctor, false, false },
	[LOCAL_PING] = { handle_ping, false, false },
	[LOCAL_STOP] = { handle_stop, false, false },
	[LOCAL_YIELD] = { handle_yield, false, false },
	[LOCAL_DRAIN] = { handle_drain, true, false },
	[LOCAL_DRAIN_END] = { handle_drain, true, false },
};
_Static_assert(sizeof(handlers) / sizeof(handlers[0]) == LOCAL_KIND_COUNT, "each kind has a handler");

/* Those of our user may end us whatever we serve: "stop" without a configuration, and who needs the place */
static bool any_configuration(const struct request *rq, const struct local_request *in)
{
	return rq->own && (in->kind == LOCAL_YIELD ||
			   (in->kind == LOCAL_STOP && !in->config.path[0] && !in->config.secret[0]));
}

void request_handle(struct request *rq, const struct local_request *in, int pass)
{
	const struct handler *handler = &handlers[in->kind];
	enum local_status refused = LOCAL_OK;
	struct local_reply reply;

	/* A stranger's was seen to by the porter; which configuration is ours he is not told,
	 * it would answer guesses at the secret */
	if (!rq->trusted && !(handler->proof && rq->proof.shown))
		refused = porter_refusal(in);
	else if (rq->trusted && !any_configuration(rq, in) && !local_config_equal(&in->config, &rq->node->config))
		refused = LOCAL_OTHER_CONFIG;
	if (refused == LOCAL_OK && handler->fd && pass < 0 && !rq->proof.shown) {
		reply_init(rq, &reply, LOCAL_OK);
		reply_fail(&reply, EBADF, "a request of kind %u needs a descriptor", in->kind);
		answer(rq, &reply, -1);
	} else if (refused != LOCAL_OK) {
		reply_init(rq, &reply, refused);
		reply.error = EACCES;
		answer(rq, &reply, -1);
	} else {
		handler->handle(rq, in, &pass);
	}
	let_go(&pass);
}
