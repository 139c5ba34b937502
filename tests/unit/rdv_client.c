/* SPDX-License-Identifier: MIT */
/*
 * rdv_client.c - nodes of a running punch-rendezvous
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/frame.h"
#include "tests/unit/rdv_client.h"

static const uint8_t signature[SIGNATURE_SIZE] = { 1, 2, 3 };

void rdv_start(struct rdv *rdv, const char *lines, unsigned int descriptors)
{
	char name[] = "punch-rendezvous", dash_v[] = "-vv", dash_c[] = "-c", path[128], text[2048];
	char *argv[] = { name, dash_v, dash_c, path, NULL };

	if (!rdv->folder[0])
		live_folder(rdv->folder);
	if (!rdv->address[0])
		strcpy(rdv->address, "127.0.0.1");
	if (!rdv->port) {
		rdv->port = live_port();
		rdv->probes[0] = live_port();
		rdv->probes[1] = live_port();
		rdv->metrics = live_port();
	}
	snprintf(text, sizeof(text),
		 "[rendezvous]\nlisten = %s:%u\nprobe = 127.0.0.1:%u 127.0.0.1:%u\n"
		 "metrics = 127.0.0.1:%u\n%s%s\n", rdv->address, rdv->port, rdv->probes[0],
		 rdv->probes[1], rdv->metrics, strstr(lines, "relay =") ? "" : "relay = none\n", lines);
	live_write(rdv->folder, "rendezvous.conf", text);
	snprintf(path, sizeof(path), "%s/rendezvous.conf", rdv->folder);
	if (live_start(&rdv->program, name, argv, rdv->folder, "listening:", descriptors))
		return;
	fprintf(stderr, "punch-rendezvous does not start; see %s/log\n", rdv->folder);
	abort();
}

int rdv_stop(struct rdv *rdv)
{
	return live_stop(&rdv->program);
}

bool rdv_online(const struct rdv *rdv, struct node *node, bool receive)
{
	Punch__Message *welcome = node_hello(node, rdv->address, rdv->port, receive);

	if (welcome)
		punch__message__free_unpacked(welcome, NULL);
	return welcome != NULL;
}

bool rdv_invite(struct node *node, uint8_t session, const struct node *to, const char *body)
{
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Invite invite = PUNCH__INVITE__INIT;
	Punch__Signed payload = PUNCH__SIGNED__INIT;
	uint8_t id[SESSION_SIZE];

	memset(id, session, sizeof(id));
	payload.body = convert_bytes((const uint8_t *)body, strlen(body));
	payload.signature = convert_bytes(signature, sizeof(signature));
	invite.session = convert_bytes(id, sizeof(id));
	invite.to = convert_bytes(to->key.public, KEY_SIZE);
	invite.payload = &payload;
	message.kind_case = PUNCH__MESSAGE__KIND_INVITE;
	message.invite = &invite;
	return node_send(node, &message);
}

bool rdv_reply(struct node *node, uint8_t session, const char *body)
{
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Reply reply = PUNCH__REPLY__INIT;
	Punch__Signed payload = PUNCH__SIGNED__INIT;
	uint8_t id[SESSION_SIZE];

	memset(id, session, sizeof(id));
	reply.session = convert_bytes(id, sizeof(id));
	if (*body) {
		payload.body = convert_bytes((const uint8_t *)body, strlen(body));
		payload.signature = convert_bytes(signature, sizeof(signature));
		reply.payload = &payload;
	}
	message.kind_case = PUNCH__MESSAGE__KIND_REPLY;
	message.reply = &reply;
	return node_send(node, &message);
}

bool rdv_ask(struct node *node, unsigned int count)
{
	static const uint8_t nobody[KEY_SIZE] = { 1 }, session[SESSION_SIZE] = { 1 };
	const int room = 1 << 20;
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Invite invite = PUNCH__INVITE__INIT;
	Punch__Signed payload = PUNCH__SIGNED__INIT;
	uint8_t *frame, *all;
	ssize_t size;
	bool ok;

	invite.session = convert_bytes(session, sizeof(session));
	invite.to = convert_bytes(nobody, sizeof(nobody));
	payload.body = convert_bytes(nobody, 1);
	payload.signature = convert_bytes(signature, sizeof(signature));
	invite.payload = &payload;
	message.kind_case = PUNCH__MESSAGE__KIND_INVITE;
	message.invite = &invite;
	size = frame_pack(&message.base, &frame);
	all = size > 0 ? malloc((size_t)size * count) : NULL;
	if (!all)
		abort();
	for (unsigned int i = 0; i < count; i++)
		memcpy(all + i * (size_t)size, frame, (size_t)size);
	/* that it is not for the other end to let us go on */
	setsockopt(node->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	ok = node_write(node, all, (size_t)size * count);
	free(all);
	free(frame);
	return ok;
}

bool rdv_ping(struct node *node)
{
	Punch__Message message = PUNCH__MESSAGE__INIT, *pong;
	Punch__Ping ping = PUNCH__PING__INIT;
	bool ok;

	ping.nonce = 0x123456789abcdefULL;
	message.kind_case = PUNCH__MESSAGE__KIND_PING;
	message.ping = &ping;
	pong = node_send(node, &message) ? rdv_expect(node, PUNCH__MESSAGE__KIND_PONG) : NULL;
	ok = pong && pong->pong->nonce == ping.nonce;
	if (pong)
		punch__message__free_unpacked(pong, NULL);
	return ok;
}

Punch__Message *rdv_expect(struct node *node, Punch__Message__KindCase kind)
{
	Punch__Message *message = node_recv(node);

	if (message && message->kind_case == kind)
		return message;
	fprintf(stderr, "got message %d%s%s, want %d\n", message ? (int)message->kind_case : -1,
		message && message->kind_case == PUNCH__MESSAGE__KIND_FAILED ? ": " : "",
		message && message->kind_case == PUNCH__MESSAGE__KIND_FAILED ?
		message->failed->text : "", (int)kind);
	if (message)
		punch__message__free_unpacked(message, NULL);
	return NULL;
}

int rdv_failed(struct node *node, uint8_t session)
{
	Punch__Message *message = rdv_expect(node, PUNCH__MESSAGE__KIND_FAILED);
	uint8_t id[SESSION_SIZE];
	int reason = -1;

	memset(id, session, sizeof(id));
	if (message && message->failed->session.len == (session ? SESSION_SIZE : 0) &&
	    (!session || !memcmp(message->failed->session.data, id, SESSION_SIZE)) &&
	    *message->failed->text)
		reason = (int)message->failed->reason + (message->failed->retry ? RETRY : 0);
	if (message)
		punch__message__free_unpacked(message, NULL);
	return reason;
}

bool rdv_closed(struct node *node)
{
	Punch__Message *message = node_recv(node);

	if (message)
		punch__message__free_unpacked(message, NULL);
	return !message;
}

/* Next message is of that kind; it is thrown away */
static bool skip(struct node *node, Punch__Message__KindCase kind)
{
	Punch__Message *message = rdv_expect(node, kind);

	if (message)
		punch__message__free_unpacked(message, NULL);
	return message != NULL;
}

bool rdv_finish(struct node *caller, struct node *callee, uint8_t session)
{
	return skip(callee, PUNCH__MESSAGE__KIND_INVITED) && rdv_reply(callee, session, "answer") &&
	       skip(caller, PUNCH__MESSAGE__KIND_ANSWERED) && skip(caller, PUNCH__MESSAGE__KIND_GO) &&
	       skip(callee, PUNCH__MESSAGE__KIND_GO);
}

bool rdv_introduce(struct node *caller, struct node *callee, uint8_t session)
{
	return rdv_invite(caller, session, callee, "invitation") &&
	       rdv_finish(caller, callee, session);
}

long long rdv_metric(const struct rdv *rdv, const char *name)
{
	char full[128];

	snprintf(full, sizeof(full), "punch_rendezvous_%s", name);
	return live_metric(rdv->metrics, full);
}
