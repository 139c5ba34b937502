/* SPDX-License-Identifier: MIT */
/*
 * dns_channel.h - a c-ares channel on a libevent loop, for dns.c only
 */
#ifndef PUNCH_DNS_CHANNEL_H
#define PUNCH_DNS_CHANNEL_H

#include <ares.h>
#include <event2/event.h>

struct dns_watch;

/** struct dns_channel - must not move while it is open */
struct dns_channel {
	ares_channel ares;		/* NULL: not open */
	struct event_base *base;
	struct event *timer;		/* c-ares's own timeouts */
	struct dns_watch *watches;	/* one for each of its sockets */
};

/**
 * dns_channel_open() - read /etc/resolv.conf; no packet is sent
 * @channel:	zeroed
 * Return: ARES_SUCCESS, or why not, for ares_strerror(); then there is nothing to close
 */
int dns_channel_open(struct dns_channel *channel, struct event_base *base);

/** dns_channel_close() - end all that is asked (callbacks get ARES_EDESTRUCTION); does nothing if not open */
void dns_channel_close(struct dns_channel *channel);

/** dns_channel_arm() - after each question asked from outside of c-ares's callbacks: let its timeouts come */
void dns_channel_arm(struct dns_channel *channel);

#endif
