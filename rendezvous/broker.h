/* SPDX-License-Identifier: MIT */
/*
 * broker.h - who is online, who calls whom, and when both start
 *
 * Pure: no I/O, time is an argument.  What must be sent goes out through struct
 * broker_ops; those functions must not call the broker back.
 */
#ifndef RENDEZVOUS_BROKER_H
#define RENDEZVOUS_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/endpoint.h"
#include "common/punch.pb-c.h"
#include "common/sources.h"
#include "rendezvous/limits.h"

struct broker;
struct broker_node;	/* one connection that said Hello */

/** struct broker_payload - Signed, which only the two nodes can read; bytes belong to the caller */
struct broker_payload {
	const uint8_t *body, *signature;
	size_t body_size, signature_size;
};

/** struct broker_call - what a session is about */
struct broker_call {
	uint8_t session[SESSION_SIZE];
	uint8_t caller[KEY_SIZE];
	uint8_t callee[KEY_SIZE];
};

/**
 * struct broker_origin - where a call comes from that another server has forwarded
 * @server:	its name
 * @source:	of the caller's address there
 * @rtt_us:	caller <-> @server
 * @hop_us:	one way from @server to this one
 */
struct broker_origin {
	const char *server;
	uint8_t source[SOURCE_PREFIX_SIZE];
	uint32_t rtt_us, hop_us;
};

/** struct broker_failure - why something did not work; @text for people */
struct broker_failure {
	Punch__FailReason reason;
	const char *text;
	bool retry;
};

/**
 * struct broker_ops - what the broker wants done
 * @peer is what broker_join() was given, @ctx what broker_new() was given.
 *
 * @rtt_us:	round-trip time of a connection now, 0 unknown
 * @describe:	name of a connection for a log line, in a static buffer of its own
 * @invited:	send Invited. @relays: offers that came with the invitation from another server, NULL: make our own
 * @answered:	send Answered
 * @go:		send Go
 * @failed:	send Failed. @session: NULL when the connection is meant
 * @waiting:	bytes that wait for it to read them
 * @drop:	close after what was sent; the broker has forgotten the node already
 * @find:	ask the store where the callee is. Return: 0 nobody has it, 1 broker_found() will come, -errno no store
 * @announce, @withdraw: this server holds, holds no more a node that receives
 * @forward_invite: as forward_*(). @origin: us; server and hop_us are not filled in
 * @forward_*:	hand over to another server. Return: 0, or -errno when the store takes nothing now
 */
struct broker_ops {
	uint32_t (*rtt_us)(void *peer);
	const char *(*describe)(void *peer);
	void (*invited)(void *peer, const struct broker_call *call,
			const struct broker_payload *payload, const void *relays,
			uint32_t caller_rtt_us, uint32_t own_rtt_us);
	void (*answered)(void *peer, const struct broker_call *call,
			 const struct broker_payload *payload, uint32_t callee_rtt_us,
			 uint32_t own_rtt_us);
	void (*go)(void *peer, const struct broker_call *call, uint32_t start_in_us);
	void (*failed)(void *peer, const uint8_t session[SESSION_SIZE],
		       const struct broker_failure *failure);
	size_t (*waiting)(void *peer);
	void (*drop)(void *peer);
	int (*find)(void *ctx, const struct broker_call *call);
	void (*announce)(void *ctx, const uint8_t key[KEY_SIZE]);
	void (*withdraw)(void *ctx, const uint8_t key[KEY_SIZE]);
	int (*forward_invite)(void *ctx, const char *server, const struct broker_call *call,
			      const struct broker_payload *payload, void *peer,
			      const struct broker_origin *origin);
	int (*forward_reply)(void *ctx, const char *server, const struct broker_call *call,
			     const struct broker_payload *payload, uint32_t callee_rtt_us,
			     uint32_t start_in_us);
	int (*forward_failed)(void *ctx, const char *server, const struct broker_call *call,
			      const struct broker_failure *failure);
};

/** struct broker_stats - counted since the start, but for the first three */
struct broker_stats {
	unsigned int nodes, receivers, sessions;	/* now */
	uint64_t invites, answered, replaced;
	uint64_t failed[8];				/* by Punch__FailReason */
};

/**
 * broker_new()
 * @nodes:	most of them at one time
 * Return: broker_free() (which frees the nodes that have not left, too), or NULL without memory
 */
struct broker *broker_new(const struct broker_ops *ops, void *ctx, unsigned int nodes, uint64_t now);
void broker_free(struct broker *broker);

/**
 * broker_join() - a connection proved its key and said Hello
 * An older connection of the same key that receives is replaced if this one wants to receive too.
 * Who is there stays; a newcomer is refused where its address has its share of the places, see places_new_kept().
 * @peer:	handed to the ops
 * @from:	its address
 * @node:	the broker's; ends with broker_leave(), or when ops->drop was called for @peer
 * Return: 0, or -EUSERS (too many connections of the key or of the address), -EAGAIN (it registers too often), -ENOBUFS
 * (too many of all) or -ENOMEM, of which the node was told
 */
int broker_join(struct broker *broker, void *peer, const uint8_t key[KEY_SIZE], const struct endpoint *from,
		bool receive, uint64_t now, struct broker_node **node);

/**
 * broker_receive() - Hello was said again: wants invitations from now on, or no longer
 * Return: 0, or -EAGAIN (the key registers too often), of which the node was told: its connection is to be closed
 */
int broker_receive(struct broker *broker, struct broker_node *node, bool receive, uint64_t now);

/** broker_leave() - the connection is gone */
void broker_leave(struct broker *broker, struct broker_node *node, uint64_t now);

/** broker_invite() - a node calls another one */
void broker_invite(struct broker *broker, struct broker_node *node,
		   const uint8_t session[SESSION_SIZE], const uint8_t to[KEY_SIZE],
		   const struct broker_payload *payload, uint64_t now);

/** broker_refuse() - an invitation is not looked at, for a limit that is not the broker's. @text: which */
void broker_refuse(struct broker *broker, struct broker_node *node, const uint8_t session[SESSION_SIZE],
		   const char *text);

/** broker_reply() - a callee answers; an empty body says "nothing of me"; unknown sessions are ignored */
void broker_reply(struct broker *broker, struct broker_node *node,
		  const uint8_t session[SESSION_SIZE], const struct broker_payload *payload,
		  uint64_t now);

/**
 * broker_found() - the store's word for ops->find. @server: NULL: nobody has the callee. @err:
 * -errno when it could not say
 */
void broker_found(struct broker *broker, const struct broker_call *call, const char *server,
		  int err, uint64_t now);

/** broker_undelivered() - the server that an invitation was forwarded to is not there any more */
void broker_undelivered(struct broker *broker, const struct broker_call *call);

/** broker_remote_invite() - another server's node calls one of ours. @relays: handed to ops->invited */
void broker_remote_invite(struct broker *broker, const struct broker_origin *origin,
			  const struct broker_call *call, const struct broker_payload *payload,
			  const void *relays, uint64_t now);

/** broker_remote_reply() - the answer to what we forwarded. @call: caller is not read */
void broker_remote_reply(struct broker *broker, const struct broker_call *call,
			 const struct broker_payload *payload, uint32_t callee_rtt_us,
			 uint32_t start_in_us);

/** broker_remote_failed() - likewise */
void broker_remote_failed(struct broker *broker, const struct broker_call *call,
			  const struct broker_failure *failure, uint64_t now);

/** broker_store_up() - the store answers again, and may have lost all: other servers are about to say what they have */
void broker_store_up(struct broker *broker, uint64_t now);

/** broker_lost() - another server has a newer connection of this key that receives. @server: its name, for the log */
void broker_lost(struct broker *broker, const uint8_t key[KEY_SIZE], const char *server, uint64_t now);

/** broker_run() - end what is overdue. Return: next deadline */
uint64_t broker_run(struct broker *broker, uint64_t now);

/** broker_stats() - figures; valid as long as the broker */
const struct broker_stats *broker_stats(struct broker *broker);

#endif
