/* SPDX-License-Identifier: MIT */
/* A NAT box without wires, for test_nat_*.c: packets are made by hand, what comes out is kept. */
#ifndef UNIT_NAT_BOX_H
#define UNIT_NAT_BOX_H

#include <arpa/inet.h>
#include <netinet/ip_icmp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h needs what stands above to be included first */
#include <cmocka.h>

#include "tests/lab/nat_core.h"

#define OUT "198.51.100.1"
#define IN "192.168.1.2"
#define BOX "192.168.1.1"
#define SRV "203.0.113.10"
#define SRV2 "203.0.113.11"

#define S NAT_TCP_SYN
#define A NAT_TCP_ACK
#define F NAT_TCP_FIN
#define R NAT_TCP_RST

#define KEPT 64u
#define HELPER __attribute__((unused)) static

/* What each segment acknowledges: a FIN of make()'s own, whose sequence numbers are all alike */
#define SEQUENCE 100
#define ALL (SEQUENCE + 4 + 1)
static uint8_t acknowledged = ALL;

static struct box {
	struct nat *nat;
	uint64_t now;
	unsigned int count;
	struct {
		enum nat_side side;
		unsigned int host;
		struct nat_pkt pkt;
		uint8_t bytes[2048];
	} sent[KEPT];
	char log[65536];
	size_t log_len;
} box;

static void box_send(void *arg, enum nat_side side, unsigned int host, const struct nat_pkt *p)
{
	(void)arg;
	assert_true(box.count < KEPT && p->len <= sizeof(box.sent[0].bytes));
	box.sent[box.count].side = side;
	box.sent[box.count].host = host;
	box.sent[box.count].pkt = *p;
	box.sent[box.count].pkt.data = box.sent[box.count].bytes;
	memcpy(box.sent[box.count++].bytes, p->data, p->len);
}

static void box_log(void *arg, const char *line)
{
	size_t len = strlen(line);

	(void)arg;
	if (box.log_len + len + 2 > sizeof(box.log))
		return;
	memcpy(box.log + box.log_len, line, len);
	box.log_len += len;
	box.log[box.log_len++] = '\n';
	box.log[box.log_len] = '\0';
}

HELPER struct in6_addr ip(const char *text)
{
	struct in6_addr a;

	assert_int_equal(nat_addr_parse(text, &a), 0);
	return a;
}

/* A box with these options ("key=value key=value") and the hosts 192.168.1.2 (also IPv6) and .3. */
HELPER void box_new(const char *options)
{
	const struct nat_ops ops = { box_send, box_log, NULL };
	struct in6_addr hosts[3] = { ip(IN), ip("2001:db8::2"), ip("192.168.1.3") };
	char text[256], err[256], *save, *o;
	struct nat_conf c;

	nat_free(box.nat);
	memset(&box, 0, sizeof(box));
	nat_conf_init(&c);
	c.inside = ip(BOX);
	c.outside = ip(OUT);
	snprintf(text, sizeof(text), "%s", options);
	for (o = strtok_r(text, " ", &save); o; o = strtok_r(NULL, " ", &save))
		if (nat_conf_set(&c, o, err, sizeof(err)))
			fail_msg("%s", err);
	box.now = NAT_SECOND;
	box.nat = nat_new(&c, &ops, box.now);
	assert_non_null(box.nat);
	assert_int_equal(nat_add_inside(box.nat, hosts, 2), 0);
	assert_int_equal(nat_add_inside(box.nat, hosts + 2, 1), 1);
}

HELPER int box_free(void **state)
{
	(void)state;
	nat_free(box.nat);
	box.nat = NULL;
	return 0;
}

HELPER uint32_t sum(const uint8_t *p, size_t len, uint32_t s)
{
	for (size_t i = 0; i < len; i++)
		s += (uint32_t)p[i] << (i & 1 ? 0 : 8);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

/* The folded sum over a whole packet's transport and pseudo header: 0xffff if its checksum is right. */
HELPER uint32_t l4_sum(const struct nat_pkt *p)
{
	size_t head = p->data[0] >> 4 == 4 ? 20 : 40, len = p->len - head;
	uint8_t proto = head == 20 ? p->data[9] : p->data[6];
	uint32_t s = 0;

	if (proto != IPPROTO_ICMP) {
		s = proto + (uint32_t)len;
		s = head == 20 ? sum(p->data + 12, 8, s) : sum(p->data + 8, 32, s);
	}
	return sum(p->data + head, len, s);
}

/* A packet with right checksums. @flags are TCP's; ports are ignored by ICMP. */
HELPER struct nat_pkt make(uint8_t *b, uint8_t proto, const char *src, int sport, const char *dst, int dport,
			   uint8_t flags, uint8_t ttl)
{
	struct in6_addr s = ip(src), d = ip(dst);
	bool six = !IN6_IS_ADDR_V4MAPPED(&s);
	size_t head = six ? 40 : 20, l4 = proto == IPPROTO_TCP ? 24 : 12, csum = 6;
	struct nat_pkt p = { .len = (uint32_t)(head + l4), .data = b };
	uint8_t *t = b + head;
	uint32_t c;

	memset(b, 0, p.len);
	b[0] = six ? 0x60 : 0x45;
	b[six ? 5 : 3] = (uint8_t)(six ? l4 : p.len);
	b[six ? 7 : 8] = ttl;
	b[six ? 6 : 9] = proto;
	memcpy(b + (six ? 8 : 12), six ? s.s6_addr : s.s6_addr + 12, six ? 16 : 4);
	memcpy(b + (six ? 24 : 16), six ? d.s6_addr : d.s6_addr + 12, six ? 16 : 4);
	t[0] = (uint8_t)(sport >> 8);
	t[1] = (uint8_t)sport;
	t[2] = (uint8_t)(dport >> 8);
	t[3] = (uint8_t)dport;
	memcpy(t + l4 - 4, "data", 4);
	if (proto == IPPROTO_TCP) {
		t[7] = SEQUENCE;
		t[11] = acknowledged;
		t[12] = 5 << 4;
		t[13] = flags;
		csum = 16;
	} else if (proto == IPPROTO_UDP) {
		t[5] = (uint8_t)l4;
	} else { /* echo request, its identifier is @sport */
		memcpy(t + 4, t, 2);
		memset(t, 0, 4);
		t[0] = ICMP_ECHO;
		csum = 2;
	}
	if (!six) {
		c = ~sum(b, 20, 0);
		b[10] = (uint8_t)(c >> 8);
		b[11] = (uint8_t)c;
	}
	c = ~l4_sum(&p);
	t[csum] = (uint8_t)(c >> 8);
	t[csum + 1] = (uint8_t)c;
	return p;
}

HELPER void tcp(enum nat_side side, const char *src, int sport, const char *dst, int dport, uint8_t flags)
{
	uint8_t b[128];
	struct nat_pkt p = make(b, IPPROTO_TCP, src, sport, dst, dport, flags, 64);

	nat_input(box.nat, side, 0, &p, box.now);
}

HELPER void go_out(int sport, const char *dst, int dport, uint8_t flags)
{
	tcp(NAT_INSIDE, IN, sport, dst, dport, flags);
}

HELPER void come_in(const char *src, int sport, int dport, uint8_t flags)
{
	tcp(NAT_OUTSIDE, src, sport, OUT, dport, flags);
}

HELPER void pass_time(uint64_t us)
{
	box.now += us;
	nat_run(box.nat, box.now);
}

/* Take the oldest packet that came out; its checksums must be right. */
HELPER struct nat_view took(enum nat_side side)
{
	static struct nat_pkt p;
	static uint8_t bytes[2048];
	struct nat_view v;

	assert_true(box.count > 0);
	assert_int_equal(box.sent[0].side, side);
	p = box.sent[0].pkt;
	memcpy(bytes, box.sent[0].bytes, p.len);
	p.data = bytes;
	box.count--;
	for (unsigned int i = 0; i < box.count; i++) {
		box.sent[i] = box.sent[i + 1];
		box.sent[i].pkt.data = box.sent[i].bytes;
	}
	assert_int_equal(nat_pkt_view(&p, &v), 0);
	if (v.version == 4)
		assert_int_equal(sum(p.data, 20, 0), 0xffff);
	if (!v.csum_partial)
		assert_int_equal(l4_sum(&p), 0xffff);
	return v;
}

/* Nothing (more) came out. */
HELPER void silence(void)
{
	assert_int_equal(box.count, 0);
}

HELPER void assert_ends(const struct nat_view *v, const char *src, int sport, const char *dst, int dport)
{
	char got[160], want[160], s[64], d[64];

	nat_addr_print(&v->flow.src, v->flow.sport, s, sizeof(s));
	nat_addr_print(&v->flow.dst, v->flow.dport, d, sizeof(d));
	snprintf(got, sizeof(got), "%s > %s", s, d);
	snprintf(want, sizeof(want), "%s:%d > %s:%d", src, sport, dst, dport);
	assert_string_equal(got, want);
}

/* The outside port that a SYN from inside gets. */
HELPER int mapped(int sport, const char *dst, int dport)
{
	struct nat_view v;

	go_out(sport, dst, dport, S);
	v = took(NAT_OUTSIDE);
	return v.flow.sport;
}

#endif
