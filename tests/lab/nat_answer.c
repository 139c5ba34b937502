/* SPDX-License-Identifier: MIT */
/*
 * The packets that a NAT box makes itself: RST, ICMP errors, and answers to who asks it. Checksums are whole, no offload.
 */
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "nat_pkt.h"

#define IP4_LEN 20u
#define IP6_LEN 40u
#define TCP_LEN 20u
#define UDP_HEAD 8u
#define ICMP_HEAD 8u
#define OWN_TTL 64 /* RFC 1700's recommended default */

/* RFC 1812, 4.3.2.3: quote as much as fits into 576 bytes; IPv6 may fill its minimum MTU. */
#define QUOTE_MAX4 (576u - IP4_LEN - ICMP_HEAD)
#define QUOTE_MAX6 (NAT_ANSWER_MAX - IP6_LEN - ICMP_HEAD)

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t sum_bytes(uint32_t sum, const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Store at @field the checksum of @len bytes of transport, with the pseudo header where one counts. */
static void l4_checksum(const uint8_t *ip, uint8_t *l4, size_t len, uint8_t proto, uint8_t *field)
{
	uint32_t sum = 0;

	put16(field, 0);
	if (proto != IPPROTO_ICMP) {
		if (ip[0] >> 4 == 4)
			sum = sum_bytes(sum, ip + 12, 8);
		else
			sum = sum_bytes(sum, ip + 8, 32);
		sum += proto + (uint32_t)len;
	}
	put16(field, ~sum_bytes(sum, l4, len) & 0xffff);
}

/* Begin an answer; returns where its transport header goes. */
static uint8_t *ip_begin(uint8_t *buf, uint8_t version, uint8_t proto, const struct in6_addr *src,
			 const struct in6_addr *dst, size_t l4_len)
{
	memset(buf, 0, IP6_LEN);
	if (version == 4) {
		buf[0] = 0x45;
		put16(buf + 2, (uint32_t)(IP4_LEN + l4_len));
		buf[8] = OWN_TTL;
		buf[9] = proto;
		memcpy(buf + 12, &src->s6_addr[12], 4);
		memcpy(buf + 16, &dst->s6_addr[12], 4);
		put16(buf + 10, ~sum_bytes(0, buf, IP4_LEN) & 0xffff);
		return buf + IP4_LEN;
	}
	buf[0] = 0x60;
	put16(buf + 4, (uint32_t)l4_len);
	buf[6] = proto;
	buf[7] = OWN_TTL;
	memcpy(buf + 8, src, 16);
	memcpy(buf + 24, dst, 16);
	return buf + IP6_LEN;
}

void nat_pkt_make_rst(const struct nat_view *v, uint8_t *buf, struct nat_pkt *out)
{
	uint8_t *tcp;

	tcp = ip_begin(buf, v->version, IPPROTO_TCP, &v->flow.dst, &v->flow.src, TCP_LEN);
	memset(tcp, 0, TCP_LEN);
	put16(tcp, v->flow.dport);
	put16(tcp + 2, v->flow.sport);
	tcp[12] = (TCP_LEN / 4) << 4;
	tcp[13] = NAT_TCP_RST;
	if (v->tcp_flags & NAT_TCP_ACK) {
		memcpy(tcp + 4, v->l4 + 8, 4);
	} else {
		put32(tcp + 8, nat_pkt_tcp_end(v));
		tcp[13] |= NAT_TCP_ACK;
	}
	l4_checksum(buf, tcp, TCP_LEN, IPPROTO_TCP, tcp + 16);
	memset(&out->vnet, 0, sizeof(out->vnet));
	out->data = buf;
	out->len = (uint32_t)(tcp - buf) + TCP_LEN;
}

void nat_pkt_make_icmp(const struct nat_view *v, enum nat_icmp what, const struct in6_addr *from,
		       uint8_t *buf, struct nat_pkt *out)
{
	static const uint8_t codes[][2][2] = {
		/* type and code for IPv4 (RFC 792, RFC 1812), then for IPv6 (RFC 4443) */
		[NAT_ICMP_TIME_EXCEEDED] = { { ICMP_TIME_EXCEEDED, ICMP_EXC_TTL },
					     { ICMP6_TIME_EXCEEDED, ICMP6_TIME_EXCEED_TRANSIT } },
		[NAT_ICMP_HOST] = { { ICMP_DEST_UNREACH, ICMP_HOST_UNREACH },
				    { ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADDR } },
		[NAT_ICMP_PORT] = { { ICMP_DEST_UNREACH, ICMP_PORT_UNREACH },
				    { ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOPORT } },
		[NAT_ICMP_ADMIN] = { { ICMP_DEST_UNREACH, ICMP_PKT_FILTERED },
				     { ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADMIN } },
	};
	bool six = v->version == 6;
	uint8_t proto = six ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	size_t max = six ? QUOTE_MAX6 : QUOTE_MAX4;
	size_t quote = (size_t)(v->l4 - v->ip) + v->l4_len;
	uint8_t *icmp;

	if (quote > max)
		quote = max;
	icmp = ip_begin(buf, v->version, proto, from, &v->flow.src, ICMP_HEAD + quote);
	memset(icmp, 0, ICMP_HEAD);
	icmp[0] = codes[what][six][0];
	icmp[1] = codes[what][six][1];
	memcpy(icmp + ICMP_HEAD, v->ip, quote);
	l4_checksum(buf, icmp, ICMP_HEAD + quote, proto, icmp + 2);
	memset(&out->vnet, 0, sizeof(out->vnet));
	out->data = buf;
	out->len = (uint32_t)((size_t)(icmp - buf) + ICMP_HEAD + quote);
}

void nat_pkt_make_udp(const struct nat_view *v, const void *data, size_t len, uint8_t *buf, struct nat_pkt *out)
{
	uint8_t *udp = ip_begin(buf, v->version, IPPROTO_UDP, &v->flow.dst, &v->flow.src, UDP_HEAD + len);

	put16(udp, v->flow.dport);
	put16(udp + 2, v->flow.sport);
	put16(udp + 4, (uint32_t)(UDP_HEAD + len));
	memcpy(udp + UDP_HEAD, data, len);
	l4_checksum(buf, udp, UDP_HEAD + len, IPPROTO_UDP, udp + 6);
	memset(&out->vnet, 0, sizeof(out->vnet));
	out->data = buf;
	out->len = (uint32_t)((size_t)(udp - buf) + UDP_HEAD + len);
}

void nat_pkt_icmp_csum(struct nat_view *v)
{
	l4_checksum(v->ip, v->l4, v->l4_len, v->flow.proto, v->l4 + 2);
}
