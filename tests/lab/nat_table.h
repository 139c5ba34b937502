/* SPDX-License-Identifier: MIT */
/*
 * The NAT's memory: mappings, the sessions that go through them, and which outside ports are taken.
 *
 * A mapping ties an inside address and port to an outside port, for everybody or for some remote
 * ends only. A session is one connection through a mapping. A mapping lives as long as it has sessions, or until the time
 * for which it was granted to the host (nat_pmp.c); then anybody may use it.
 */
#ifndef LAB_NAT_TABLE_H
#define LAB_NAT_TABLE_H

#include "nat_core.h"

#define NAT_BUCKETS 4096u
#define NAT_SESSIONS_MAX 65536u /* a small carrier NAT's table; over it, new connections are dropped */

/* How far a session has come. Other than TCP is always NAT_SESSION_DATAGRAM. */
enum nat_state {
	/* Some SYN went through, not from both ends and acknowledged. May become any of the next three. */
	NAT_SESSION_OPENING,
	/* Both ends sent a SYN and one acknowledged. Also a connection first seen in its middle. */
	NAT_SESSION_OPEN,
	/* Both ends sent a FIN. A new SYN makes it OPENING again. */
	NAT_SESSION_CLOSING,
	/* An RST went through. A new SYN from inside makes it OPENING again. */
	NAT_SESSION_RESET,
	/* Not TCP: no states. */
	NAT_SESSION_DATAGRAM,
	NAT_SESSION_STATES,
};

/* The three ends that tell connections apart; ports in host order, 0 for the far end of an ICMP query. */
struct nat_end {
	struct in6_addr addr;
	uint16_t port;
};

struct nat_map {
	struct nat_map *next_in, *next_out; /* chains of the two tables */
	struct nat_end in, out;		    /* inside end, and what the outside sees */
	struct nat_end rem;		    /* only what the mapping behaviour looks at, else zero */
	uint8_t proto;
	unsigned int sessions;
	uint64_t granted; /* time, 0 never was */
	bool controlled; /* its first session is alive: nat_conf.control */
};

struct nat_session {
	struct nat_session *next_in, *next_out; /* chains of the two tables */
	struct nat_session *next, **prev;	/* all sessions */
	struct nat_map *map;
	struct nat_end rem;
	enum nat_state state;
	uint64_t expires;
	bool first;	       /* the mapping's first: nat_conf.control */
	bool syn_in, syn_out;  /* which end has sent a SYN, and a FIN */
	bool fin_in, fin_out;
	uint32_t fin_in_end, fin_out_end;    /* sequence number behind each FIN */
	bool fin_in_acked, fin_out_acked;
	bool answered;	       /* something other than an RST came in */
};

/* A box. The table's functions use all but link, queue and held. */
struct nat {
	struct nat_conf conf;
	struct nat_ops ops;
	uint64_t born, now;
	uint64_t started; /* as born, but anew with each nat_flush() */
	unsigned int grants; /* mappings that are granted */
	struct nat_map *maps_in[NAT_BUCKETS], *maps_out[NAT_BUCKETS];
	struct nat_session *in[NAT_BUCKETS], *out[NAT_BUCKETS];
	struct nat_session *all;
	unsigned int map_count, session_count;
	uint64_t syns;	/* from inside */
	uint64_t sweep; /* when to look for expired sessions */
	uint32_t made;	/* ports given out in sequence */
	uint64_t rng_ports, rng_in, rng_out;
	uint64_t link_last[2]; /* when the last packet on its way arrives, each way */
	struct nat_queue *queue;
	struct nat_held *held;
	struct {
		struct in6_addr addrs[NAT_INSIDE_ADDRS];
		unsigned int count;
		uint32_t block; /* first port of its block, 0 = none yet */
	} inside[NAT_INSIDE_MAX];
	unsigned int inside_count;
};

/**
 * nat_random() - The next number of a reproducible series (splitmix64)
 * @state:	the series
 *
 * Return: 64 random bits.
 */
uint64_t nat_random(uint64_t *state);

/**
 * nat_log() - Write a line, with the time since the box was made, to the log
 * @n:		box
 * @format:	as printf
 */
void nat_log(const struct nat *n, const char *format, ...) __attribute__((format(printf, 2, 3)));

/**
 * nat_inside_of() - Which host behind the box has an address
 * @n:		box
 * @addr:	address
 *
 * Return: its index, or -ENOENT.
 */
int nat_inside_of(const struct nat *n, const struct in6_addr *addr);

/**
 * nat_session_out() - Find the session of a packet that leaves
 * @n:		box
 * @proto:	protocol
 * @in:		inside end
 * @rem:	remote end
 *
 * Return: the session, or NULL.
 */
struct nat_session *nat_session_out(struct nat *n, uint8_t proto, const struct nat_end *in,
				    const struct nat_end *rem);

/**
 * nat_session_in() - Find the session of a packet that comes in
 * @n:		box
 * @proto:	protocol
 * @out:	outside end
 * @rem:	remote end
 *
 * Return: the session, or NULL.
 */
struct nat_session *nat_session_in(struct nat *n, uint8_t proto, const struct nat_end *out,
				   const struct nat_end *rem);

/**
 * nat_map_out() - Find, or make, the mapping for a connection from inside
 * @n:		box
 * @proto:	protocol
 * @in:		inside end
 * @rem:	remote end
 *
 * Return: the mapping, or NULL without a free port or memory.
 */
struct nat_map *nat_map_out(struct nat *n, uint8_t proto, const struct nat_end *in,
			    const struct nat_end *rem);

/**
 * nat_map_in() - Find the mapping that a packet from outside may use, as the filtering allows
 * @n:		box
 * @proto:	protocol
 * @out:	outside end
 * @rem:	remote end
 *
 * Return: the mapping, or NULL; an exact session is not looked for.
 */
struct nat_map *nat_map_in(struct nat *n, uint8_t proto, const struct nat_end *out,
			   const struct nat_end *rem);

/**
 * nat_map_grant() - Make a mapping that lives by itself and lets everybody in, or prolong it
 * @n:		box
 * @proto:	protocol
 * @in:		inside end
 * @wish:	outside port that is wished for, 0 any
 * @until:	time
 *
 * Return: the mapping, or NULL without a free port or memory.
 */
struct nat_map *nat_map_grant(struct nat *n, uint8_t proto, const struct nat_end *in, uint16_t wish, uint64_t until);

/**
 * nat_map_revoke() - Take back what was granted; connections go on
 * @n:		box
 * @proto:	protocol
 * @in:		inside end; port 0: all of this address
 */
void nat_map_revoke(struct nat *n, uint8_t proto, const struct nat_end *in);

/**
 * nat_session_new() - Begin a session
 * @n:		box
 * @map:	its mapping; freed if it has no session and this fails
 * @rem:	remote end
 *
 * Return: the session, or NULL if the table is full.
 */
struct nat_session *nat_session_new(struct nat *n, struct nat_map *map, const struct nat_end *rem);

/**
 * nat_session_track() - Follow a packet through its session
 * @n:		box
 * @s:		session; freed if this packet ends it
 * @v:		the packet
 * @inbound:	true if it comes from outside
 */
void nat_session_track(struct nat *n, struct nat_session *s, const struct nat_view *v, bool inbound);

/**
 * nat_table_sweep() - Drop the sessions whose time is over
 * @n:	box; its now is current
 */
void nat_table_sweep(struct nat *n);

/**
 * nat_table_clear() - Drop every session
 * @n:	box
 */
void nat_table_clear(struct nat *n);

#endif
