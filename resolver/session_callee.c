/* SPDX-License-Identifier: MIT */
/*
 * session_callee.c - the side that is dialled
 *
 * A stranger learns nothing: whoever is no [peer] (or, in quick mode, does
 * not know the word) gets no answer of ours, and the rendezvous tells him that nobody is there.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "resolver/connections.h"
#include "resolver/doorbell.h"
#include "resolver/session_internal.h"
#include "resolver/talk.h"

static struct log_limit stranger_limit;

/* A Reply with the answer, or an empty one: "say nothing of me" */
static int send_reply(struct uplink *uplink, struct talk *talk, const ProtobufCBinaryData *session,
		      const struct body *answer)
{
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Reply reply = PUNCH__REPLY__INIT;
	Punch__Signed payload = PUNCH__SIGNED__INIT;
	uint8_t signature[SIGNATURE_SIZE];

	reply.session = *session;
	if (answer) {
		memcpy(signature, answer->signature, sizeof(signature));
		payload.body.data = answer->data;
		payload.body.len = answer->size;
		payload.signature.data = signature;
		payload.signature.len = sizeof(signature);
		reply.payload = &payload;
	}
	message.kind_case = PUNCH__MESSAGE__KIND_REPLY;
	message.reply = &reply;
	return uplink ? uplink_send(uplink, &message) : talk_send(talk, &message);
}

/* Asked of known peers' alone, and remembered: strangers, whose keys cost nothing, make nothing forgotten */
static bool is_replay(struct sessions *sessions, const uint8_t id[SESSION_SIZE])
{
	unsigned int i;

	for (i = 0; i < SESSION_REPLAYS; i++)
		if (!memcmp(sessions->replays[i], id, SESSION_SIZE))
			return true;
	memcpy(sessions->replays[sessions->replay_next++ % SESSION_REPLAYS], id, SESSION_SIZE);
	return false;
}

/* Who is it? Return: 0, or -EACCES for a stranger */
static int identify(struct node *node, const struct invitation *in, struct peer *peer)
{
	char name[LIMIT_NAME];

	if (!node->quick_mode)
		return peer_by_key(node, in->caller_key, peer) ? -EACCES : 0;
	if (quick_open(&node->quick, in->sealed_name, in->sealed_size, in->session, in->caller_key,
		       in->callee_key, name))
		return -EACCES;
	return peer_guest(node, in->caller_key, name, peer);
}

/* Is the invitation whole, for us, and from whom the server says? */
static int check(struct node *node, const Punch__Invited *message, bool met, struct invitation *in, struct body *body)
{
	/* Without a server, in quick mode, it was sealed by somebody who knows the word; the
	 * key is as good as its signature */
	bool anybody = met && node->quick_mode;
	int err;

	if (!message->payload)
		return -EBADMSG;
	err = invitation_open(message->payload, in, body);
	if (err)
		return err;
	if (memcmp(in->callee_key, node->key.public, KEY_SIZE) ||
	    (!anybody && (message->from.len != KEY_SIZE || memcmp(in->caller_key, message->from.data, KEY_SIZE))) ||
	    message->session.len != SESSION_SIZE || memcmp(in->session, message->session.data, SESSION_SIZE))
		return -EBADMSG;
	return 0;
}

/* Sets the service, and what is settled on encryption. Return: Punch__AnswerStatus */
static uint32_t admit(struct session *s, const struct invitation *in)
{
	enum conf_encrypt caller = (enum conf_encrypt)in->encrypt;
	int err;

	/* Port 0 is a ping: a known peer may see that a path exists */
	if (!in->port)
		return PUNCH__ANSWER_STATUS__ANSWER_ACCEPTED;
	err = services_admit(s->node, in->port, &s->peer, &s->service);
	if (err)
		return err == -ENOENT ? PUNCH__ANSWER_STATUS__ANSWER_NO_SERVICE :
					PUNCH__ANSWER_STATUS__ANSWER_NOT_ALLOWED;
	s->encrypt = encrypt_wish(s->peer.encrypt, s->service.encrypt);
	return encrypt_settle(caller, s->encrypt, in->port, &s->encrypted) ? PUNCH__ANSWER_STATUS__ANSWER_ENCRYPT :
									   PUNCH__ANSWER_STATUS__ANSWER_ACCEPTED;
}

static int sign_answer(struct session *s, const struct invitation *in, uint32_t status)
{
	struct answer answer = { .status = status, .route = s->route };

	if (status == PUNCH__ANSWER_STATUS__ANSWER_ENCRYPT)
		/* our wish, for the caller to say what contradicts what */
		answer.encrypt = (uint32_t)s->encrypt;
	else
		answer.encrypt = s->encrypted ? PUNCH__ENCRYPT__ENCRYPT_YES : PUNCH__ENCRYPT__ENCRYPT_NO;
	memcpy(answer.session, in->session, SESSION_SIZE);
	memcpy(answer.caller_key, in->caller_key, KEY_SIZE);
	memcpy(answer.callee_key, in->callee_key, KEY_SIZE);
	memcpy(answer.ephemeral, s->ephemeral.public, KEY_SIZE);
	answer.description = s->own;
	if (secret_hash(s->invitation.data, s->invitation.size, answer.invitation_hash))
		return -EIO;
	return answer_sign(&answer, &s->node->key, &s->answer);
}

static void answer_and_end(struct session *s, const struct invitation *in, uint32_t status)
{
	ProtobufCBinaryData id = { .len = SESSION_SIZE, .data = s->id };

	if (!sign_answer(s, in, status))
		send_reply(s->uplink, s->talk, &id, &s->answer);
	log_info("from %s: port %u refused (%u)", s->peer.name, in->port, status);
	session_cancel(s);
}

/* Ports are ready: describe ourselves, answer, and be prepared for Go */
static void callee_answer(struct session *s)
{
	ProtobufCBinaryData id = { .len = SESSION_SIZE, .data = s->id };
	struct invitation in;
	Punch__Signed again = PUNCH__SIGNED__INIT;
	struct body body = { 0 };
	int err;

	/* The body was verified when it came; read once more instead of kept twice */
	again.body.data = s->invitation.data;
	again.body.len = s->invitation.size;
	again.signature.data = s->invitation.signature;
	again.signature.len = SIGNATURE_SIZE;
	err = invitation_open(&again, &in, &body);
	body_free(&body);
	session_describe(s);
	if (!err)
		err = sign_answer(s, &in, PUNCH__ANSWER_STATUS__ANSWER_ACCEPTED);
	if (!err)
		err = secret_derive(&s->secret, &s->ephemeral, in.ephemeral, s->invitation.data,
				    s->invitation.size, s->answer.data, s->answer.size);
	if (!err)
		err = session_listen(s);
	if (!err)
		err = send_reply(s->uplink, s->talk, &id, &s->answer);
	if (err) {
		session_fail(s, -err, "%s: cannot be answered: %s", s->peer.name, strerror(-err));
		return;
	}
	session_set_state(s, SESSION_ANSWERED);
	session_arm(s, s->deadline);
	if (s->talk)
		callee_go(s);
}

void callee_advance(struct session *s)
{
	if (clock_now() >= s->deadline) {
		session_fail(s, ETIMEDOUT, "%s: no path was nominated", s->peer.name);
		return;
	}
	if (s->state == SESSION_PORTS) {
		session_arm(s, s->deadline);
		if (session_take_ports(s) == 0)
			callee_answer(s);
		return;
	}
	if (s->state == SESSION_PUNCHING)
		session_consider(s);
	else
		session_arm(s, s->deadline);
}

static const char *from_where(const struct uplink *uplink)
{
	return uplink ? uplink_name(uplink) : "a meeting";
}

/* "Say nothing of me"; who came without a server is told by silence */
static void ignore(struct uplink *uplink, struct talk *talk, const ProtobufCBinaryData *session)
{
	if (uplink)
		send_reply(uplink, NULL, session, NULL);
	talk_free(talk);
}

static void log_stranger(const struct uplink *uplink, const struct invitation *in)
{
	char key[KEY_TEXT_SIZE];

	if (log_limited(&stranger_limit))
		log_warn("%s: invitation by a stranger with key %s ignored; to serve it, add a [peer] with this key",
			 from_where(uplink), key_text(in->caller_key, key));
}

void callee_invited(struct node *node, struct uplink *uplink, struct talk *talk, const Punch__Invited *message)
{
	struct invitation in;
	struct body body = { 0 };
	struct peer peer;
	struct session *s = NULL;
	uint32_t status;
	int err = check(node, message, talk != NULL, &in, &body);

	if (!err && identify(node, &in, &peer))
		log_stranger(uplink, &in);
	else if (!err && is_replay(node->sessions, in.session))
		err = -EEXIST;
	else if (!err)
		s = session_new(node, false);
	if (err && log_limited(&stranger_limit))
		log_warn("%s: invitation refused: %s", from_where(uplink), strerror(-err));
	if (!s) {
		ignore(uplink, talk, &message->session);
		body_free(&body);
		return;
	}
	memcpy(s->id, in.session, SESSION_SIZE);
	s->uplink = uplink;
	s->talk = talk;
	s->peer = peer;
	s->port = in.port;
	s->invitation = body;
	s->far = in.description;
	s->family = AF_INET;
	s->deadline = s->started + SESSION_CALLEE_LIFE;
	s->rtt = (uint64_t)message->caller_rtt_us + message->own_rtt_us;
	s->route = in.route ? in.route : (uint32_t)peer.route;
	status = sessions_count(node->sessions) > SESSIONS_MAX || !sessions_room(node, false) ?
		 PUNCH__ANSWER_STATUS__ANSWER_BUSY : admit(s, &in);
	if (status != PUNCH__ANSWER_STATUS__ANSWER_ACCEPTED) {
		answer_and_end(s, &in, status);
		return;
	}
	if (in.route && peer.route && in.route != (uint32_t)peer.route)
		s->route = (uint32_t)peer.route;	/* the caller sees the conflict and says so */
	if (s->port)
		s->family = s->service.family;
	session_set_state(s, SESSION_PORTS);
	session_relays(s, message->relays, message->n_relays);
	session_advance(s);
}

void callee_covered(struct session *s, int fd)
{
	uint32_t setup_us = (uint32_t)(clock_now() - s->started);
	struct service service = s->service;
	struct track track = s->track;
	struct node *node = s->node;
	struct peer peer = s->peer;
	uint16_t port = s->port;
	enum local_path kind = s->kind;

	log_info("from %s:%u: %s path, %s, after %.1f ms", peer.name, port, session_kind_name(kind),
		 encrypt_cover_name(track.cover), setup_us / 1000.0);
	session_cancel(s);
	if (port)
		doorbell_ring(node, &service, &peer, fd, &track, kind, setup_us);
	else
		close(fd);
}
