/* SPDX-License-Identifier: MIT */
/*
 * session_caller.c - the side that dials
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "resolver/session_internal.h"

#define SESSION_QUEUE_LOOK (250 * MS)

struct session *session_dial(struct node *node, const struct peer *peer, uint16_t port, int family,
			     uint32_t timeout_ms, uint32_t route,
			     session_done *done, session_step *step, void *arg)
{
	struct session *s = session_new(node, true);
	unsigned int i;

	if (!s)
		return NULL;
	if (!timeout_ms || timeout_ms > TIMEOUT_MOST_S * 1000)
		timeout_ms = TIMEOUT_MOST_S * 1000;
	s->peer = *peer;
	s->port = port;
	s->family = family;
	s->encrypt = peer->encrypt;
	s->wish = route ? route : (uint32_t)peer->route;
	s->route = s->wish;
	s->deadline = s->started + timeout_ms * MS;
	s->patience = s->started + SESSION_UPLINK_PATIENCE;
	s->done = done;
	s->step = step;
	s->arg = arg;
	for (i = 0; i < node->uplink_count; i++)
		if (uplink_state(node->uplinks[i]) != UPLINK_READY)
			uplink_wake(node->uplinks[i]);
	session_arm(s, 0);
	return s;
}

/* Invite again after about @wait: others who were refused at the same moment come at other times */
static void caller_retry(struct session *s, uint64_t wait)
{
	uint32_t random;

	secret_random(&random, sizeof(random));
	s->uplink = NULL;
	s->resume = clock_now() + wait / 2 + wait * random / UINT32_MAX;
	s->patience = s->resume + SESSION_UPLINK_PATIENCE;
	session_set_state(s, SESSION_UPLINK);
	session_arm(s, clock_before(s->resume, s->deadline));
}

/* What the program is told if the next tries are refused as well */
static void caller_excuse(struct session *s, int error, const char *format, ...)
{
	va_list args;

	s->excuse = error;
	va_start(args, format);
	vsnprintf(s->excuse_text, sizeof(s->excuse_text), format, args);
	va_end(args);
	session_note(s, "%s", s->excuse_text);
}

/* "Too many": it passes */
static void caller_retry_later(struct session *s)
{
	uint64_t wait = SESSION_RETRY << (s->refusals < 3 ? s->refusals : 3);

	s->refusals++;
	caller_retry(s, clock_before(wait, SESSION_RETRY_MOST));
}

void caller_invite(struct session *s)
{
	struct invitation in = { .port = s->port, .route = s->route, .encrypt = (uint32_t)s->encrypt };
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Invite invite = PUNCH__INVITE__INIT;
	Punch__Signed payload = PUNCH__SIGNED__INIT;
	int n, err;

	/* An identifier works once: each invitation has its own */
	secret_random(s->id, sizeof(s->id));
	session_describe(s);
	memcpy(in.session, s->id, sizeof(in.session));
	memcpy(in.caller_key, s->node->key.public, KEY_SIZE);
	memcpy(in.callee_key, s->peer.key, KEY_SIZE);
	memcpy(in.ephemeral, s->ephemeral.public, KEY_SIZE);
	in.description = s->own;
	if (s->node->quick_mode) {
		n = quick_seal(&s->node->quick, s->node->config.as, s->id, in.caller_key, in.callee_key,
			       in.sealed_name);
		if (n < 0) {
			session_fail(s, EIO, "%s: the name cannot be sealed: %s", s->peer.name, strerror(-n));
			return;
		}
		in.sealed_size = (size_t)n;
	}
	body_free(&s->invitation);
	err = invitation_sign(&in, &s->node->key, &s->invitation);
	if (err) {
		session_fail(s, EIO, "%s: the invitation cannot be signed: %s", s->peer.name, strerror(-err));
		return;
	}
	payload.body.data = s->invitation.data;
	payload.body.len = s->invitation.size;
	payload.signature.data = s->invitation.signature;
	payload.signature.len = SIGNATURE_SIZE;
	invite.session.data = s->id;
	invite.session.len = SESSION_SIZE;
	invite.to.data = s->peer.key;
	invite.to.len = KEY_SIZE;
	invite.payload = &payload;
	message.kind_case = PUNCH__MESSAGE__KIND_INVITE;
	message.invite = &invite;
	if (s->uplink ? uplink_send(s->uplink, &message) : approach_send(s, &message)) {
		caller_retry(s, SESSION_RETRY);
		return;
	}
	session_note(s, "invited %s through %s", s->peer.name, session_via(s));
	session_set_state(s, SESSION_INVITED);
	session_arm(s, s->deadline);
}

static void caller_timeout(struct session *s)
{
	/* It was on another try: what ended the last one is the reason */
	if (s->excuse && s->state <= SESSION_INVITED) {
		session_fail(s, s->excuse, "%s", s->excuse_text);
		return;
	}
	if (s->node->serverless && !s->queued && s->state <= SESSION_INVITED) {
		approach_no_show(s);
		return;
	}
	switch (s->state) {
	case SESSION_UPLINK:
		if (s->queued)
			session_fail(s, ENOBUFS, "%s: too many connections are being set up, and its turn did not "
				     "come in time", s->peer.name);
		else
			caller_no_uplink(s, clock_now());
		break;
	case SESSION_PORTS:
		session_fail(s, ENOBUFS, "%s: punch-resolver had no local port for it within %u s; is it out of "
			     "descriptors (ulimit -n)?", s->peer.name,
			     (unsigned int)((s->deadline - s->started) / SECOND));
		break;
	case SESSION_PUNCHING:
	case SESSION_NOMINATING:
		caller_no_path(s);
		break;
	case SESSION_COVERING:
		session_fail(s, ETIMEDOUT, "%s: a path was found, but not encrypted within %u s (PUNCH_TIMEOUT)",
			     s->peer.name, (unsigned int)((s->deadline - s->started) / SECOND));
		break;
	default:
		session_fail(s, ETIMEDOUT,
			     "%s: no answer through %s within %u s; is %s's network slow? (PUNCH_TIMEOUT)",
			     s->peer.name, session_via(s), (unsigned int)((s->deadline - s->started) / SECOND),
			     s->peer.name);
		break;
	}
}

/* Its turn comes when another session ends; what else frees descriptors is looked for now and then */
static void caller_queue(struct session *s, uint64_t now)
{
	s->uplink = NULL;
	s->patience = now + SESSION_UPLINK_PATIENCE;	/* it has one now: should it be lost, that is another wait */
	session_arm(s, clock_before(now + SESSION_QUEUE_LOOK, s->deadline));
}

void caller_advance(struct session *s)
{
	uint64_t now = clock_now();

	if (now >= s->deadline) {
		caller_timeout(s);
		return;
	}
	if (s->state == SESSION_UPLINK) {
		if (now < s->resume) {
			session_arm(s, clock_before(s->resume, s->deadline));
			return;
		}
		s->uplink = caller_uplink(s);
		if (!s->uplink && !s->node->serverless) {
			s->queued = false;
			caller_no_uplink(s, now);
			return;
		}
		s->queued = !sessions_room(s->node, true);
		if (s->queued) {
			caller_queue(s, now);
			return;
		}
		if (s->node->serverless) {
			approach_start(s);
			return;
		}
		session_set_state(s, SESSION_PORTS);
	}
	if (s->state == SESSION_PORTS) {
		session_arm(s, s->deadline);
		if (session_take_ports(s) == 0)
			caller_invite(s);
		return;
	}
	if (s->state == SESSION_PUNCHING || s->state == SESSION_NOMINATING)
		session_consider(s);
	else
		session_arm(s, s->deadline);
}

/* Every way in which a callee may say no. Return: true when it said yes */
static bool caller_accepted(struct session *s, const struct answer *answer)
{
	char key[KEY_TEXT_SIZE];

	switch (answer->status) {
	case PUNCH__ANSWER_STATUS__ANSWER_ACCEPTED:
		s->excuse = 0;
		s->away_since = 0;
		s->grace = false;
		return true;
	case PUNCH__ANSWER_STATUS__ANSWER_NO_SERVICE:
		if (s->node->quick_mode)
			session_fail(s, ECONNREFUSED, "%s: nothing is published on port %u there; does its program run "
				     "under punch, with a name (PUNCH_AS), and listen on more than loopback?",
				     s->peer.name, s->port);
		else
			session_fail(s, ECONNREFUSED, "%s: nothing is published on port %u there; look at [service] in "
				     "%s's punch.conf, and whether its program runs under punch", s->peer.name, s->port,
				     s->peer.name);
		break;
	case PUNCH__ANSWER_STATUS__ANSWER_NOT_ALLOWED:
		session_fail(s, ECONNREFUSED, "%s: port %u is not for us; allow in its [service] must name "
			     "the peer with key %s", s->peer.name, s->port,
			     key_text(s->node->key.public, key));
		break;
	case PUNCH__ANSWER_STATUS__ANSWER_ENCRYPT:
		session_fail(s, ECONNREFUSED, "%s: port %u: encrypt = %s here and %s there; set it to auto in [peer "
			     "%s] here, or in [service] or [peer] there", s->peer.name, s->port,
			     s->encrypt == CONF_ENCRYPT_NO ? "no" : s->encrypt == CONF_ENCRYPT_YES ? "yes" : "auto",
			     answer->encrypt == PUNCH__ENCRYPT__ENCRYPT_NO ? "no" : "yes", s->peer.name);
		break;
	case PUNCH__ANSWER_STATUS__ANSWER_BUSY:
		caller_excuse(s, ECONNREFUSED, "%s: has too many connections being made; try again later",
			      s->peer.name);
		caller_retry_later(s);
		break;
	default:
		session_fail(s, ECONNREFUSED, "%s: answered in a way that this version does not know (%u)",
			     s->peer.name, answer->status);
		break;
	}
	return false;
}

/* The answer must be by whom we asked, to what we asked */
static bool caller_answer_matches(struct session *s, const struct answer *answer)
{
	uint8_t hash[HASH_SIZE];

	return !memcmp(answer->session, s->id, SESSION_SIZE) &&
	       !memcmp(answer->caller_key, s->node->key.public, KEY_SIZE) &&
	       !memcmp(answer->callee_key, s->peer.key, KEY_SIZE) &&
	       !secret_hash(s->invitation.data, s->invitation.size, hash) &&
	       !memcmp(answer->invitation_hash, hash, HASH_SIZE);
}

/* It is signed, so no server has changed it: a peer that does not keep to the rule of encrypt_settle() */
static bool caller_encrypt_matches(struct session *s, const struct answer *answer)
{
	s->encrypted = answer->encrypt == PUNCH__ENCRYPT__ENCRYPT_YES;
	if (s->encrypt == CONF_ENCRYPT_AUTO || !s->port || s->encrypted == (s->encrypt == CONF_ENCRYPT_YES))
		return true;
	session_fail(s, EACCES, "%s: port %u: encrypt = %s here, but it would %s; do both sides run the same version?",
		     s->peer.name, s->port, s->encrypted ? "no" : "yes", s->encrypted ? "encrypt" : "send plain text");
	return false;
}

void caller_answered(struct session *s, const Punch__Answered *message)
{
	struct answer answer;
	int err;

	body_free(&s->answer);
	err = message->payload ? answer_open(message->payload, &answer, &s->answer) : -EBADMSG;
	if (err == -EBADMSG || err == -EPROTONOSUPPORT) {
		session_fail(s, EPROTO, "%s: its answer cannot be read; do both sides run the same version?",
			     s->peer.name);
		return;
	}
	if (err || !caller_answer_matches(s, &answer)) {
		session_fail(s, EACCES, "%s: the answer through %s was not signed by %s's key; compare %s%s%s",
			     s->peer.name, session_via(s), s->peer.name,
			     s->node->quick_mode ? "the secret words" : "[peer ",
			     s->node->quick_mode ? "" : s->peer.name, s->node->quick_mode ? "" : "] key");
		return;
	}
	if (!caller_accepted(s, &answer) || !caller_encrypt_matches(s, &answer))
		return;
	s->far = answer.description;
	s->rtt = (uint64_t)message->callee_rtt_us + message->own_rtt_us;
	if (s->route == PUNCH__ROUTE__ROUTE_AUTO)
		s->route = answer.route;
	if (answer.route != PUNCH__ROUTE__ROUTE_AUTO && answer.route != s->route) {
		session_fail(s, ETIMEDOUT, "%s: route is %s here and %s there: no path suits both", s->peer.name,
			     s->route == PUNCH__ROUTE__ROUTE_RELAY ? "relay" : "direct",
			     answer.route == PUNCH__ROUTE__ROUTE_RELAY ? "relay" : "direct");
		return;
	}
	err = secret_derive(&s->secret, &s->ephemeral, answer.ephemeral, s->invitation.data,
			    s->invitation.size, s->answer.data, s->answer.size);
	if (err) {
		session_fail(s, EACCES, "%s: its half of the session secret is no valid key", s->peer.name);
		return;
	}
	err = session_listen(s);
	if (err) {
		session_paths_close(s);
		caller_excuse(s, ENOBUFS, "%s: punch-resolver cannot make a socket: %s", s->peer.name, strerror(-err));
		caller_retry_later(s);
		return;
	}
	session_note(s, "%s accepted; %u and %u candidates", s->peer.name, s->own.count, s->far.count);
	session_set_state(s, SESSION_ANSWERED);
	session_arm(s, s->deadline);
	session_relays(s, message->relays, message->n_relays);
}

/* Is it too early to believe that the peer is away? */
static bool caller_is_patient(const struct session *s)
{
	return clock_now() < s->away_since + (s->grace ? SESSION_GRACE_PATIENCE : SESSION_OFFLINE_PATIENCE);
}

/* "Too many" while asking again for a peer that is away is no news of the peer */
static void caller_limited(struct session *s, const char *text)
{
	if (!s->away_since)
		caller_excuse(s, ETIMEDOUT, "%s: rendezvous %s: %s", s->peer.name, uplink_name(s->uplink), text);
	if (s->away_since && !caller_is_patient(s))
		session_fail(s, s->excuse, "%s", s->excuse_text);
	else
		caller_retry_later(s);
}

/* Ask the other servers, then all of them again: a peer that was restarted or moved is back within a second */
static void caller_offline(struct session *s, bool grace)
{
	char key[KEY_TEXT_SIZE];
	unsigned int i;

	s->grace = s->grace || grace;
	if (!s->away_since)
		s->away_since = clock_now();
	if (s->node->quick_mode)
		caller_excuse(s, EHOSTUNREACH, "%s: not connected to %s with the same word; is a program under punch "
			      "running there, with PUNCH_AS=%.*s and this very PUNCH_SECRET and PUNCH_RENDEZVOUS?",
			      s->peer.name,
			      uplink_name(s->uplink), (int)(strlen(s->peer.name) - strlen(".punch")), s->peer.name);
	else
		caller_excuse(s, EHOSTUNREACH, "%s: not connected to %s, or does not know our key %s; is a program "
			      "under punch running there, and is [peer %s] key right?",
			      s->peer.name, uplink_name(s->uplink),
			      key_text(s->node->key.public, key), s->peer.name);
	for (i = 0; i < s->node->uplink_count; i++)
		if (s->node->uplinks[i] == s->uplink)
			s->tried |= 1u << i;
	if (caller_uplink(s)) {
		caller_retry(s, 0);
	} else if (caller_is_patient(s)) {
		s->tried = 0;
		caller_retry(s, SESSION_RETRY);
	} else {
		session_fail(s, s->excuse, "%s", s->excuse_text);
	}
}

void caller_failed(struct session *s, const Punch__Failed *message)
{
	const char *text = message->text && *message->text ? message->text : "refused the invitation";

	if (message->reason == PUNCH__FAIL_REASON__FAIL_OFFLINE) {
		caller_offline(s, message->retry);
	} else if (message->reason == PUNCH__FAIL_REASON__FAIL_LIMIT && message->retry) {
		caller_limited(s, text);
	} else {
		session_fail(s, message->reason == PUNCH__FAIL_REASON__FAIL_TIMEOUT ? ETIMEDOUT : ENETUNREACH,
			     "%s: rendezvous %s: %s", s->peer.name, uplink_name(s->uplink), text);
	}
}

uint64_t caller_again_left(const struct session *s, uint64_t now)
{
	if (s->disproved || s->tries + 1 >= SESSION_TRIES || now + SESSION_TRY_LEAST >= s->deadline)
		return 0;
	return s->deadline - SESSION_TRY_LEAST - now;
}

/* No path came of this try: is there time for another one? Return: true when it was begun */
bool caller_again(struct session *s)
{
	if (!caller_again_left(s, clock_now()))
		return false;
	s->tries++;
	session_note(s, "no path came of this try, beginning another one");
	session_restart(s);
	return true;
}

/* Why no direct path came about */
static const char *direct_problem(const struct session *s)
{
	if (s->not_direct)
		return s->not_direct;
	if (s->route == PUNCH__ROUTE__ROUTE_RELAY)
		return "not wanted (route = relay)";
	return s->plan.reason ? s->plan.reason : "no attempt came through";
}

static const char *relay_problem(const struct session *s, char *text, size_t size)
{
	if (s->route == PUNCH__ROUTE__ROUTE_DIRECT)
		return "not wanted (route = direct)";
	if (*s->relay_problem)
		return s->relay_problem;
	if (!s->leg_count)
		return "none was offered by the rendezvous";
	snprintf(text, size, "%s: no answer in time (does a firewall drop its port?)", s->relay_asked);
	return text;
}

/* Everything was tried */
void caller_no_path(struct session *s)
{
	char text[LIMIT_HOST + 80];

	if (s->disproved)
		session_fail(s, EACCES, "%s: what answered on its addresses could not prove %s's key",
			     s->peer.name, s->peer.name);
	else
		session_fail(s, ETIMEDOUT, "%s: no path: direct: %s; relay: %s", s->peer.name,
			     direct_problem(s), relay_problem(s, text, sizeof(text)));
}

void caller_covered(struct session *s, int fd)
{
	struct session_result result = { .fd = fd, .path = s->kind, .track = s->track };
	char text[ENDPOINT_TEXT_SIZE];

	result.setup_us = (uint32_t)(clock_now() - s->started);
	log_info("to %s:%u: %s path to %s, %s, after %.1f ms", s->peer.name, s->port, session_kind_name(s->kind),
		 endpoint_format(&s->track.path.remote, text), encrypt_cover_name(s->track.cover),
		 result.setup_us / 1000.0);
	if (s->kind == LOCAL_PATH_RELAY)
		log_info("to %s:%u: relayed, direct: %s", s->peer.name, s->port, direct_problem(s));
	session_note(s, "%s path to %s", s->kind == LOCAL_PATH_RELAY ? "relayed" : "direct", text);
	session_set_state(s, SESSION_OVER);
	session_paths_close(s);
	session_arm(s, 0);
	if (s->done)
		s->done(s->arg, &result);
	else
		close(result.fd);
}
