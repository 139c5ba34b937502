/* SPDX-License-Identifier: MIT */
/*
 * The lab's NAT without its I/O: packets and the time go in, packets and the next deadline come out.
 *
 * See nat_core.c for the theory of operation and nat_conf.c for the options' names.
 */
#ifndef LAB_NAT_CORE_H
#define LAB_NAT_CORE_H

#include "nat_pkt.h"

#define NAT_NEVER UINT64_MAX
#define NAT_MS 1000ull
#define NAT_SECOND 1000000ull
#define NAT_INSIDE_MAX 32u	/* hosts behind one box: far more than a scenario reads well with */
#define NAT_INSIDE_ADDRS 4u	/* addresses of one host: IPv4, IPv6 and some to spare */

/* Whom a mapping is for (RFC 4787, 4.1; RFC 5382, 4.1). */
enum nat_mapping {
	NAT_MAP_NONE,	      /* no NAT at all: a wire with delay and loss */
	NAT_MAP_ENDPOINT,     /* one for each inside address and port */
	NAT_MAP_ADDRESS,      /* one for each of these and remote address */
	NAT_MAP_ADDRESS_PORT, /* one for each connection ("symmetric") */
	NAT_MAP_COUNT,
};

/* What may come in through a mapping (RFC 4787, 5). */
enum nat_filtering {
	NAT_FILTER_NONE,
	NAT_FILTER_ADDRESS,
	NAT_FILTER_ADDRESS_PORT,
	NAT_FILTER_SYNACK, /* as the last, but never a bare SYN: simultaneous open is broken */
	NAT_FILTER_COUNT,
};

/* The answer to a SYN that nobody inside asked for. */
enum nat_stray {
	NAT_STRAY_DROP,
	NAT_STRAY_RST,
	NAT_STRAY_ICMP,	      /* host unreachable */
	NAT_STRAY_ICMP_ADMIN, /* administratively prohibited */
	NAT_STRAY_HELD,	      /* RFC 5382 REQ-4: none for 6 s, then port unreachable */
	NAT_STRAY_COUNT,
};

/* The outside port of a new mapping. */
enum nat_ports {
	NAT_PORTS_PRESERVE, /* the inside port if it is free */
	NAT_PORTS_OFFSET,   /* another one, always the same for an inside port */
	NAT_PORTS_SEQUENTIAL,
	NAT_PORTS_RANDOM,
	NAT_PORTS_BLOCK, /* random within the block of this inside host (RFC 7422) */
	NAT_PORTS_PARITY, /* random, with the parity of the inside port (RFC 4787, 4.2.2) */
	NAT_PORTS_COUNT,
};

/* Options of one box; see nat_conf.c. Times in microseconds. */
struct nat_conf {
	enum nat_mapping mapping;
	enum nat_filtering filtering;
	enum nat_stray stray;
	enum nat_ports ports;
	uint32_t block;	   /* ports in a block */
	uint32_t pace;	   /* ports a second that others use up, for NAT_PORTS_SEQUENTIAL */
	bool hairpin;
	bool pmp;	   /* speak NAT-PMP: nat_pmp.c */
	bool time_exceeded; /* send ICMP when a TTL ends here */
	bool ttl;	    /* count down the TTL */
	bool hide_router;   /* give back the hop that the lab's router takes: neighbouring NATs */
	bool control;	    /* a mapping dies with its first connection */
	bool offload;	    /* for nat_tun.c: whole TCP segments of up to 64 KiB */
	uint64_t established, transitory, datagram;
	uint64_t delay, jitter; /* one way, each way */
	uint32_t loss_in, loss_out; /* of a million packets */
	uint64_t seed;
	struct in6_addr inside, outside; /* the box's own addresses */
};

struct nat;

enum nat_side { NAT_INSIDE, NAT_OUTSIDE };

/* What the core calls back. */
struct nat_ops {
	/* Send @p; @host is the index from nat_add_inside() when @side is NAT_INSIDE. The packet is
	 * the core's. */
	void (*send)(void *arg, enum nat_side side, unsigned int host, const struct nat_pkt *p);
	/* Write one line (without newline) to the log. */
	void (*log)(void *arg, const char *line);
	void *arg;
};

/**
 * nat_conf_init() - Set every option to its default
 * @c:	options
 */
void nat_conf_init(struct nat_conf *c);

/**
 * nat_conf_set() - Set one option
 * @c:		options
 * @text:	"key=value"
 * @err:	what is wrong with it, cut to @size
 * @size:	bytes in @err
 *
 * Return: 0, or -EINVAL with @err written.
 */
int nat_conf_set(struct nat_conf *c, const char *text, char *err, size_t size);

/**
 * nat_new() - Make a box
 * @c:		its options, copied
 * @ops:	callbacks, copied
 * @now:	time in microseconds, the zero of the log's times
 *
 * Return: the box, or NULL without memory. Free it with nat_free().
 */
struct nat *nat_new(const struct nat_conf *c, const struct nat_ops *ops, uint64_t now);

void nat_free(struct nat *n);

/**
 * nat_reconfigure() - Change options while connections live
 * @n:	box
 * @c:	new options, copied; mappings that exist are kept
 */
void nat_reconfigure(struct nat *n, const struct nat_conf *c);

/**
 * nat_get_conf() - The options in force
 * @n:	box
 *
 * Return: the box's own options, valid until nat_reconfigure() or nat_free().
 */
const struct nat_conf *nat_get_conf(const struct nat *n);

/**
 * nat_add_inside() - Tell the box of a host behind it
 * @n:		box
 * @addrs:	the host's addresses
 * @count:	how many, at most NAT_INSIDE_ADDRS
 *
 * Return: index of the host, or -ENOSPC.
 */
int nat_add_inside(struct nat *n, const struct in6_addr *addrs, unsigned int count);

/**
 * nat_input() - A packet arrived
 * @n:		box
 * @side:	where
 * @host:	index of the host, if NAT_INSIDE
 * @p:		packet; its bytes may be changed, and are free again on return
 * @now:	time in microseconds, never going back
 */
void nat_input(struct nat *n, enum nat_side side, unsigned int host, struct nat_pkt *p, uint64_t now);

/**
 * nat_run() - Do what is due
 * @n:		box
 * @now:	time in microseconds
 *
 * Return: when to call again at the latest, or NAT_NEVER.
 */
uint64_t nat_run(struct nat *n, uint64_t now);

/**
 * nat_flush() - Forget every mapping, as a box does that was switched off and on
 * @n:	box
 */
void nat_flush(struct nat *n);

/**
 * nat_mappings() - Count the mappings that live
 * @n:	box
 *
 * Return: their number.
 */
unsigned int nat_mappings(const struct nat *n);

/**
 * nat_syns() - Count the bare SYNs that hosts behind the box sent, the kernel's repetitions included
 * @n:	box
 *
 * Return: their number since the box was made.
 */
uint64_t nat_syns(const struct nat *n);

#endif
