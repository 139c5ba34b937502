/* SPDX-License-Identifier: MIT */
/*
 * uplink.h - INTERFACE - the node's TLS connection to one rendezvous server
 *
 * Connects by itself (all addresses, RFC 8305 staggering), says Hello, keeps alive, reconnects with
 * exponential backoff and jitter (0.2 s to 10 s; at once after a network
 * change or when somebody calls uplink_wake()), pins the server's key
 * ([node] rendezvous-key, else trust on first use, known.c).
 */
#ifndef PUNCH_UPLINK_H
#define PUNCH_UPLINK_H

#include "common/clock.h"
#include "common/convert.h"
#include "resolver/node.h"

#define UPLINK_PROBES 4
#define UPLINK_CHECK (1500 * MS)	/* wait for the answer to a quick Ping: three long round trips */

enum uplink_state {
	UPLINK_IDLE,		/* waits for the next try */
	UPLINK_RESOLVING,	/* DNS */
	UPLINK_CONNECTING,	/* TCP and TLS */
	UPLINK_GREETING,	/* Hello sent */
	UPLINK_READY,		/* Welcome came */
	UPLINK_REFUSED,		/* wrong key, not allowed, version: tried again only by uplink_wake() and every 30 s */
	UPLINK_STATE_COUNT
};

/**
 * uplink_new() - start connecting
 * @text:	HOST[:PORT]
 * Events go to the session part: session_on_uplink() at each change to or from READY or REFUSED,
 * session_on_message() for Invited, Answered, Go and Failed with a session.
 */
struct uplink *uplink_new(struct node *node, const char *text);
void uplink_free(struct uplink *uplink);

/** uplink_state() - READY is the one in which messages can be sent */
enum uplink_state uplink_state(const struct uplink *uplink);

/** uplink_name() - HOST[:PORT] as configured */
const char *uplink_name(const struct uplink *uplink);

/** uplink_problem() - the last failure, for people; "" when there was none */
const char *uplink_problem(const struct uplink *uplink);

/** uplink_tried() - has a try come to its end since the start, READY or not? */
bool uplink_tried(const struct uplink *uplink);

/**
 * uplink_explain() - why it is not READY: the last failure, else how far the first try has come
 * @text:	one line for people, with the server's address where it is known, @size bytes
 */
void uplink_explain(const struct uplink *uplink, char *text, size_t size);

/** uplink_wrong_key() - is it REFUSED because the server's key is not the pinned one? */
bool uplink_wrong_key(const struct uplink *uplink);

/** uplink_wake() - try now */
void uplink_wake(struct uplink *uplink);

/**
 * uplink_check() - the network has changed: is the connection still alive?
 * READY: a quick Ping, dead within UPLINK_CHECK x 2; else as uplink_wake()
 */
void uplink_check(struct uplink *uplink);

/**
 * uplink_advanced() - has the try that is under way come somewhere?
 * Return: when (clock_now()) it came to its last step: addresses, TCP, TLS; 0: no try is under way, or
 * it has not found an address yet
 */
uint64_t uplink_advanced(const struct uplink *uplink);

/** uplink_state_name() - "ready", "connecting" ..., for status and logs */
const char *uplink_state_name(enum uplink_state state);

/** uplink_observed() - this connection's own end as the server sees it. Return: 0 or -ENOTCONN (not READY, not told) */
int uplink_observed(const struct uplink *uplink, struct endpoint *observed);

/** uplink_send() - queue one message. Return: 0, -ENOTCONN (not READY), -ENOMEM */
int uplink_send(struct uplink *uplink, const Punch__Message *message);

/** uplink_server() - address reached, port of TLS; valid while READY */
const struct endpoint *uplink_server(const struct uplink *uplink);

/**
 * uplink_server_for() - the same server's address for sockets of @family: where it was reached by IPv6 and IPv4 is
 * wanted, another address of its name. Return: uplink_server() when there is none
 */
const struct endpoint *uplink_server_for(const struct uplink *uplink, int family);

/** uplink_probes() - where to ask for one's mapped address. Return: count, at most UPLINK_PROBES */
unsigned int uplink_probes(const struct uplink *uplink, struct endpoint probes[UPLINK_PROBES]);

/**
 * struct uplink_relay - a relay of the server, as it says
 * @host:	name or literal, printable; "": the address at which the server was reached
 */
struct uplink_relay {
	char host[LIMIT_HOST];
	uint16_t port;
};

/**
 * uplink_relays() - those that the server has, reachable or not. Return: count, at most LIMIT_RELAYS; valid while READY
 */
unsigned int uplink_relays(const struct uplink *uplink, const struct uplink_relay **relays);

/** uplink_local() - own address of the connection, port 0. Return: 0 or -ENOTCONN */
int uplink_local(const struct uplink *uplink, struct endpoint *local);

/** uplink_hello_changed() - node_receives() changed: say Hello again */
void uplink_hello_changed(struct uplink *uplink);

/** uplink_rtt_us() - round-trip time to the server, the least of late (common/rtt.h), 0 when not connected */
uint32_t uplink_rtt_us(const struct uplink *uplink);

#endif
