/* SPDX-License-Identifier: MIT */
/*
 * limits.h - what strangers may ask of the rendezvous, and how long it waits for them
 */
#ifndef RENDEZVOUS_LIMITS_H
#define RENDEZVOUS_LIMITS_H

#include "common/bucket.h"
#include "common/clock.h"
#include "common/limits.h"

/* Rates are initialisers of struct rate */

/* ---- connections (client.c) */
#define RDV_HELLO_TIME		(10 * SECOND)	/* accept, TLS handshake and Hello together: 5 round trips of 2 s */
/* told to nodes; below the 30 s after which the worst NATs forget (RFC 5382 asks for 2 h) */
#define RDV_KEEPALIVE_S		25
#define RDV_SILENCE_TIME	(90 * SECOND)	/* three keepalives and one late; then the node is gone */
#define RDV_LEAVE_TIME		(2 * SECOND)	/* for a node to read its last Failed before we close */
#define RDV_USER_TIMEOUT_MS	30000		/* unacknowledged data: a vanished node stops being "online" */
/* bytes waiting for one node: who has more does not read, and is dropped */
#define RDV_QUEUE		(256 * 1024)
/* of them answers to the node itself: until it has read some it is not listened to */
#define RDV_QUEUE_OWN		(16 * 1024)
#define RDV_QUEUES		(64 * 1024 * 1024)	/* bytes in the queues of all, from them and for them, */
#define RDV_QUEUES_FIT		(4 * 1024)	/* or so many for each descriptor, where that is less */
/* bytes a socket may hold each way, of which the kernel makes twice as many */
#define RDV_SOCKET		(32 * 1024)
#define RDV_CONNECTIONS		65536		/* all together; an idle one costs 18 KiB (measured) */
/* Those after their Hello. What is left is for RDV_STRANGERS, and as many that leave:
 * handshakes take 1 ms, RDV_LEAVE_TIME is 2 s */
#define RDV_NODES		57344
/* of one in so many descriptors, where that is less; so for the other tables that hold descriptors */
#define RDV_NODES_FIT		2
/* one address: fewer than one in 16 of the free ones; 3,373 in an empty table, for a carrier's NAT */
#define RDV_NODES_PART		16
#define RDV_STRANGERS		4096		/* of these, before their Hello: 48 KiB each (measured) */
#define RDV_STRANGERS_FIT	16
/* of one address: one in 64; 100 a second come and take a few round trips each */
#define RDV_STRANGERS_SHARE	64
/* then it makes room for the next one of its address: five fast round trips */
#define RDV_STRANGER_TIME	(1 * SECOND)
#define RDV_PER_SOURCE		4096		/* of one address: its nodes, its strangers, and those that leave */
#define RDV_SOURCES		65536		/* addresses remembered; about 100 bytes each */

/* A connection with its handshake costs 1 to 2 ms (measured): one address may take a fifth of a core */
#define RDV_CONNECT_RATE	{ .per_second = 100, .burst = 400 }
/* A node that serves 200 new connections a second sends 200 replies */
#define RDV_MESSAGE_RATE	{ .per_second = 500, .burst = 2000 }
/* Of one address: what is above waits, for 3,000 neighbours behind a carrier's NAT are not to
 * blame. A message costs 10 to 70 us */
#define RDV_SOURCE_MESSAGE_RATE	{ .per_second = 2000, .burst = 8000 }
#define RDV_MESSAGE_WAIT	(100 * MS)	/* then it is tried again */

/* ---- introductions (broker.c) */
/* a callee gathers candidates in 1 to 3 s; below PUNCH_TIMEOUT (15 s), so the caller hears why */
#define RDV_REPLY_TIME		(10 * SECOND)
/* the same where another server runs the first clock: its word comes first */
#define RDV_AWAY_TIME		(11 * SECOND)
#define RDV_SEEK_TIME		(2 * SECOND)	/* for the store to say where a node is */
/* after a start, while nodes find their way back, or servers to a store: they try again after at most 10 s */
#define RDV_GRACE		(15 * SECOND)
/* longest wait we order: round-trip times of 2 s are beyond satellites, or lies */
#define RDV_GO_MAX_US		1000000
/* connections of one key: nodes without a name of their own share one */
#define RDV_PER_KEY		256
#define RDV_CALLS		512		/* open invitations of one caller key */
#define RDV_RINGING		1024		/* open invitations to one callee key */
/* all together, about 300 bytes each, and its payload for RDV_SEEK_TIME */
#define RDV_SESSIONS		65536
/* of nodes of this server as callers; what is left is for other servers' */
#define RDV_OWN_SESSIONS	49152
/* one address: fewer than one in 16 of the free ones; 2,891 where there are no others, 963 of other servers' */
#define RDV_SESSIONS_PART	16
#define RDV_KEYS		131072		/* remembered, connected or not; about 200 bytes each */
/* a key is remembered after its last connection: its rate and its fights */
#define RDV_LINGER		(60 * SECOND)
#define RDV_FIGHT		3		/* replacements within RDV_LINGER that are no accident any more */
#define RDV_INVITE_RATE		{ .per_second = 50, .burst = 200 }
/* Of one address, whatever its keys. Unanswered for RDV_REPLY_TIME they would be 7,000:
 * RDV_SESSIONS_PART comes first */
#define RDV_SOURCE_INVITE_RATE	{ .per_second = 500, .burst = 2000 }
/*
 * To one callee, in pieces of RDV_RING_PIECE, which hold an invitation of today: 8 Mbit/s of its line at most.  Of one
 * address a tenth, and all that one key may send at once (RDV_INVITE_RATE).
 */
#define RDV_RING_PIECE		1024
#define RDV_RING_RATE		{ .per_second = 1000, .burst = 2000 }
#define RDV_RING_SOURCE_RATE	{ .per_second = 100, .burst = 250 }
#define RDV_RING_SOURCES	32		/* of a callee's callers, by a hash of their addresses: 8 bytes each */
/* Bytes waiting for a callee above which no invitation is added, so that strangers do not bring it to RDV_QUEUE */
/* a second at 1 Mbit/s; 200 at once are below 200 KiB, of which the kernel takes 64 */
#define RDV_RING_QUEUE		(128 * 1024)
#define RDV_RING_QUEUE_NEW	(192 * 1024)	/* where the caller's address has sent nothing to it lately */
/* Of one key: all RDV_PER_KEY connections lost and made again twice at once, and every 26 s for ever */
#define RDV_JOIN_RATE		{ .per_second = 10, .burst = 512 }

/* ---- probes (probe.c) */
#define RDV_PROBE_IDLE		(600 * SECOND)	/* clients keep the connection, for its NAT mapping, and renew it */
/* for a request from its first byte on; for the first one from the connection on */
#define RDV_PROBE_TIME		(10 * SECOND)
#define RDV_PROBE_STRANGERS	8192		/* connections before their first request */
#define RDV_PROBE_STRANGERS_FIT	8
/* of one address: one in 64; a symmetric NAT is measured by dozens at once */
#define RDV_PROBE_STRANGERS_SHARE 128
#define RDV_PROBES		32768		/* those after it, about 500 bytes each */
#define RDV_PROBES_FIT		4
#define RDV_PROBES_PER_SOURCE	4096		/* of one address, before and after */
/* connections; a symmetric NAT is measured by dozens */
#define RDV_PROBE_RATE		{ .per_second = 1000, .burst = 4000 }
#define RDV_STUN_RATE		{ .per_second = 20, .burst = 100 }	/* requests on one connection */
#define RDV_BACKS		1024	/* connections back reserved or under way all together */
#define RDV_BACKS_FIT		16
#define RDV_BACKS_SHARE		64	/* of one address: it tests with 4 at once */
#define RDV_BACK_KEPT		(5 * SECOND)	/* a reservation, for the client's word to go: two round trips of 2 s */
#define RDV_BACK_TIME		(1500 * MS)	/* for one: the SYN and its first retransmission after 1 s */
#define RDV_WAIT_MOST		520	/* s of silence before an answer, below RDV_PROBE_IDLE */
/* on one connection: two tests of filtering, one with a held port */
#define RDV_BACK_RATE		{ .per_second = 1, .burst = 4 }

/* ---- metrics */
#define RDV_SCRAPERS		8	/* connections at one time */
#define RDV_SCRAPE_TIME		(5 * SECOND)	/* request and answer together */
#define RDV_SCRAPE_MAX		4096	/* bytes of a request; Prometheus and curl send below 512 */

/* ---- files */
/* SIGHUP's file could not be read, but maybe then: a revocation is not to be lost */
#define RDV_RELOAD_AGAIN	(1 * SECOND)
#define RDV_ALLOWED		1000000		/* keys of an allow file, 32 MB */

/* ---- several servers with one store */
#define RDV_SERVER_ID		17		/* 16 hexadecimal digits and NUL: random at each start */
/* what a server said of its nodes is forgotten that long after its death */
#define RDV_PRESENCE_S		60
#define RDV_REFRESH		(20 * SECOND)	/* said again: twice may get lost */
#define RDV_STORE_BEAT		(1 * SECOND)	/* between two PINGs to the store: health and round-trip time */
#define RDV_STORE_SILENCE	(3 * SECOND)	/* without an answer the store is down */
#define RDV_STORE_PENDING	10000		/* questions to the store without an answer */
/* presences said again in one beat: all RDV_NODES in 14 s, within RDV_REFRESH */
#define RDV_STORE_REFRESHES	4096
#define RDV_STORE_BACK_MIN	(200 * MS)	/* first wait before reconnecting, doubled up to */
#define RDV_STORE_BACK_MAX	(10 * SECOND)
/* bytes of a Forward: a payload and 4 relays; what it carries fits a frame */
#define RDV_FORWARD		(12 * 1024)

/* ---- embedded relay */
#define RDV_CHILD_BACK_MIN	(100 * MS)	/* first wait before starting it again, doubled up to */
#define RDV_CHILD_BACK_MAX	(30 * SECOND)
#define RDV_CHILD_GOOD		(60 * SECOND)	/* one that lived that long starts with the first wait again */

#endif
