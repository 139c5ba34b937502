/* SPDX-License-Identifier: MIT */
/*
 * Sessions and mappings of the NAT: look-up, birth, states, expiry. Outside ports: nat_ports.c.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nat_ports.h"
#include "nat_table.h"

/* Linux keeps a connection that ended by RST for 10 s (nf_conntrack_tcp_timeout_close). */
#define RESET_LINGER (10 * NAT_SECOND)

/* Sessions are looked through this often; nothing shorter is promised for their expiry. */
#define SWEEP_EVERY (100 * NAT_MS)

static const char *const state_names[] = {
	[NAT_SESSION_OPENING] = "opening", [NAT_SESSION_OPEN] = "open",
	[NAT_SESSION_CLOSING] = "closing", [NAT_SESSION_RESET] = "reset",
	[NAT_SESSION_DATAGRAM] = "datagram",
};
static_assert(sizeof(state_names) / sizeof(state_names[0]) == NAT_SESSION_STATES,
	      "every state has a name");

uint64_t nat_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

void nat_log(const struct nat *n, const char *format, ...)
{
	uint64_t t = n->now - n->born;
	char line[512];
	va_list ap;
	int head;

	head = snprintf(line, sizeof(line), "%llu.%06llu ", (unsigned long long)(t / NAT_SECOND),
			(unsigned long long)(t % NAT_SECOND));
	va_start(ap, format);
	vsnprintf(line + head, sizeof(line) - (size_t)head, format, ap);
	va_end(ap);
	n->ops.log(n->ops.arg, line);
}

int nat_inside_of(const struct nat *n, const struct in6_addr *addr)
{
	unsigned int i, k;

	for (i = 0; i < n->inside_count; i++)
		for (k = 0; k < n->inside[i].count; k++)
			if (IN6_ARE_ADDR_EQUAL(&n->inside[i].addrs[k], addr))
				return (int)i;
	return -ENOENT;
}

static uint32_t hash_end(uint32_t h, const struct nat_end *e)
{
	size_t i;

	for (i = 0; i < sizeof(e->addr); i += 4) {
		uint32_t word;

		memcpy(&word, &e->addr.s6_addr[i], 4);
		h = (h ^ word) * 0x01000193u;
		h ^= h >> 15;
	}
	return (h ^ e->port) * 0x85ebca6bu;
}

static uint32_t bucket_of(uint8_t proto, const struct nat_end *a, const struct nat_end *b)
{
	uint32_t h = hash_end(0x811c9dc5u ^ proto, a);

	if (b)
		h = hash_end(h, b);
	return (h ^ h >> 16) % NAT_BUCKETS;
}

static bool same_end(const struct nat_end *a, const struct nat_end *b)
{
	return a->port == b->port && IN6_ARE_ADDR_EQUAL(&a->addr, &b->addr);
}

struct nat_session *nat_session_out(struct nat *n, uint8_t proto, const struct nat_end *in,
				    const struct nat_end *rem)
{
	struct nat_session *s = n->in[bucket_of(proto, in, rem)];

	while (s && !(s->map->proto == proto && same_end(&s->map->in, in) && same_end(&s->rem, rem)))
		s = s->next_in;
	return s;
}

struct nat_session *nat_session_in(struct nat *n, uint8_t proto, const struct nat_end *out,
				   const struct nat_end *rem)
{
	struct nat_session *s = n->out[bucket_of(proto, out, rem)];

	while (s && !(s->map->proto == proto && same_end(&s->map->out, out) && same_end(&s->rem, rem)))
		s = s->next_out;
	return s;
}

static struct nat_map *map_at(const struct nat *n, uint8_t proto, const struct nat_end *out)
{
	struct nat_map *m = n->maps_out[bucket_of(proto, out, NULL)];

	while (m && !(m->proto == proto && same_end(&m->out, out)))
		m = m->next_out;
	return m;
}

bool nat_port_taken(const struct nat *n, uint8_t proto, const struct nat_end *out)
{
	return map_at(n, proto, out) != NULL;
}

/* What of the remote end the mapping is for. */
static struct nat_end map_scope(const struct nat *n, const struct nat_end *rem)
{
	struct nat_end scope;

	memset(&scope, 0, sizeof(scope));
	if (n->conf.mapping >= NAT_MAP_ADDRESS)
		scope.addr = rem->addr;
	if (n->conf.mapping >= NAT_MAP_ADDRESS_PORT)
		scope.port = rem->port;
	return scope;
}

static void map_free(struct nat *n, struct nat_map *m)
{
	struct nat_map **p;
	char in[64], out[64];

	for (p = &n->maps_in[bucket_of(m->proto, &m->in, NULL)]; *p != m;)
		p = &(*p)->next_in;
	*p = m->next_in;
	for (p = &n->maps_out[bucket_of(m->proto, &m->out, NULL)]; *p != m;)
		p = &(*p)->next_out;
	*p = m->next_out;
	nat_addr_print(&m->in.addr, m->in.port, in, sizeof(in));
	nat_addr_print(&m->out.addr, m->out.port, out, sizeof(out));
	nat_log(n, "unmap proto %u %s as %s", m->proto, in, out);
	n->map_count--;
	free(m);
}

static struct nat_map *map_find(const struct nat *n, uint8_t proto, const struct nat_end *in, const struct nat_end *scope)
{
	struct nat_map *m = n->maps_in[bucket_of(proto, in, NULL)];

	while (m && !(m->proto == proto && same_end(&m->in, in) && (!scope || same_end(&m->rem, scope))))
		m = m->next_in;
	return m;
}

/* @wish: outside port to take if it is free, 0 none */
static struct nat_map *map_new(struct nat *n, uint8_t proto, const struct nat_end *in, const struct nat_end *scope,
			       uint16_t wish)
{
	struct nat_map *m = calloc(1, sizeof(*m));
	char from[64], out[64];
	uint32_t bucket;

	if (!m)
		return NULL;
	m->proto = proto;
	m->in = *in;
	m->rem = *scope;
	m->out = *in; /* IPv6 is filtered, not translated */
	if (IN6_IS_ADDR_V4MAPPED(&in->addr)) {
		m->out.addr = n->conf.outside;
		m->out.port = wish;
		if ((!wish || nat_port_taken(n, proto, &m->out)) && nat_port_choose(n, m)) {
			free(m);
			return NULL;
		}
	}
	bucket = bucket_of(proto, in, NULL);
	m->next_in = n->maps_in[bucket];
	n->maps_in[bucket] = m;
	bucket = bucket_of(proto, &m->out, NULL);
	m->next_out = n->maps_out[bucket];
	n->maps_out[bucket] = m;
	n->map_count++;
	nat_addr_print(&in->addr, in->port, from, sizeof(from));
	nat_addr_print(&m->out.addr, m->out.port, out, sizeof(out));
	nat_log(n, "map proto %u %s as %s", proto, from, out);
	return m;
}

struct nat_map *nat_map_out(struct nat *n, uint8_t proto, const struct nat_end *in,
			    const struct nat_end *rem)
{
	struct nat_end scope = map_scope(n, rem);
	struct nat_map *m = map_find(n, proto, in, IN6_IS_ADDR_V4MAPPED(&in->addr) ? &scope : NULL);

	return m ? m : map_new(n, proto, in, &scope, 0);
}

struct nat_map *nat_map_grant(struct nat *n, uint8_t proto, const struct nat_end *in, uint16_t wish, uint64_t until)
{
	const struct nat_end everybody = { .port = 0 };
	struct nat_map *m = map_find(n, proto, in, &everybody);
	char from[64];

	if (!m)
		m = map_new(n, proto, in, &everybody, wish);
	if (!m)
		return NULL;
	n->grants += !m->granted;
	m->granted = until;
	if (n->sweep == NAT_NEVER)
		n->sweep = n->now + SWEEP_EVERY;
	nat_addr_print(&in->addr, in->port, from, sizeof(from));
	nat_log(n, "grant proto %u %s port %u", proto, from, m->out.port);
	return m;
}

/* The mapping may be gone afterwards */
static void map_ungrant(struct nat *n, struct nat_map *m)
{
	m->granted = 0;
	n->grants--;
	if (!m->sessions)
		map_free(n, m);
}

void nat_map_revoke(struct nat *n, uint8_t proto, const struct nat_end *in)
{
	struct nat_map *m, *next;
	unsigned int i;

	for (i = 0; i < NAT_BUCKETS && n->grants; i++) {
		for (m = n->maps_in[i]; m; m = next) {
			next = m->next_in;
			if (m->granted && m->proto == proto && IN6_ARE_ADDR_EQUAL(&m->in.addr, &in->addr) &&
			    (!in->port || m->in.port == in->port))
				map_ungrant(n, m);
		}
	}
}

/* @all: also those whose time is not over */
static void grants_sweep(struct nat *n, bool all)
{
	struct nat_map *m, *next;
	unsigned int i;

	for (i = 0; i < NAT_BUCKETS && n->grants; i++) {
		for (m = n->maps_in[i]; m; m = next) {
			next = m->next_in;
			if (m->granted && (all || m->granted <= n->now))
				map_ungrant(n, m);
		}
	}
}

struct nat_map *nat_map_in(struct nat *n, uint8_t proto, const struct nat_end *out,
			   const struct nat_end *rem)
{
	struct nat_map *m = map_at(n, proto, out);
	const struct nat_session *s;

	if (!m || m->granted > n->now || n->conf.filtering == NAT_FILTER_NONE)
		return m;
	if (n->conf.filtering == NAT_FILTER_ADDRESS)
		for (s = n->all; s; s = s->next)
			if (s->map == m && IN6_ARE_ADDR_EQUAL(&s->rem.addr, &rem->addr))
				return m;
	return NULL;
}

struct nat_session *nat_session_new(struct nat *n, struct nat_map *map, const struct nat_end *rem)
{
	struct nat_session *s = NULL;
	uint32_t bucket;

	if (n->session_count < NAT_SESSIONS_MAX)
		s = calloc(1, sizeof(*s));
	if (!s) {
		if (!map->sessions && !map->granted)
			map_free(n, map);
		return NULL;
	}
	s->map = map;
	s->rem = *rem;
	s->state = map->proto == IPPROTO_TCP ? NAT_SESSION_OPENING : NAT_SESSION_DATAGRAM;
	s->first = map->sessions++ == 0 && !map->granted; /* what was asked for stays */
	bucket = bucket_of(map->proto, &map->in, rem);
	s->next_in = n->in[bucket];
	n->in[bucket] = s;
	bucket = bucket_of(map->proto, &map->out, rem);
	s->next_out = n->out[bucket];
	n->out[bucket] = s;
	s->next = n->all;
	s->prev = &n->all;
	if (n->all)
		n->all->prev = &s->next;
	n->all = s;
	n->session_count++;
	if (n->sweep == NAT_NEVER)
		n->sweep = n->now + SWEEP_EVERY;
	return s;
}

static void session_free(struct nat *n, struct nat_session *s)
{
	struct nat_map *m = s->map;
	struct nat_session **p;

	for (p = &n->in[bucket_of(m->proto, &m->in, &s->rem)]; *p != s;)
		p = &(*p)->next_in;
	*p = s->next_in;
	for (p = &n->out[bucket_of(m->proto, &m->out, &s->rem)]; *p != s;)
		p = &(*p)->next_out;
	*p = s->next_out;
	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	n->session_count--;
	free(s);
	if (--m->sessions == 0 && !m->granted)
		map_free(n, m);
}

/* The mapping goes with all that uses it. */
static void map_kill(struct nat *n, const struct nat_map *m)
{
	struct nat_session *s, *next;
	unsigned int left = m->sessions;

	for (s = n->all; s && left; s = next) {
		next = s->next;
		if (s->map == m) {
			left--;
			session_free(n, s);
		}
	}
}

static void session_set_state(const struct nat *n, struct nat_session *s, enum nat_state to)
{
	static const bool allowed[NAT_SESSION_STATES][NAT_SESSION_STATES] = {
		[NAT_SESSION_OPENING] = { [NAT_SESSION_OPEN] = true, [NAT_SESSION_CLOSING] = true,
					  [NAT_SESSION_RESET] = true },
		[NAT_SESSION_OPEN] = { [NAT_SESSION_CLOSING] = true, [NAT_SESSION_RESET] = true },
		[NAT_SESSION_CLOSING] = { [NAT_SESSION_OPENING] = true, [NAT_SESSION_RESET] = true },
		[NAT_SESSION_RESET] = { [NAT_SESSION_OPENING] = true },
	};
	char in[64], rem[64];

	if (s->state == to)
		return;
	nat_addr_print(&s->map->in.addr, s->map->in.port, in, sizeof(in));
	nat_addr_print(&s->rem.addr, s->rem.port, rem, sizeof(rem));
	nat_log(n, "state %s - %s %s > %s", in, rem, state_names[s->state], state_names[to]);
	assert(allowed[s->state][to]);
	s->state = to;
}

static uint64_t session_timeout(const struct nat *n, const struct nat_session *s)
{
	switch (s->state) {
	case NAT_SESSION_OPEN:
		return n->conf.established;
	case NAT_SESSION_RESET:
		return n->conf.transitory < RESET_LINGER ? n->conf.transitory : RESET_LINGER;
	case NAT_SESSION_DATAGRAM:
		return n->conf.datagram;
	case NAT_SESSION_OPENING:
	case NAT_SESSION_CLOSING:
	case NAT_SESSION_STATES:
		break;
	}
	return n->conf.transitory;
}

/* A SYN begins the connection, or begins it again over the remains of the last one. */
static void track_syn(const struct nat *n, struct nat_session *s, bool ack, bool inbound)
{
	bool over = s->state == NAT_SESSION_CLOSING || s->state == NAT_SESSION_RESET;

	if (over && !ack && !(inbound && s->state == NAT_SESSION_RESET)) {
		session_set_state(n, s, NAT_SESSION_OPENING);
		s->syn_in = s->syn_out = s->fin_in = s->fin_out = s->answered = false;
		s->fin_in_acked = s->fin_out_acked = false;
	}
	if (inbound)
		s->syn_in = true;
	else
		s->syn_out = true;
}

/* A FIN may overtake data that was lost: only what acknowledges the FIN itself says that all has arrived. */
static void track_fin(struct nat_session *s, const struct nat_view *v, bool inbound)
{
	if (v->tcp_flags & NAT_TCP_FIN && inbound) {
		s->fin_in = true;
		s->fin_in_end = nat_pkt_tcp_end(v);
	} else if (v->tcp_flags & NAT_TCP_FIN) {
		s->fin_out = true;
		s->fin_out_end = nat_pkt_tcp_end(v);
	}
	if (!(v->tcp_flags & NAT_TCP_ACK))
		return;
	if (inbound && s->fin_out && nat_pkt_tcp_ack(v) == s->fin_out_end)
		s->fin_out_acked = true;
	else if (!inbound && s->fin_in && nat_pkt_tcp_ack(v) == s->fin_in_end)
		s->fin_in_acked = true;
}

/* Returns false if the session is gone. */
static bool track_tcp(struct nat *n, struct nat_session *s, const struct nat_view *v, bool inbound)
{
	uint8_t flags = v->tcp_flags;

	if (flags & NAT_TCP_RST) {
		if (inbound && !s->answered) { /* as Linux: only ever refused, so forgotten */
			session_free(n, s);
			return false;
		}
		session_set_state(n, s, NAT_SESSION_RESET);
		return true;
	}
	if (inbound)
		s->answered = true;
	if (flags & NAT_TCP_SYN)
		track_syn(n, s, flags & NAT_TCP_ACK, inbound);
	else if (s->state == NAT_SESSION_OPENING && ((s->syn_in && s->syn_out) || (!s->syn_in && !s->syn_out)))
		session_set_state(n, s, NAT_SESSION_OPEN);
	track_fin(s, v, inbound);
	if (s->fin_in && s->fin_out && s->state < NAT_SESSION_CLOSING)
		session_set_state(n, s, NAT_SESSION_CLOSING);
	if (s->fin_in_acked && s->fin_out_acked && s->first && n->conf.control) {
		map_kill(n, s->map); /* this was the last ACK */
		return false;
	}
	return true;
}

void nat_session_track(struct nat *n, struct nat_session *s, const struct nat_view *v, bool inbound)
{
	if (v->kind == NAT_KIND_TCP && !track_tcp(n, s, v, inbound))
		return;
	s->expires = n->now + session_timeout(n, s);
}

void nat_table_sweep(struct nat *n)
{
	struct nat_session *s, *next;

	if (n->now < n->sweep)
		return;
	for (s = n->all; s; s = next) {
		next = s->next;
		if (s->expires <= n->now)
			session_free(n, s);
	}
	grants_sweep(n, false);
	n->sweep = n->all || n->grants ? n->now + SWEEP_EVERY : NAT_NEVER;
}

void nat_table_clear(struct nat *n)
{
	while (n->all)
		session_free(n, n->all);
	grants_sweep(n, true);
	n->sweep = NAT_NEVER;
}
