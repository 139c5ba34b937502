/* SPDX-License-Identifier: MIT */
/* The lab's NAT without wires: what each option does to packets made by hand, hours in microseconds. */
#include "nat_box.h"

static void a_packet_is_translated_both_ways(void **state)
{
	struct nat_view v;

	(void)state;
	box_new("");
	go_out(5000, SRV, 80, S);
	v = took(NAT_OUTSIDE);
	assert_ends(&v, OUT, 5000, SRV, 80);
	assert_int_equal(v.ttl, 63);
	come_in(SRV, 80, 5000, S | A);
	v = took(NAT_INSIDE);
	assert_ends(&v, SRV, 80, IN, 5000);
	silence();
}

static void an_unfinished_checksum_stays_the_pseudo_headers(void **state)
{
	struct nat_view v;
	struct nat_pkt p;
	uint8_t b[128];
	uint32_t c;

	(void)state;
	box_new("port=random");
	p = make(b, IPPROTO_TCP, IN, 5000, SRV, 80, S, 64);
	p.vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	c = sum(b + 12, 8, IPPROTO_TCP + 24);
	b[36] = (uint8_t)(c >> 8);
	b[37] = (uint8_t)c;
	nat_input(box.nat, NAT_INSIDE, 0, &p, box.now);
	v = took(NAT_OUTSIDE);
	assert_true(v.csum_partial);
	c = sum(v.ip + 12, 8, IPPROTO_TCP + 24);
	assert_int_equal(v.l4[16] << 8 | v.l4[17], c);
}

static void mapping_looks_at_what_it_should(void **state)
{
	int a;

	(void)state;
	box_new("mapping=endpoint port=random");
	a = mapped(5000, SRV, 80);
	assert_int_not_equal(a, 5000);
	assert_int_equal(mapped(5000, SRV2, 81), a);
	assert_int_not_equal(mapped(5001, SRV, 80), a);

	box_new("mapping=address port=random");
	a = mapped(5000, SRV, 80);
	assert_int_equal(mapped(5000, SRV, 81), a);
	assert_int_not_equal(mapped(5000, SRV2, 80), a);

	box_new("mapping=address-port port=random");
	a = mapped(5000, SRV, 80);
	assert_int_not_equal(mapped(5000, SRV, 81), a);
	assert_int_equal(mapped(5000, SRV, 80), a);
}

static void ports_follow_the_rule(void **state)
{
	int a, b;

	(void)state;
	box_new("port=preserve");
	assert_int_equal(mapped(5000, SRV, 80), 5000);
	tcp(NAT_INSIDE, "192.168.1.3", 5000, SRV, 80, S); /* taken: the next one */
	assert_int_equal(took(NAT_OUTSIDE).flow.sport, 5001);

	box_new("port=offset");
	a = mapped(5000, SRV, 80);
	assert_int_not_equal(a, 5000);
	assert_int_equal(mapped(5001, SRV, 80), a + 1);
	box_new("port=offset seed=99");
	assert_int_equal(mapped(5000, SRV, 80), a);

	box_new("port=parity mapping=address-port");
	for (int i = 0, kept = 0; i < 40; i++) {
		a = mapped(5000 + i, SRV, 80);
		assert_int_equal(a & 1, i & 1);
		kept += a == 5000 + i;
		assert_true(kept < 2); /* the parity alone */
	}

	box_new("port=sequential:5");
	a = mapped(5000, SRV, 80);
	assert_int_equal(mapped(6000, SRV, 80), a + 1);
	pass_time(2 * NAT_SECOND); /* others take ten */
	assert_int_equal(mapped(7000, SRV, 80), a + 12);

	box_new("port=block:16 mapping=address-port");
	a = mapped(5000, SRV, 80);
	for (int i = 1; i < 16; i++) {
		b = mapped(5000 + i, SRV, 80);
		assert_int_equal((b - 1024) / 16, (a - 1024) / 16);
	}
	go_out(6000, SRV, 80, S); /* the block is used up */
	silence();
	assert_non_null(strstr(box.log, "table-full"));
}

static void filtering_lets_in_whom_it_should(void **state)
{
	(void)state;
	box_new("filtering=address-port");
	mapped(5000, SRV, 80);
	come_in(SRV, 81, 5000, S);
	come_in(SRV2, 80, 5000, S);
	silence();
	come_in(SRV, 80, 5000, S); /* simultaneous open */
	took(NAT_INSIDE);

	box_new("filtering=address");
	mapped(5000, SRV, 80);
	come_in(SRV2, 80, 5000, S);
	silence();
	come_in(SRV, 81, 5000, S);
	took(NAT_INSIDE);

	box_new("filtering=none");
	mapped(5000, SRV, 80);
	come_in(SRV2, 7, 5000, A); /* only a SYN begins a connection */
	silence();
	come_in(SRV2, 7, 5000, S);
	took(NAT_INSIDE);

	box_new("filtering=synack");
	mapped(5000, SRV, 80);
	come_in(SRV, 80, 5000, S);
	silence();
	come_in(SRV, 80, 5000, S | A);
	took(NAT_INSIDE);
}

static void a_stray_syn_gets_its_answer(void **state)
{
	struct nat_view v;

	(void)state;
	box_new("stray=drop");
	come_in(SRV, 80, 5000, S);
	silence();
	assert_non_null(strstr(box.log, "drop in tcp 203.0.113.10:80 > 198.51.100.1:5000 S ttl 64: stray-syn"));

	box_new("stray=rst");
	come_in(SRV, 80, 5000, S);
	v = took(NAT_OUTSIDE);
	assert_ends(&v, OUT, 5000, SRV, 80);
	assert_int_equal(v.tcp_flags, R | A);
	assert_int_equal(v.l4[11], 100 + 1 + 4); /* acknowledges the SYN and its data */

	box_new("stray=icmp");
	come_in(SRV, 80, 5000, S);
	v = took(NAT_OUTSIDE);
	assert_int_equal(v.l4[0], ICMP_DEST_UNREACH);
	assert_int_equal(v.l4[1], ICMP_HOST_UNREACH);

	box_new("stray=icmp-admin");
	come_in(SRV, 80, 5000, S);
	assert_int_equal(took(NAT_OUTSIDE).l4[1], ICMP_PKT_FILTERED);
}

static void a_held_syn_is_answered_after_6_s_unless_met(void **state)
{
	struct nat_view v;

	(void)state;
	box_new("stray=held");
	come_in(SRV, 80, 5000, S);
	pass_time(NAT_SECOND);
	come_in(SRV, 80, 5000, S); /* sent again: one answer in the end, not two */
	pass_time(5 * NAT_SECOND - 1);
	silence();
	pass_time(1);
	v = took(NAT_OUTSIDE);
	assert_int_equal(v.l4[0], ICMP_DEST_UNREACH);
	assert_int_equal(v.l4[1], ICMP_PORT_UNREACH);
	silence();

	come_in(SRV, 80, 5000, S);
	pass_time(NAT_SECOND);
	go_out(5000, SRV, 80, S);
	took(NAT_OUTSIDE);
	pass_time(10 * NAT_SECOND);
	silence();
}

static void sessions_expire_when_they_should(void **state)
{
	(void)state;
	box_new("transitory=10s established=1h");
	mapped(5000, SRV, 80);
	pass_time(9 * NAT_SECOND);
	assert_int_equal(nat_mappings(box.nat), 1);
	pass_time(2 * NAT_SECOND);
	assert_int_equal(nat_mappings(box.nat), 0);

	mapped(5000, SRV, 80);
	come_in(SRV, 80, 5000, S | A);
	go_out(5000, SRV, 80, A);
	pass_time(3599 * NAT_SECOND);
	assert_int_equal(nat_mappings(box.nat), 1);
	go_out(5000, SRV, 80, A);
	pass_time(3599 * NAT_SECOND);
	assert_int_equal(nat_mappings(box.nat), 1);
	go_out(5000, SRV, 80, F | A);
	come_in(SRV, 80, 5000, F | A);
	pass_time(11 * NAT_SECOND);
	assert_int_equal(nat_mappings(box.nat), 0);
	assert_int_equal(nat_run(box.nat, box.now), NAT_NEVER);
}

static void an_rst_as_the_only_answer_is_forgotten(void **state)
{
	(void)state;
	box_new("");
	mapped(5000, SRV, 80);
	come_in(SRV, 80, 5000, R | A);
	assert_int_equal(box.count, 1);
	took(NAT_INSIDE);
	assert_int_equal(nat_mappings(box.nat), 0);
	come_in(SRV, 80, 5000, S); /* so this is a stray again: the race of simultaneous open */
	silence();
}

static void with_control_a_mapping_goes_with_its_first_connection(void **state)
{
	(void)state;
	box_new("control=on");
	mapped(5000, SRV, 80);
	come_in(SRV, 80, 5000, S | A);
	took(NAT_INSIDE);
	mapped(5000, SRV2, 80);
	go_out(5000, SRV, 80, F | A);
	come_in(SRV, 80, 5000, F | A);
	acknowledged = SEQUENCE; /* the FIN overtook what was lost before it, which is sent again */
	go_out(5000, SRV, 80, A);
	acknowledged = ALL;
	come_in(SRV, 80, 5000, A);
	assert_int_equal(nat_mappings(box.nat), 1);
	go_out(5000, SRV, 80, A); /* the last one still passes */
	assert_int_equal(nat_mappings(box.nat), 0);
	while (box.count)
		took(box.sent[0].side);
	come_in(SRV2, 80, 5000, S | A);
	silence();
}

static void icmp_errors_reach_the_inside_with_the_quotation_translated(void **state)
{
	const struct in6_addr router = ip("203.0.113.254");
	uint8_t b[128], answer[NAT_ANSWER_MAX];
	struct nat_pkt syn, error;
	struct nat_view v, q;

	(void)state;
	box_new("port=random");
	syn = make(b, IPPROTO_TCP, IN, 5000, SRV, 80, S, 2);
	nat_input(box.nat, NAT_INSIDE, 0, &syn, box.now);
	v = took(NAT_OUTSIDE);
	nat_pkt_make_icmp(&v, NAT_ICMP_TIME_EXCEEDED, &router, answer, &error);
	nat_input(box.nat, NAT_OUTSIDE, 0, &error, box.now);
	v = took(NAT_INSIDE);
	assert_ends(&v, "203.0.113.254", 0, IN, 0);
	assert_int_equal(nat_pkt_quoted(&v, &q), 0);
	assert_ends(&q, IN, 5000, SRV, 80);
	assert_int_equal(q.ttl, 1); /* what IP_MINTTL looks at */
	assert_int_equal(sum(q.ip, 20, 0), 0xffff);
}

static void a_ttl_that_ends_here_is_answered(void **state)
{
	struct nat_view v;
	struct nat_pkt p;
	uint8_t b[128];

	(void)state;
	box_new("");
	p = make(b, IPPROTO_TCP, IN, 5000, SRV, 80, S, 1);
	nat_input(box.nat, NAT_INSIDE, 0, &p, box.now);
	v = took(NAT_INSIDE);
	assert_ends(&v, BOX, 0, IN, 0);
	assert_int_equal(v.l4[0], ICMP_TIME_EXCEEDED);
	assert_int_equal(nat_mappings(box.nat), 0);

	box_new("time-exceeded=off");
	p = make(b, IPPROTO_TCP, IN, 5000, SRV, 80, S, 1);
	nat_input(box.nat, NAT_INSIDE, 0, &p, box.now);
	silence();

	box_new("neighbours=on");
	p = make(b, IPPROTO_TCP, IN, 5000, SRV, 80, S, 2);
	nat_input(box.nat, NAT_INSIDE, 0, &p, box.now);
	assert_int_equal(took(NAT_OUTSIDE).ttl, 2); /* the router's hop is given back */
}

static void hairpin_goes_through_both_translations(void **state)
{
	struct nat_view v;

	(void)state;
	box_new("hairpin=on filtering=none");
	tcp(NAT_INSIDE, "192.168.1.3", 6000, SRV, 80, S);
	took(NAT_OUTSIDE);
	go_out(5000, OUT, 6000, S);
	assert_int_equal(box.sent[0].host, 1);
	v = took(NAT_INSIDE);
	assert_ends(&v, OUT, 5000, "192.168.1.3", 6000);

	box_new("hairpin=off filtering=none");
	go_out(5000, OUT, 6000, S);
	assert_int_equal(took(NAT_INSIDE).tcp_flags, R | A);
}

static void udp_and_echo_pass_too(void **state)
{
	struct nat_view v;
	struct nat_pkt p;
	uint8_t b[128];

	(void)state;
	box_new("port=random");
	p = make(b, IPPROTO_UDP, IN, 5000, SRV, 53, 0, 64);
	nat_input(box.nat, NAT_INSIDE, 0, &p, box.now);
	v = took(NAT_OUTSIDE);
	p = make(b, IPPROTO_UDP, SRV, 53, OUT, v.flow.sport, 0, 64);
	nat_input(box.nat, NAT_OUTSIDE, 0, &p, box.now);
	v = took(NAT_INSIDE);
	assert_ends(&v, SRV, 53, IN, 5000);

	p = make(b, IPPROTO_ICMP, IN, 77, SRV, 0, 0, 64);
	nat_input(box.nat, NAT_INSIDE, 0, &p, box.now);
	v = took(NAT_OUTSIDE);
	assert_int_not_equal(v.flow.sport, 77);
}

static void ipv6_is_filtered_not_translated(void **state)
{
	struct nat_view v;

	(void)state;
	box_new("");
	tcp(NAT_INSIDE, "2001:db8::2", 5000, "2001:db8:1::9", 80, S);
	v = took(NAT_OUTSIDE);
	assert_int_equal(v.flow.sport, 5000);
	tcp(NAT_OUTSIDE, "2001:db8:1::9", 81, "2001:db8::2", 5000, S);
	silence();
	tcp(NAT_OUTSIDE, "2001:db8:1::9", 80, "2001:db8::2", 5000, S | A);
	took(NAT_INSIDE);
}

/* A request of NAT-PMP; what is answered, is in @reply. Return: its bytes, 0 none */
static size_t pmp(const uint8_t *request, size_t size, uint8_t reply[16])
{
	struct nat_view v;
	struct nat_pkt p;
	uint8_t b[128];
	uint32_t c;

	p = make(b, IPPROTO_UDP, IN, 5000, BOX, 5351, 0, 64);
	memcpy(b + 28, request, size);
	p.len = (uint32_t)(28 + size);
	b[3] = (uint8_t)p.len;
	b[25] = (uint8_t)(8 + size);
	b[10] = b[11] = 0;
	c = ~sum(b, 20, 0);
	b[10] = (uint8_t)(c >> 8);
	b[11] = (uint8_t)c;
	b[26] = b[27] = 0; /* no checksum */
	nat_input(box.nat, NAT_INSIDE, 0, &p, box.now);
	v = took(NAT_INSIDE);
	if (v.kind != NAT_KIND_UDP)
		return 0;
	assert_ends(&v, BOX, 5351, IN, 5000);
	assert_true(v.l4_len - 8 <= 16);
	memcpy(reply, v.l4 + 8, v.l4_len - 8);
	return v.l4_len - 8;
}

static void nat_pmp_opens_a_port_for_everybody(void **state)
{
	static const uint8_t address[2] = { 0, 0 }, other_version[24] = { 2, 1 }, other_opcode[2] = { 0, 9 };
	uint8_t map_it[12] = { 0, 2, 0, 0, 7000 >> 8, 7000 & 255, 9000 >> 8, 9000 & 255, 0, 0, 0, 60 }, reply[16];
	struct nat_view v;

	(void)state;
	box_new("");
	assert_int_equal(pmp(address, sizeof(address), reply), 0); /* an ICMP error */
	box_new("pmp=on filtering=synack control=on");
	pass_time(5 * NAT_SECOND);
	assert_int_equal(pmp(address, sizeof(address), reply), 12);
	assert_memory_equal(reply, "\0\x80\0\0\0\0\0\5\xc6\x33\x64\1", 12);
	assert_int_equal(pmp(other_version, sizeof(other_version), reply), 8);
	assert_int_equal(reply[0], 0);
	assert_int_equal(reply[3], 1);
	assert_int_equal(pmp(other_opcode, sizeof(other_opcode), reply), 8);
	assert_int_equal(reply[3], 5);
	come_in(SRV, 80, 9000, S);
	silence();
	assert_int_equal(pmp(map_it, sizeof(map_it), reply), 16);
	assert_memory_equal(reply, "\0\x82\0\0\0\0\0\5\x1b\x58\x23\x28\0\0\0\x3c", 16);
	for (int i = 0; i < 2; i++) {
		come_in(i ? SRV2 : SRV, 80, 9000, S);
		v = took(NAT_INSIDE);
		assert_ends(&v, i ? SRV2 : SRV, 80, IN, 7000);
	}
	go_out(7000, SRV, 80, S | A);
	v = took(NAT_OUTSIDE);
	assert_ends(&v, OUT, 9000, SRV, 80);
	/* its first connection ends, and takes no other one along */
	come_in(SRV, 80, 9000, F | A);
	took(NAT_INSIDE);
	go_out(7000, SRV, 80, F | A);
	took(NAT_OUTSIDE);
	come_in(SRV, 80, 9000, A);
	took(NAT_INSIDE);
	come_in(SRV2, 80, 9000, A);
	v = took(NAT_INSIDE);
	assert_ends(&v, SRV2, 80, IN, 7000);
	pass_time(61 * NAT_SECOND);
	come_in(SRV2, 81, 9000, S);
	silence();
	assert_int_equal(pmp(map_it, sizeof(map_it), reply), 16);
	map_it[11] = 0;
	assert_int_equal(pmp(map_it, sizeof(map_it), reply), 16);
	assert_int_equal(reply[3], 0);
	come_in(SRV2, 82, 9000, S);
	silence();
	map_it[11] = 60;
	assert_int_equal(pmp(map_it, sizeof(map_it), reply), 16);
	nat_flush(box.nat);
	assert_int_equal(nat_mappings(box.nat), 0);
	assert_int_equal(pmp(address, sizeof(address), reply), 12);
	assert_int_equal(reply[7], 0); /* the time begins anew */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_is_translated_both_ways),
		cmocka_unit_test(an_unfinished_checksum_stays_the_pseudo_headers),
		cmocka_unit_test(mapping_looks_at_what_it_should),
		cmocka_unit_test(ports_follow_the_rule),
		cmocka_unit_test(filtering_lets_in_whom_it_should),
		cmocka_unit_test(a_stray_syn_gets_its_answer),
		cmocka_unit_test(a_held_syn_is_answered_after_6_s_unless_met),
		cmocka_unit_test(sessions_expire_when_they_should),
		cmocka_unit_test(an_rst_as_the_only_answer_is_forgotten),
		cmocka_unit_test(with_control_a_mapping_goes_with_its_first_connection),
		cmocka_unit_test(icmp_errors_reach_the_inside_with_the_quotation_translated),
		cmocka_unit_test(a_ttl_that_ends_here_is_answered),
		cmocka_unit_test(hairpin_goes_through_both_translations),
		cmocka_unit_test(udp_and_echo_pass_too),
		cmocka_unit_test(nat_pmp_opens_a_port_for_everybody),
		cmocka_unit_test(ipv6_is_filtered_not_translated),
	};

	return cmocka_run_group_tests(tests, NULL, box_free);
}
