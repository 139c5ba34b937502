/* SPDX-License-Identifier: MIT */
/*
 * The outside link (delay, jitter, loss) and what the box itself says: RST, ICMP, and the SYNs
 * that it holds back before it answers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nat_link.h"
#include "nat_queue.h"

#define HELD_TIME (6 * NAT_SECOND) /* RFC 5382, REQ-4 */
#define HELD_MAX 256u		   /* a flood of SYNs costs no more memory than this many */
#define MILLION 1000000u

/* An unsolicited SYN, kept until its time is over or a SYN leaves to meet it. */
struct nat_held {
	struct nat_held *next;
	uint64_t when;
	struct nat_end out, rem;
	struct nat_pkt pkt;
	uint8_t bytes[];
};

void nat_drop(const struct nat *n, const struct nat_view *v, bool inbound, const char *why)
{
	char text[192];

	nat_pkt_print(v, text, sizeof(text));
	nat_log(n, "drop %s %s: %s", inbound ? "in" : "out", text, why);
}

static void drop_packet(const struct nat *n, const struct nat_pkt *p, enum nat_side to, const char *why)
{
	struct nat_view v;

	if (!nat_pkt_view(p, &v))
		nat_drop(n, &v, to == NAT_INSIDE, why);
	else
		nat_log(n, "drop %s %u bytes: %s", to == NAT_INSIDE ? "in" : "out", p->len, why);
}

bool nat_link_pass(struct nat *n, enum nat_side to, const struct nat_pkt *p)
{
	uint64_t *rng = to == NAT_INSIDE ? &n->rng_in : &n->rng_out;
	uint32_t loss = to == NAT_INSIDE ? n->conf.loss_in : n->conf.loss_out;
	uint64_t *last = &n->link_last[to];
	uint64_t when;

	if (loss && nat_random(rng) % MILLION < loss) {
		drop_packet(n, p, to, "loss");
		return false;
	}
	when = n->now + n->conf.delay;
	if (n->conf.jitter)
		when += nat_random(rng) % n->conf.jitter;
	if (when < *last) /* a line keeps packets in order */
		when = *last;
	if (when <= n->now)
		return true;
	*last = when;
	if (nat_queue_push(n->queue, when, to, p))
		drop_packet(n, p, to, "queue-full");
	return false;
}

void nat_link_send(struct nat *n, const struct nat_pkt *p)
{
	if (nat_link_pass(n, NAT_OUTSIDE, p))
		n->ops.send(n->ops.arg, NAT_OUTSIDE, 0, p);
}

static void send_back(struct nat *n, int host, const struct nat_pkt *p)
{
	if (host < 0)
		nat_link_send(n, p);
	else
		n->ops.send(n->ops.arg, NAT_INSIDE, (unsigned int)host, p);
}

void nat_answer_icmp(struct nat *n, const struct nat_view *v, enum nat_icmp what, int host)
{
	const struct in6_addr *from = host < 0 ? &n->conf.outside : &n->conf.inside;
	uint8_t buf[NAT_ANSWER_MAX];
	struct nat_pkt out;

	if (v->kind == NAT_KIND_ICMP_ERR) /* RFC 1122, 3.2.2: no error about an error */
		return;
	if (v->version == 6) /* the box has no address of its own: speak as who was called */
		from = &v->flow.dst;
	nat_pkt_make_icmp(v, what, from, buf, &out);
	send_back(n, host, &out);
}

void nat_answer_rst(struct nat *n, const struct nat_view *v, int host)
{
	uint8_t buf[NAT_ANSWER_MAX];
	struct nat_pkt out;

	if (v->tcp_flags & NAT_TCP_RST)
		return;
	nat_pkt_make_rst(v, buf, &out);
	send_back(n, host, &out);
}

static void held_add(struct nat *n, const struct nat_pkt *p, const struct nat_view *v)
{
	struct nat_held **at, *h;
	unsigned int count = 0;

	for (at = &n->held; *at; at = &(*at)->next) {
		if ((*at)->rem.port == v->flow.sport && (*at)->out.port == v->flow.dport &&
		    IN6_ARE_ADDR_EQUAL(&(*at)->rem.addr, &v->flow.src)) {
			nat_drop(n, v, true, "held-already"); /* sent again */
			return;
		}
		count++;
	}
	h = count < HELD_MAX ? calloc(1, sizeof(*h) + p->len) : NULL;
	if (!h) {
		nat_drop(n, v, true, "held-full");
		return;
	}
	h->when = n->now + HELD_TIME;
	h->out = (struct nat_end){ v->flow.dst, v->flow.dport };
	h->rem = (struct nat_end){ v->flow.src, v->flow.sport };
	h->pkt = *p;
	h->pkt.data = h->bytes;
	memcpy(h->bytes, p->data, p->len);
	*at = h;
	nat_drop(n, v, true, "held");
}

void nat_held_cancel(struct nat *n, const struct nat_end *out, const struct nat_end *rem)
{
	struct nat_held **at, *h;

	for (at = &n->held; (h = *at);) {
		if (h->out.port != out->port || h->rem.port != rem->port ||
		    !IN6_ARE_ADDR_EQUAL(&h->rem.addr, &rem->addr)) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		free(h);
	}
}

uint64_t nat_held_run(struct nat *n)
{
	struct nat_held *h;
	struct nat_view v;

	while ((h = n->held) && h->when <= n->now) {
		n->held = h->next;
		if (!nat_pkt_view(&h->pkt, &v))
			nat_answer_icmp(n, &v, NAT_ICMP_PORT, -1);
		free(h);
	}
	return n->held ? n->held->when : NAT_NEVER;
}

void nat_held_clear(struct nat *n)
{
	struct nat_held *h;

	while ((h = n->held)) {
		n->held = h->next;
		free(h);
	}
}

static void stray_syn(struct nat *n, const struct nat_pkt *p, const struct nat_view *v)
{
	switch (n->conf.stray) {
	case NAT_STRAY_HELD:
		held_add(n, p, v);
		return;
	case NAT_STRAY_RST:
		nat_drop(n, v, true, "stray-syn-rst");
		nat_answer_rst(n, v, -1);
		return;
	case NAT_STRAY_ICMP:
		nat_drop(n, v, true, "stray-syn-icmp");
		nat_answer_icmp(n, v, NAT_ICMP_HOST, -1);
		return;
	case NAT_STRAY_ICMP_ADMIN:
		nat_drop(n, v, true, "stray-syn-icmp");
		nat_answer_icmp(n, v, NAT_ICMP_ADMIN, -1);
		return;
	case NAT_STRAY_DROP:
	case NAT_STRAY_COUNT:
		break;
	}
	nat_drop(n, v, true, "stray-syn");
}

void nat_stray(struct nat *n, const struct nat_pkt *p, const struct nat_view *v)
{
	bool quiet = n->conf.stray == NAT_STRAY_DROP || n->conf.stray == NAT_STRAY_HELD;

	if (v->kind == NAT_KIND_TCP && (v->tcp_flags & (NAT_TCP_SYN | NAT_TCP_ACK)) == NAT_TCP_SYN) {
		stray_syn(n, p, v);
		return;
	}
	nat_drop(n, v, true, "no-session");
	if (v->kind == NAT_KIND_TCP && n->conf.stray == NAT_STRAY_RST)
		nat_answer_rst(n, v, -1);
	else if (v->kind == NAT_KIND_UDP && !quiet)
		nat_answer_icmp(n, v, NAT_ICMP_PORT, -1);
}
