/* SPDX-License-Identifier: MIT */
/* The outside link of a box: delay, jitter and loss, each way; and what the box says on it. */
#ifndef LAB_NAT_LINK_H
#define LAB_NAT_LINK_H

#include "nat_table.h"

/**
 * nat_drop() - Log that a packet ends here
 * @n:		box
 * @v:		the packet
 * @inbound:	true if it came from outside
 * @why:	reason, one word
 */
void nat_drop(const struct nat *n, const struct nat_view *v, bool inbound, const char *why);

/**
 * nat_link_pass() - Take a packet over the outside link
 * @n:		box; its now is current
 * @to:		NAT_OUTSIDE for a packet that leaves, NAT_INSIDE for one that comes in
 * @p:		packet, copied if it must wait
 *
 * Return: true if the link takes no time at present and the caller goes on with the packet; false
 * if it was lost, or waits and comes out of the queue.
 */
bool nat_link_pass(struct nat *n, enum nat_side to, const struct nat_pkt *p);

/**
 * nat_link_send() - Send a packet outside, over the link
 * @n:	box
 * @p:	packet
 */
void nat_link_send(struct nat *n, const struct nat_pkt *p);

/**
 * nat_answer_icmp() - Answer a packet with an ICMP error, towards where it came from
 * @n:		box
 * @v:		packet to answer
 * @what:	the error
 * @host:	index of the inside host that sent it, or -1 if it came from outside
 */
void nat_answer_icmp(struct nat *n, const struct nat_view *v, enum nat_icmp what, int host);

/**
 * nat_answer_rst() - Answer a TCP packet with an RST, towards where it came from
 * @n:		box
 * @v:		packet to answer
 * @host:	index of the inside host that sent it, or -1 if it came from outside
 */
void nat_answer_rst(struct nat *n, const struct nat_view *v, int host);

/**
 * nat_stray() - Deal with a packet from outside that nothing inside asked for
 * @n:	box
 * @p:	packet
 * @v:	view of it
 */
void nat_stray(struct nat *n, const struct nat_pkt *p, const struct nat_view *v);

/**
 * nat_held_cancel() - A SYN leaves: forget the held one that it meets (RFC 5382, REQ-4)
 * @n:		box
 * @out:	outside end of the connection
 * @rem:	its remote end
 */
void nat_held_cancel(struct nat *n, const struct nat_end *out, const struct nat_end *rem);

/**
 * nat_held_run() - Answer the held SYNs whose time is over
 * @n:	box; its now is current
 *
 * Return: when the next one is due, or NAT_NEVER.
 */
uint64_t nat_held_run(struct nat *n);

void nat_held_clear(struct nat *n);

#endif
