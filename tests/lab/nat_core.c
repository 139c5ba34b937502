/* SPDX-License-Identifier: MIT */
/*
 * The lab's NAT, without its I/O.
 *
 * Theory of operation
 *
 * One box has hosts inside and one link outside. All delay and loss sit on the outside link:
 *
 *     inside --> translate --> link (waits, may lose) --> outside
 *     inside <-- translate <-- link (waits, may lose) <-- outside
 *
 * A packet that comes in is therefore judged when it reaches the box, not when it was put on the
 * wire: a SYN that leaves while another one is on its way in makes the way free for that one, as on
 * a real line. That is the whole point of a simultaneous open.
 *
 * A packet from inside finds its session, or makes one (nat_table.c) with the port that the
 * configured rule gives (nat_ports.c). A packet from outside finds its session, or a mapping that the
 * filtering lets it use, or else is a stray and gets the configured answer (nat_link.c). ICMP errors
 * find the session of the packet that they quote, and the quotation is translated back, its TTL untouched.
 *
 * IPv6 goes through the same tables with the outside end equal to the inside end: a stateful firewall.
 *
 * Where a choice is open, the box does as Linux does: the TTL is counted before a mapping is made, but
 * after a session was followed; an RST as the only answer ever makes the session be forgotten; a
 * connection first seen in its middle is taken up if it comes from inside.
 */
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>

#include "nat_link.h"
#include "nat_pmp.h"
#include "nat_queue.h"

struct nat *nat_new(const struct nat_conf *c, const struct nat_ops *ops, uint64_t now)
{
	struct nat *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->queue = nat_queue_new();
	if (!n->queue) {
		free(n);
		return NULL;
	}
	n->conf = *c;
	n->ops = *ops;
	n->born = n->started = n->now = now;
	n->sweep = NAT_NEVER;
	/* One series each, so that traffic one way changes nothing for the others. */
	n->rng_ports = c->seed * 3;
	n->rng_in = c->seed * 3 + 1;
	n->rng_out = c->seed * 3 + 2;
	return n;
}

void nat_free(struct nat *n)
{
	if (!n)
		return;
	nat_table_clear(n);
	nat_held_clear(n);
	nat_queue_free(n->queue);
	free(n);
}

void nat_reconfigure(struct nat *n, const struct nat_conf *c)
{
	n->conf = *c;
}

const struct nat_conf *nat_get_conf(const struct nat *n)
{
	return &n->conf;
}

int nat_add_inside(struct nat *n, const struct in6_addr *addrs, unsigned int count)
{
	unsigned int i;

	if (n->inside_count == NAT_INSIDE_MAX || count > NAT_INSIDE_ADDRS)
		return -ENOSPC;
	for (i = 0; i < count; i++)
		n->inside[n->inside_count].addrs[i] = addrs[i];
	n->inside[n->inside_count].count = count;
	return (int)n->inside_count++;
}

void nat_flush(struct nat *n)
{
	nat_log(n, "flush");
	n->started = n->now;
	nat_table_clear(n);
	nat_held_clear(n);
}

unsigned int nat_mappings(const struct nat *n)
{
	return n->map_count;
}

uint64_t nat_syns(const struct nat *n)
{
	return n->syns;
}

static bool is_bare_syn(const struct nat_view *v)
{
	return v->kind == NAT_KIND_TCP && (v->tcp_flags & (NAT_TCP_SYN | NAT_TCP_ACK)) == NAT_TCP_SYN;
}

/* Both ends as seen from the box: @near is source if @outbound, else destination. */
static void ends_of(const struct nat_view *v, bool outbound, struct nat_end *near, struct nat_end *far)
{
	const struct nat_flow *f = &v->flow;

	memset(near, 0, sizeof(*near)); /* compared bytewise in hashes: no stray padding */
	memset(far, 0, sizeof(*far));
	near->addr = outbound ? f->src : f->dst;
	near->port = outbound ? f->sport : f->dport;
	far->addr = outbound ? f->dst : f->src;
	if (v->kind != NAT_KIND_ECHO)
		far->port = outbound ? f->dport : f->sport;
}

/* An ICMP query's answer begins no session, nor does an RST, nor (from outside) anything but a SYN. */
static bool may_begin(const struct nat_view *v, bool outbound)
{
	switch (v->kind) {
	case NAT_KIND_TCP:
		return outbound ? !(v->tcp_flags & NAT_TCP_RST) : is_bare_syn(v);
	case NAT_KIND_UDP:
		return true;
	case NAT_KIND_ECHO:
		return v->l4[0] == (v->version == 6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO);
	case NAT_KIND_OTHER:
	case NAT_KIND_ICMP_ERR:
		break;
	}
	return false;
}

/* Count down the TTL; @outside if the packet crosses the lab's router next. False: it ended here. */
static bool ttl_step(struct nat *n, struct nat_view *v, bool outside, int host)
{
	if (!n->conf.ttl)
		return true;
	if (v->ttl > 1) {
		if (!(outside && n->conf.hide_router))
			nat_pkt_set_ttl(v, v->ttl - 1);
		return true;
	}
	nat_drop(n, v, host < 0, "ttl");
	if (n->conf.time_exceeded)
		nat_answer_icmp(n, v, NAT_ICMP_TIME_EXCEEDED, host);
	return false;
}

static void deliver(struct nat *n, const struct nat_pkt *p, const struct nat_view *v)
{
	int host = nat_inside_of(n, &v->flow.dst);

	if (host < 0)
		nat_drop(n, v, true, "no-such-host");
	else
		n->ops.send(n->ops.arg, NAT_INSIDE, (unsigned int)host, p);
}

/* An ICMP error from outside about a packet that left through us. */
static void inbound_error(struct nat *n, const struct nat_pkt *p, struct nat_view *v)
{
	struct nat_end near, far;
	struct nat_session *s;
	struct nat_view q;

	if (nat_pkt_quoted(v, &q)) {
		nat_drop(n, v, true, "icmp-unknown");
		return;
	}
	ends_of(&q, true, &near, &far);
	s = nat_session_in(n, q.flow.proto, &near, &far);
	if (!s) {
		nat_drop(n, v, true, "icmp-no-session");
		return;
	}
	if (!ttl_step(n, v, false, -1))
		return;
	if (v->version == 4) {
		nat_pkt_set_end(&q, true, &s->map->in.addr, s->map->in.port);
		nat_pkt_set_end(v, false, &s->map->in.addr, 0);
		nat_pkt_icmp_csum(v);
	}
	deliver(n, p, v);
}

/* An ICMP error from inside about a packet that came in through us. */
static void outbound_error(struct nat *n, unsigned int host, const struct nat_pkt *p, struct nat_view *v)
{
	struct nat_end near, far;
	struct nat_session *s;
	struct nat_view q;

	if (nat_pkt_quoted(v, &q)) {
		nat_drop(n, v, false, "icmp-unknown");
		return;
	}
	ends_of(&q, false, &near, &far);
	s = nat_session_out(n, q.flow.proto, &near, &far);
	if (!s) {
		nat_drop(n, v, false, "icmp-no-session");
		return;
	}
	if (!ttl_step(n, v, true, (int)host))
		return;
	if (v->version == 4) {
		nat_pkt_set_end(&q, false, &s->map->out.addr, s->map->out.port);
		nat_pkt_set_end(v, true, &s->map->out.addr, 0);
		nat_pkt_icmp_csum(v);
	}
	nat_link_send(n, p);
}

/* Translate a packet from outside and hand it to its host. @hairpin: it came from inside after all,
 * and its TTL has been counted down. */
static void inbound(struct nat *n, const struct nat_pkt *p, struct nat_view *v, bool hairpin)
{
	struct nat_end near, far, in;
	struct nat_session *s;
	struct nat_map *m;

	if (v->kind == NAT_KIND_ICMP_ERR) {
		inbound_error(n, p, v);
		return;
	}
	if (v->kind == NAT_KIND_OTHER) {
		nat_drop(n, v, true, "protocol");
		return;
	}
	ends_of(v, false, &near, &far);
	s = nat_session_in(n, v->flow.proto, &near, &far);
	m = s ? s->map : nat_map_in(n, v->flow.proto, &near, &far);
	if (!m || (!s && !may_begin(v, false)) ||
	    (is_bare_syn(v) && n->conf.filtering == NAT_FILTER_SYNACK && m->granted <= n->now)) {
		nat_stray(n, p, v);
		return;
	}
	in = m->in;
	if (s)
		nat_session_track(n, s, v, true);
	if (!hairpin && !ttl_step(n, v, false, -1))
		return;
	if (!s) {
		s = nat_session_new(n, m, &far);
		if (!s) {
			nat_drop(n, v, true, "table-full");
			return;
		}
		nat_session_track(n, s, v, true);
	}
	nat_pkt_set_end(v, false, &in.addr, in.port);
	deliver(n, p, v);
}

/* A packet for the box itself: nothing else listens there. */
static void to_box(struct nat *n, unsigned int host, const struct nat_view *v)
{
	if (IN6_ARE_ADDR_EQUAL(&v->flow.dst, &n->conf.inside) && nat_pmp_answer(n, host, v))
		return;
	nat_drop(n, v, false, "to-box");
	if (v->kind == NAT_KIND_TCP)
		nat_answer_rst(n, v, (int)host);
	else if (v->kind == NAT_KIND_UDP)
		nat_answer_icmp(n, v, NAT_ICMP_PORT, (int)host);
}

/* The reason why a packet from inside goes nowhere, or NULL. */
static const char *outbound_refused(const struct nat *n, const struct nat_view *v)
{
	const struct in6_addr *dst = &v->flow.dst;

	if (v->version == 4 ? IN_MULTICAST(ntohl(dst->s6_addr32[3])) || dst->s6_addr32[3] == INADDR_BROADCAST :
			      IN6_IS_ADDR_MULTICAST(dst) || IN6_IS_ADDR_LINKLOCAL(dst))
		return "not-unicast";
	if (v->kind == NAT_KIND_OTHER)
		return "protocol";
	if (nat_inside_of(n, dst) >= 0)
		return "inside-to-inside";
	if (nat_inside_of(n, &v->flow.src) < 0 && v->kind != NAT_KIND_ICMP_ERR)
		return "not-its-address";
	return NULL;
}

static void outbound(struct nat *n, unsigned int host, const struct nat_pkt *p, struct nat_view *v)
{
	bool loop = IN6_ARE_ADDR_EQUAL(&v->flow.dst, &n->conf.outside), syn = is_bare_syn(v);
	const char *refused = outbound_refused(n, v);
	struct nat_end near, far, out;
	struct nat_session *s;
	struct nat_map *m;

	n->syns += syn;
	if (refused) {
		nat_drop(n, v, false, refused);
		return;
	}
	if (IN6_ARE_ADDR_EQUAL(&v->flow.dst, &n->conf.inside) || (loop && !n->conf.hairpin)) {
		to_box(n, host, v);
		return;
	}
	if (v->kind == NAT_KIND_ICMP_ERR) {
		outbound_error(n, host, p, v);
		return;
	}
	ends_of(v, true, &near, &far);
	s = nat_session_out(n, v->flow.proto, &near, &far);
	if (!s && !may_begin(v, true)) {
		nat_drop(n, v, false, "no-session");
		return;
	}
	if (!ttl_step(n, v, !loop, (int)host))
		return;
	if (!s) {
		m = nat_map_out(n, v->flow.proto, &near, &far);
		s = m ? nat_session_new(n, m, &far) : NULL;
		if (!s) {
			nat_drop(n, v, false, "table-full");
			return;
		}
	}
	out = s->map->out;
	if (syn)
		nat_held_cancel(n, &out, &far);
	nat_session_track(n, s, v, false);
	nat_pkt_set_end(v, true, &out.addr, out.port);
	if (loop)
		inbound(n, p, v, true);
	else
		nat_link_send(n, p);
}

/* A packet reached the box over the outside link. */
static void arrived(struct nat *n, struct nat_pkt *p)
{
	struct nat_view v;

	if (n->conf.mapping == NAT_MAP_NONE) {
		n->ops.send(n->ops.arg, NAT_INSIDE, 0, p);
		return;
	}
	if (nat_pkt_view(p, &v))
		nat_log(n, "drop in %u bytes: malformed", p->len);
	else if (v.version == 4 && !IN6_ARE_ADDR_EQUAL(&v.flow.dst, &n->conf.outside))
		nat_drop(n, &v, true, "not-its-address");
	else
		inbound(n, p, &v, false);
}

void nat_input(struct nat *n, enum nat_side side, unsigned int host, struct nat_pkt *p, uint64_t now)
{
	struct nat_view v;

	n->now = now;
	if (side == NAT_OUTSIDE) {
		if (nat_link_pass(n, NAT_INSIDE, p))
			arrived(n, p);
	} else if (n->conf.mapping == NAT_MAP_NONE) {
		nat_link_send(n, p);
	} else if (nat_pkt_view(p, &v)) {
		nat_log(n, "drop out %u bytes: malformed", p->len);
	} else {
		outbound(n, host, p, &v);
	}
}

uint64_t nat_run(struct nat *n, uint64_t now)
{
	struct nat_queued *e;
	uint64_t next, held;

	n->now = now;
	nat_table_sweep(n);
	held = nat_held_run(n);
	while ((e = nat_queue_pop(n->queue, now))) {
		if (e->to == NAT_OUTSIDE)
			n->ops.send(n->ops.arg, NAT_OUTSIDE, 0, &e->pkt);
		else
			arrived(n, &e->pkt);
		free(e);
	}
	next = nat_queue_next(n->queue);
	if (n->sweep < next)
		next = n->sweep;
	return held < next ? held : next;
}
