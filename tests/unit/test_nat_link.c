/* SPDX-License-Identifier: MIT */
/* The outside link of the lab's NAT (delay, jitter, loss), its options' names, and hostile bytes. */
#include "nat_box.h"

static void delay_holds_a_packet_each_way(void **state)
{
	(void)state;
	box_new("delay=25ms");
	go_out(5000, SRV, 80, S);
	assert_int_equal(nat_run(box.nat, box.now), box.now + 25 * NAT_MS);
	pass_time(25 * NAT_MS - 1);
	silence();
	pass_time(1);
	took(NAT_OUTSIDE);
	come_in(SRV, 80, 5000, S | A);
	silence();
	pass_time(25 * NAT_MS);
	took(NAT_INSIDE);
}

static void a_syn_on_its_way_is_judged_when_it_arrives(void **state)
{
	(void)state;
	box_new("delay=25ms stray=rst");
	come_in(SRV, 80, 5000, S); /* a stray, if it were judged now */
	pass_time(20 * NAT_MS);
	go_out(5000, SRV, 80, S);
	pass_time(5 * NAT_MS);
	took(NAT_INSIDE);
	silence();
}

static void jitter_keeps_the_order(void **state)
{
	(void)state;
	box_new("delay=5ms jitter=20ms");
	for (int i = 0; i < 20; i++) {
		go_out(5000 + i, SRV, 80, S);
		pass_time(100);
	}
	pass_time(NAT_SECOND);
	for (int i = 0; i < 20; i++)
		assert_int_equal(took(NAT_OUTSIDE).flow.sport, 5000 + i);
}

/* Which of 60 SYNs get through, as bits. */
static uint64_t survivors(const char *options)
{
	uint64_t bits = 0;

	box_new(options);
	for (int i = 0; i < 60; i++)
		go_out(5000 + i, SRV, 80, S);
	while (box.count)
		bits |= 1ull << (took(NAT_OUTSIDE).flow.sport - 5000);
	return bits;
}

static void loss_is_what_was_asked_for_and_repeats_with_the_seed(void **state)
{
	uint64_t a = survivors("loss=30% seed=5"), all = (1ull << 60) - 1;
	int n = __builtin_popcountll(a);

	(void)state;
	assert_in_range(n, 30, 54);
	assert_non_null(strstr(box.log, ": loss"));
	assert_true(survivors("loss=30% seed=5") == a);
	assert_true(survivors("loss=30% seed=6") != a);
	assert_true(survivors("loss-in=30% seed=5") == all);
	assert_true(survivors("loss-out=100%") == 0);
}

static void a_wire_passes_anything(void **state)
{
	uint8_t bytes[] = { 1, 2, 3 };
	struct nat_pkt p = { .len = sizeof(bytes), .data = bytes };

	(void)state;
	box_new("mapping=none");
	nat_input(box.nat, NAT_INSIDE, 0, &p, box.now);
	nat_input(box.nat, NAT_OUTSIDE, 0, &p, box.now);
	assert_int_equal(box.count, 2);
	assert_int_equal(box.sent[0].side, NAT_OUTSIDE);
	assert_int_equal(box.sent[1].side, NAT_INSIDE);
	box.count = 0;
}

static void options_are_checked(void **state)
{
	static const char *const wrong[] = {
		"", "delay", "=", "delay=", "delay=5", "delay=-1ms", "delay=5parsec", "delay=nanms", "loss=101",
		"loss=x", "loss=-1%", "mapping=cone", "port=block:0", "port=random:5", "port=block:x", "seed=-1",
		"hairpin=yes", "inside=1.2.3", "unknown=1", "delay=99999999h",
	};
	struct nat_conf c, before;
	char err[128];

	(void)state;
	nat_conf_init(&c);
	before = c;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		err[0] = '\0';
		if (nat_conf_set(&c, wrong[i], err, sizeof(err)) == 0)
			fail_msg("\"%s\" was taken", wrong[i]);
		assert_non_null(strstr(err, wrong[i]));
	}
	assert_memory_equal(&c.delay, &before.delay, sizeof(c.delay));
	assert_int_equal(nat_conf_set(&c, "delay=1.5ms", err, sizeof(err)), 0);
	assert_int_equal(c.delay, 1500);
	assert_int_equal(nat_conf_set(&c, "established=2h", err, sizeof(err)), 0);
	assert_int_equal(c.established, 7200 * NAT_SECOND);
}

/* Every cut, and thousands of mutations, of packets from both sides: no crash, nothing out of bounds. */
static void hostile_bytes_do_no_harm(void **state)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP };
	uint8_t good[128], answer[NAT_ANSWER_MAX];
	const struct in6_addr router = ip("203.0.113.254");
	struct nat_pkt p, error;
	struct nat_view v;

	(void)state;
	box_new("filtering=none stray=rst");
	srand(1);
	for (int i = 0; i < 30000; i++) {
		enum nat_side side = i & 1 ? NAT_INSIDE : NAT_OUTSIDE;
		const char *src = side == NAT_INSIDE ? IN : SRV, *dst = side == NAT_INSIDE ? SRV : OUT;
		uint8_t *bytes;

		p = make(good, protos[i % 3], src, 5000 + i % 7, dst, 5000, S, 64);
		if (i % 5 == 0 && !nat_pkt_view(&p, &v)) {
			nat_pkt_make_icmp(&v, NAT_ICMP_PORT, &router, answer, &error);
			p = error;
		}
		p.len = i % 4 ? p.len : (uint32_t)(rand() % (int)(p.len + 1));
		bytes = malloc(p.len + 1); /* exact, so that a sanitizer sees a step too far */
		assert_non_null(bytes);
		memcpy(bytes, p.data, p.len);
		p.data = bytes;
		for (int k = rand() % 4; k > 0 && p.len; k--)
			bytes[rand() % (int)p.len] = (uint8_t)rand();
		nat_input(box.nat, side, 0, &p, box.now);
		free(bytes);
		box.count = 0;
		pass_time(NAT_MS);
		box.count = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delay_holds_a_packet_each_way),
		cmocka_unit_test(a_syn_on_its_way_is_judged_when_it_arrives),
		cmocka_unit_test(jitter_keeps_the_order),
		cmocka_unit_test(loss_is_what_was_asked_for_and_repeats_with_the_seed),
		cmocka_unit_test(a_wire_passes_anything),
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(hostile_bytes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, box_free);
}
