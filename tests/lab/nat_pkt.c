/* SPDX-License-Identifier: MIT */
/*
 * Look at packets and rewrite their ends; see nat_answer.c for the packets that we make.
 *
 * Checksums are mended by difference (RFC 1624), so a packet that arrived damaged leaves damaged.
 * With offload the transport checksum is "partial": the field holds the folded sum of the pseudo
 * header, not inverted, and the receiving kernel adds the rest; only addresses matter to it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <string.h>

#include "nat_pkt.h"

#define IP4_MIN 20u
#define IP6_LEN 40u
#define TCP_MIN 20u
#define L4_QUOTED_MIN 8u /* RFC 792: an error quotes at least 64 bits of the datagram */

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void map4(struct in6_addr *a, const uint8_t *bytes)
{
	memset(a, 0, sizeof(*a));
	a->s6_addr[10] = a->s6_addr[11] = 0xff;
	memcpy(&a->s6_addr[12], bytes, 4);
}

/* Replace @len bytes (even) at @field by @new, and correct @csum for it. */
static void replace(uint8_t *csum, bool inverted, uint8_t *field, const uint8_t *new, size_t len)
{
	uint32_t sum;
	size_t i;

	if (csum) {
		sum = get16(csum);
		if (inverted)
			sum = ~sum & 0xffff;
		for (i = 0; i < len; i += 2)
			sum += (~(uint32_t)get16(field + i) & 0xffff) + get16(new + i);
		while (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
		if (inverted)
			sum = ~sum & 0xffff;
		put16(csum, (uint16_t)sum);
	}
	memmove(field, new, len);
}

static bool is_icmp_error(uint8_t proto, uint8_t type)
{
	if (proto == IPPROTO_ICMPV6)
		return type < 128; /* RFC 4443, 2.1 */
	return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}

static bool is_echo(uint8_t proto, uint8_t type)
{
	if (proto == IPPROTO_ICMPV6)
		return type == ICMP6_ECHO_REQUEST || type == ICMP6_ECHO_REPLY;
	return type == ICMP_ECHO || type == ICMP_ECHOREPLY;
}

/* Fill in kind, ports and flags from the transport header; @quoted headers may be cut short. */
static void view_transport(struct nat_view *v, bool quoted)
{
	struct nat_flow *f = &v->flow;

	v->kind = NAT_KIND_OTHER;
	if (v->l4_len < L4_QUOTED_MIN)
		return;
	switch (f->proto) {
	case IPPROTO_TCP:
		if (v->l4_len < TCP_MIN && !quoted)
			return;
		v->kind = NAT_KIND_TCP;
		v->tcp_flags = v->l4_len >= TCP_MIN ? v->l4[13] : 0;
		break;
	case IPPROTO_UDP:
		v->kind = NAT_KIND_UDP;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (is_icmp_error(f->proto, v->l4[0]) && !quoted) {
			v->kind = NAT_KIND_ICMP_ERR;
		} else if (is_echo(f->proto, v->l4[0])) {
			v->kind = NAT_KIND_ECHO;
			f->sport = f->dport = get16(v->l4 + 4);
		}
		return;
	default:
		return;
	}
	f->sport = get16(v->l4);
	f->dport = get16(v->l4 + 2);
}

static int view_at(uint8_t *ip, size_t len, bool quoted, struct nat_view *v)
{
	size_t head, total;
	bool fragment = false;

	memset(v, 0, sizeof(*v));
	v->ip = ip;
	if (len < 1)
		return -EINVAL;
	v->version = ip[0] >> 4;
	if (v->version == 4) {
		head = (ip[0] & 15u) * 4u;
		if (len < IP4_MIN || head < IP4_MIN || len < head)
			return -EINVAL;
		total = get16(ip + 2);
		v->ttl = ip[8];
		v->flow.proto = ip[9];
		fragment = (get16(ip + 6) & (IP_MF | IP_OFFMASK)) != 0;
		map4(&v->flow.src, ip + 12);
		map4(&v->flow.dst, ip + 16);
	} else if (v->version == 6) {
		head = IP6_LEN;
		if (len < head)
			return -EINVAL;
		total = head + get16(ip + 4);
		v->ttl = ip[7];
		v->flow.proto = ip[6];
		memcpy(&v->flow.src, ip + 8, 16);
		memcpy(&v->flow.dst, ip + 24, 16);
	} else {
		return -EINVAL;
	}
	if (total < head || (total > len && !quoted))
		return -EINVAL;
	v->l4 = ip + head;
	v->l4_len = (total < len ? total : len) - head;
	if (!fragment)
		view_transport(v, quoted);
	return 0;
}

int nat_pkt_view(const struct nat_pkt *p, struct nat_view *v)
{
	int rc = view_at(p->data, p->len, false, v);

	v->csum_partial = (p->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
	return rc;
}

int nat_pkt_quoted(const struct nat_view *v, struct nat_view *q)
{
	if (view_at(v->l4 + 8, v->l4_len - 8, true, q))
		return -EINVAL;
	return q->kind == NAT_KIND_OTHER || q->version != v->version ? -EINVAL : 0;
}

/* Where the transport checksum stands, or NULL if there is none (or it was cut off, or is unused). */
static uint8_t *l4_csum(const struct nat_view *v)
{
	switch (v->kind) {
	case NAT_KIND_TCP:
		return v->l4_len >= 18 ? v->l4 + 16 : NULL;
	case NAT_KIND_UDP:
		return v->csum_partial || get16(v->l4 + 6) ? v->l4 + 6 : NULL;
	case NAT_KIND_ECHO:
	case NAT_KIND_ICMP_ERR:
		return v->l4 + 2;
	case NAT_KIND_OTHER:
		break;
	}
	return NULL;
}

void nat_pkt_set_end(struct nat_view *v, bool source, const struct in6_addr *addr, uint16_t port)
{
	uint8_t *csum = l4_csum(v);
	uint8_t bytes[2];
	uint8_t *field;
	bool pseudo = v->flow.proto != IPPROTO_ICMP; /* ICMP for IPv4 sums no addresses */

	if (v->version == 4) {
		field = v->ip + (source ? 12 : 16);
		if (csum && pseudo) { /* the IP header's sum below needs the old bytes still */
			uint8_t old[4];

			memcpy(old, field, 4);
			replace(csum, !v->csum_partial, old, &addr->s6_addr[12], 4);
		}
		replace(v->ip + 10, true, field, &addr->s6_addr[12], 4);
	} else {
		field = v->ip + (source ? 8 : 24);
		replace(csum, !v->csum_partial, field, addr->s6_addr, 16);
	}
	*(source ? &v->flow.src : &v->flow.dst) = *addr;

	put16(bytes, port);
	if (v->kind == NAT_KIND_ECHO) {
		replace(csum, true, v->l4 + 4, bytes, 2);
		v->flow.sport = v->flow.dport = port;
	} else if (v->kind == NAT_KIND_TCP || v->kind == NAT_KIND_UDP) {
		replace(v->csum_partial ? NULL : csum, true, v->l4 + (source ? 0 : 2), bytes, 2);
		*(source ? &v->flow.sport : &v->flow.dport) = port;
	}
}

void nat_pkt_set_ttl(struct nat_view *v, uint8_t ttl)
{
	uint8_t word[2];

	if (v->version == 4) {
		word[0] = ttl;
		word[1] = v->ip[9];
		replace(v->ip + 10, true, v->ip + 8, word, 2);
	} else {
		v->ip[7] = ttl;
	}
	v->ttl = ttl;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint32_t nat_pkt_tcp_end(const struct nat_view *v)
{
	size_t head = (size_t)(v->l4[12] >> 4) * 4;
	uint32_t size = v->l4_len > head ? (uint32_t)(v->l4_len - head) : 0;

	return get32(v->l4 + 4) + size + ((v->tcp_flags & NAT_TCP_SYN) != 0) + ((v->tcp_flags & NAT_TCP_FIN) != 0);
}

uint32_t nat_pkt_tcp_ack(const struct nat_view *v)
{
	return get32(v->l4 + 8);
}

int nat_addr_parse(const char *text, struct in6_addr *a)
{
	uint8_t four[4];

	if (inet_pton(AF_INET, text, four) == 1) {
		map4(a, four);
		return 0;
	}
	return inet_pton(AF_INET6, text, a) == 1 ? 0 : -EINVAL;
}

void nat_addr_print(const struct in6_addr *a, int port, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN] = "?";
	bool four = IN6_IS_ADDR_V4MAPPED(a);

	if (four)
		inet_ntop(AF_INET, &a->s6_addr[12], text, sizeof(text));
	else
		inet_ntop(AF_INET6, a, text, sizeof(text));
	if (port < 0)
		snprintf(buf, size, "%s", text);
	else
		snprintf(buf, size, four ? "%s:%d" : "[%s]:%d", text, port);
}

void nat_pkt_print(const struct nat_view *v, char *buf, size_t size)
{
	static const char *const kinds[] = {
		[NAT_KIND_OTHER] = "other", [NAT_KIND_TCP] = "tcp",	     [NAT_KIND_UDP] = "udp",
		[NAT_KIND_ECHO] = "echo",   [NAT_KIND_ICMP_ERR] = "icmp-error",
	};
	char src[64], dst[64], flags[8] = "";
	size_t n = 0;

	nat_addr_print(&v->flow.src, v->flow.sport, src, sizeof(src));
	nat_addr_print(&v->flow.dst, v->flow.dport, dst, sizeof(dst));
	if (v->kind == NAT_KIND_TCP) {
		flags[n++] = ' ';
		if (v->tcp_flags & NAT_TCP_SYN)
			flags[n++] = 'S';
		if (v->tcp_flags & NAT_TCP_FIN)
			flags[n++] = 'F';
		if (v->tcp_flags & NAT_TCP_RST)
			flags[n++] = 'R';
		if (v->tcp_flags & NAT_TCP_ACK)
			flags[n++] = '.';
		flags[n] = '\0';
	}
	snprintf(buf, size, "%s %s > %s%s ttl %u", kinds[v->kind], src, dst, flags, v->ttl);
}
