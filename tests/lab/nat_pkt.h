/* SPDX-License-Identifier: MIT */
/*
 * Packets as the lab's NAT sees them: look at one, rewrite its ends, answer it.
 *
 * Nothing here keeps state or does I/O. IPv4 addresses are carried as v4-mapped IPv6 addresses,
 * so that one flow key serves both families.
 */
#ifndef LAB_NAT_PKT_H
#define LAB_NAT_PKT_H

#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A packet read from a TUN with segmentation offload is at most an IPv4 datagram. */
#define NAT_PKT_MAX 65535u

/* Every answer we make (RST, ICMP with its quotation) fits: RFC 1812, 4.3.2.3 asks for at most 576. */
#define NAT_ANSWER_MAX 1280u

#define NAT_TCP_FIN 0x01
#define NAT_TCP_SYN 0x02
#define NAT_TCP_RST 0x04
#define NAT_TCP_ACK 0x10

/* ICMP errors that the NAT itself sends, the same for both families. */
enum nat_icmp {
	NAT_ICMP_TIME_EXCEEDED,
	NAT_ICMP_HOST,	/* host unreachable */
	NAT_ICMP_PORT,	/* port unreachable */
	NAT_ICMP_ADMIN, /* administratively prohibited */
};

/* What a packet is, as far as a NAT cares. */
enum nat_kind {
	NAT_KIND_OTHER, /* a protocol, or a fragment, that no NAT of ours carries */
	NAT_KIND_TCP,
	NAT_KIND_UDP,
	NAT_KIND_ECHO,	   /* ICMP query; the identifier stands in for both ports */
	NAT_KIND_ICMP_ERR, /* ICMP error that quotes a packet */
};

/* The ends of a packet. Addresses v4-mapped for IPv4, ports in host order. */
struct nat_flow {
	struct in6_addr src, dst;
	uint16_t sport, dport;
	uint8_t proto;
};

/* A packet and the TUN's offload header, which travels with it. */
struct nat_pkt {
	struct virtio_net_hdr vnet;
	uint32_t len;
	uint8_t *data;
};

/* One IP header and what stands behind it; points into the packet that it was made from. */
struct nat_view {
	enum nat_kind kind;
	uint8_t version; /* 4 or 6 */
	uint8_t ttl;
	uint8_t tcp_flags;
	bool csum_partial; /* the checksum field holds only the pseudo header's sum (offload) */
	struct nat_flow flow;
	uint8_t *ip;
	uint8_t *l4;
	size_t l4_len;
};

/**
 * nat_pkt_view() - Look at a packet
 * @p:	packet; its bytes may be anything
 * @v:	filled in
 *
 * Return: 0, or -EINVAL if the bytes are no whole IP packet.
 */
int nat_pkt_view(const struct nat_pkt *p, struct nat_view *v);

/**
 * nat_pkt_quoted() - Look at the packet that an ICMP error quotes
 * @v:	view of the error, of kind NAT_KIND_ICMP_ERR
 * @q:	filled in; its l4_len may be as little as 8
 *
 * Return: 0, or -EINVAL if what is quoted is too short or no protocol of ours.
 */
int nat_pkt_quoted(const struct nat_view *v, struct nat_view *q);

/**
 * nat_pkt_set_end() - Rewrite source or destination, mending the checksums
 * @v:		view of the packet; its flow is brought up to date
 * @source:	true for the source, false for the destination
 * @addr:	new address, of the packet's family
 * @port:	new port (identifier of an ICMP query)
 */
void nat_pkt_set_end(struct nat_view *v, bool source, const struct in6_addr *addr, uint16_t port);

/**
 * nat_pkt_set_ttl() - Rewrite TTL or hop limit
 * @v:		view of the packet
 * @ttl:	new value
 */
void nat_pkt_set_ttl(struct nat_view *v, uint8_t ttl);

/**
 * nat_pkt_icmp_csum() - Compute an ICMP message's checksum anew, after its quotation changed
 * @v:	view of the packet
 */
void nat_pkt_icmp_csum(struct nat_view *v);

/**
 * nat_pkt_make_rst() - Make the RST that answers a TCP packet (RFC 9293, 3.10.7.1)
 * @v:		the packet to answer
 * @buf:	NAT_ANSWER_MAX bytes
 * @out:	the answer, in @buf
 */
void nat_pkt_make_rst(const struct nat_view *v, uint8_t *buf, struct nat_pkt *out);

/**
 * nat_pkt_make_icmp() - Make an ICMP error that quotes a packet
 * @v:		the packet to answer
 * @what:	the error
 * @from:	address that speaks
 * @buf:	NAT_ANSWER_MAX bytes
 * @out:	the answer, in @buf
 */
void nat_pkt_make_icmp(const struct nat_view *v, enum nat_icmp what, const struct in6_addr *from,
		       uint8_t *buf, struct nat_pkt *out);

/**
 * nat_pkt_make_udp() - Make a datagram that answers another one
 * @v:		the packet to answer, UDP
 * @data:	payload
 * @len:	its bytes, at most NAT_ANSWER_MAX - 48
 * @buf:	NAT_ANSWER_MAX bytes
 * @out:	the answer, in @buf
 */
void nat_pkt_make_udp(const struct nat_view *v, const void *data, size_t len, uint8_t *buf, struct nat_pkt *out);

/**
 * nat_pkt_tcp_end() - The sequence number behind a segment, its SYN and FIN counted
 * @v:	view of a TCP packet
 */
uint32_t nat_pkt_tcp_end(const struct nat_view *v);

/**
 * nat_pkt_tcp_ack() - What a segment acknowledges
 * @v:	view of a TCP packet with the ACK flag
 */
uint32_t nat_pkt_tcp_ack(const struct nat_view *v);

/**
 * nat_pkt_print() - Write a packet's ends for the log
 * @v:		the packet
 * @buf:	text, cut to @size
 * @size:	bytes in @buf
 */
void nat_pkt_print(const struct nat_view *v, char *buf, size_t size);

/**
 * nat_addr_print() - Write an address (and port) for the log
 * @a:		address, v4-mapped if IPv4
 * @port:	port, or -1 for none
 * @buf:	text, cut to @size
 * @size:	bytes in @buf
 */
void nat_addr_print(const struct in6_addr *a, int port, char *buf, size_t size);

/**
 * nat_addr_parse() - Read an IPv4 or IPv6 address
 * @text:	the address
 * @a:		result, v4-mapped if IPv4
 *
 * Return: 0 or -EINVAL.
 */
int nat_addr_parse(const char *text, struct in6_addr *a);

#endif
