/* SPDX-License-Identifier: MIT */
/*
 * limits.h - what strangers may ask of the relay, and how long it waits for them
 */
#ifndef RELAY_LIMITS_H
#define RELAY_LIMITS_H

#include "common/bucket.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/ticket.h"

/* a hello is one small packet: slower ones are broken or hostile */
#define RELAY_HELLO_TIME	(5 * SECOND)
/* above PUNCH_TIMEOUT's default of 15 s: the caller gives up first */
#define RELAY_PARTNER_TIME	(20 * SECOND)
/* for a refused side to read its RelayReply before we close */
#define RELAY_LEAVE_TIME	(2 * SECOND)
/* for bytes that came before a reset to reach the other side */
#define RELAY_FLUSH_TIME	(5 * SECOND)
/* between two looks at send queues meanwhile: there is no event for "empty" */
#define RELAY_FLUSH_LOOK	(10 * MS)
/* pairs a look: 1 us each, and 50 us for one that ends; a relay's user notices 10 ms */
#define RELAY_FLUSH_BATCH	128

/* sides without a good ticket, all together; each costs 1 KiB and what the kernel has for it */
#define RELAY_STRANGERS		8192
/* of one in so many descriptors, where that is less: a quarter is for pipes, half for pairs */
#define RELAY_STRANGERS_FIT	8
/* of one address: one in 64, while a carrier's users show 128 tickets in one round trip */
#define RELAY_STRANGERS_SHARE	128
/* then it makes room for the next one of its address: a ticket is due in the first round trip */
#define RELAY_STRANGER_TIME	(1 * SECOND)
/* sides with a good ticket that have not been joined yet, all together */
#define RELAY_VISITORS		8192
#define RELAY_VISITORS_FIT	8	/* as RELAY_STRANGERS_FIT */
/* sides of one address at one time, joined ones included: a carrier's NAT has many users */
#define RELAY_PER_SOURCE	4096
#define RELAY_SOURCES		65536	/* addresses remembered; about 100 bytes each */
/* node keys with pairs, or that owe bytes; about 100 bytes each */
#define RELAY_KEYS		131072
/* of a limit of bytes: what a key may have carried ahead; TCP notices less */
#define RELAY_KEY_BURST		(200 * MS)
/* between two looks at pairs whose keys have to wait: 100 a second are smooth */
#define RELAY_KEY_TICK		(10 * MS)
/* Used tickets remembered until they expire, 60 s each: 2,184 new ones a second; about 120 bytes each */
#define RELAY_NONCES		131072
/* One address: fewer than one in 16 of the free ones; 7,710 in an empty table, 128 a second */
#define RELAY_NONCES_PART	16
/* bytes read and thrown away from a refused side, for the same reason as RELAY_LEAVE_TIME */
#define RELAY_DISCARD		(256 * 1024)
#define RELAY_SCRAPERS		8	/* metrics connections at one time */
#define RELAY_SCRAPE_TIME	(5 * SECOND)

/* Verifying a hello costs 4 us, an accept and a close about 80 us: one address may take a fifth of a core */
#define RELAY_HELLO_RATE	((struct rate){ .per_second = 2500, .burst = 5000 })

/* SealedTicket in a RelayHello in a frame: TICKET_MAX and some bytes of protobuf around it */
#define RELAY_HELLO_MAX		(TICKET_MAX + 16)

/*
 * Socket buffers of a flow until it has passed bytes on, and when there is no room for more, as the
 * kernel counts them: twice what SO_RCVBUF and SO_SNDBUF are given, up to two bytes for each that waits.  A
 * send buffer takes one more packet (of 64 KiB, before it is cut for the wire) while it is not full.  So
 * a pair whose readers stall holds 320 KiB.  See room.c.
 */
#define RELAY_LEAST_RECEIVE	(64 * 1024)
#define RELAY_LEAST_SEND	(32 * 1024)
#define RELAY_ROOM_PACKET	(64 * 1024)
/* not counted */
#define RELAY_ROOM_FREE		(RELAY_LEAST_RECEIVE + RELAY_LEAST_SEND + RELAY_ROOM_PACKET)

/* Pairs, if the operator sets no number: what they hold when all readers stall is at most half of the memory */
#define RELAY_PAIR_LEAST	(2 * RELAY_ROOM_FREE)
#define RELAY_PAIRS_MEMORY	2
/* Of their sides, one address has a quarter at most, if that is less than RELAY_PER_SOURCE, but always some */
#define RELAY_PER_SOURCE_FIT	4
#define RELAY_PER_SOURCE_LEAST	64

/* What all flows together may have above that, and where a single one stops: 300 Mbit/s at 100 ms */
#define RELAY_ROOM_MIB		256
#define RELAY_ROOM_PRESSURE(budget) ((budget) / 4 * 3)
#define RELAY_ROOM_MOST		(8 * 1024 * 1024)	/* of both buffers */
/* of one: the usual tcp_rmem, if that is larger */
#define RELAY_ROOM_RECEIVE	(6 * 1024 * 1024)
/* growth that RELAY_ROOM_LOOK bytes can bring */
#define RELAY_ROOM_STEP		(2 * 1024 * 1024)
/* 256 KiB a round trip, 40 Mbit/s at 50 ms: without growing */
#define RELAY_ROOM_HELD		(1024 * 1024)
/* bytes that somebody read: what slow start sends in 3 round trips */
#define RELAY_ROOM_PROOF	(64 * 1024)
/* bytes passed on between two looks, which cost 0.5 us each */
#define RELAY_ROOM_LOOK		(256 * 1024)
#define RELAY_ROOM_IDLE		(10 * SECOND)	/* without a look: holds its room for nothing */

/*
 * Bytes a borrowed pipe holds.  64 KiB cost half as much CPU again at 16 streams, 1 MiB gains nothing (measured).
 * Without privilege the kernel gives 256 such pipes (pipe-user-pages-soft, 16,384 pages); further
 * directions that hold bytes at the same moment use the copy buffer.
 */
#define RELAY_PIPE		(256 * 1024)
#define RELAY_PIPE_LEAST	(64 * 1024)	/* a pipe below this is slower than copying */
#define RELAY_COPY		(64 * 1024)	/* bytes of a copy buffer */
/* pipes kept ready; an idle one holds two descriptors and 3 KiB */
#define RELAY_CARRIERS_IDLE	64

/* Moves for one direction before others get their turn: at most 2 MiB, some 0.5 ms */
#define RELAY_TURN		8

/* TCP keepalive: a dead end is seen after 60 + 4 * 15 s */
/* below the 2 h 4 min of RFC 5382 REQ-5 and below the 5 min of careless NATs */
#define RELAY_KEEP_IDLE_S	60
#define RELAY_KEEP_INTERVAL_S	15
#define RELAY_KEEP_COUNT	4

/*
 * TCP_USER_TIMEOUT before the join, when only hello and reply are under way.  Not after it: the kernel also
 * kills a connection whose reader is alive but keeps its window shut that long (a program stopped by Ctrl-Z),
 * which a direct connection survives.  There, data that nobody acknowledges ends it by tcp_retries2 (15 min).
 */
#define RELAY_USER_TIMEOUT_MS	20000

#endif
