/* SPDX-License-Identifier: MIT */
/*
 * rdv_client.h - nodes of a running punch-rendezvous, for the test_rendezvous_*live programs
 */
#ifndef TESTS_RDV_CLIENT_H
#define TESTS_RDV_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/unit/live.h"

/** struct rdv - a running punch-rendezvous */
struct rdv {
	struct program program;
	char folder[64];
	char address[32];		/* it listens on, "127.0.0.1" unless set before */
	uint16_t port, probes[2], metrics;
};

/**
 * rdv_start() - in a new folder (or in @folder when that is set already), on free ports (or those set already)
 * @lines:	further lines of [rendezvous]; "relay = none" is there when they do not name one
 * @descriptors: its limit, 0: ours
 * Aborts on failure.
 */
void rdv_start(struct rdv *rdv, const char *lines, unsigned int descriptors);

/** rdv_stop() - Return: exit status; folder and ports stay for another rdv_start() */
int rdv_stop(struct rdv *rdv);

/** rdv_online() - connect and be welcomed. Return: false on failure */
bool rdv_online(const struct rdv *rdv, struct node *node, bool receive);

/** rdv_invite(), rdv_reply() - with a body of text; sessions are one byte, repeated */
bool rdv_invite(struct node *node, uint8_t session, const struct node *to, const char *body);
bool rdv_reply(struct node *node, uint8_t session, const char *body);

/**
 * rdv_ask() - as many invitations to nobody, in one piece: each is answered by a Failed of 80 bytes or more
 * Return: false when they could not be written
 */
bool rdv_ask(struct node *node, unsigned int count);

/** rdv_ping() - Return: true when the Pong is the next message */
bool rdv_ping(struct node *node);

/**
 * rdv_expect() - next message, which must be of that kind
 * Return: punch__message__free_unpacked(), or NULL (told on stderr)
 */
Punch__Message *rdv_expect(struct node *node, Punch__Message__KindCase kind);

/** rdv_failed() - next message is Failed: its reason (+ 100 with retry), or -1. @session: 0: the connection's */
int rdv_failed(struct node *node, uint8_t session);
#define RETRY 100

/** rdv_closed() - nothing more comes on the connection */
bool rdv_closed(struct node *node);

/** rdv_introduce() - from Invite to both Go. Return: false when a step fails */
bool rdv_introduce(struct node *caller, struct node *callee, uint8_t session);

/** rdv_finish() - the rest of it, after the Invite */
bool rdv_finish(struct node *caller, struct node *callee, uint8_t session);

/** rdv_metric() - "punch_rendezvous_NAME" */
long long rdv_metric(const struct rdv *rdv, const char *name);

#endif
