/* SPDX-License-Identifier: MIT */
/*
 * test_pcp.c - MAP requests, and what may come back
 */
#include <errno.h>
#include <stdlib.h>

#include "resolver/pcp.h"
#include "tests/unit/scratch.h"

static struct pcp_map a_map(const char *client)
{
	struct pcp_map map = { .internal = 40000, .lifetime = 7200 };

	assert_int_equal(endpoint_parse(&map.client, client, 0), 0);
	memset(map.nonce, 0x4e, sizeof(map.nonce));
	map.suggested.port = 40000;
	return map;
}

/* A request turned into the response that a server makes of it, which gives 203.0.113.9:50000 for an hour */
static void make_response(uint8_t out[PCP_MAP_SIZE], const struct pcp_map *map)
{
	pcp_request(out, map);
	out[1] |= 0x80;
	memset(out + 8, 0, 16);
	memcpy(out + 4, "\0\0\x0e\x10", 4);
	memcpy(out + 42, "\xc3\x50", 2);
	memset(out + 44, 0, 10);
	memcpy(out + 54, "\xff\xff\xcb\0\x71\x09", 6);
}

static void a_request_is_as_the_rfc_draws_it(void **state)
{
	static const uint8_t want[PCP_MAP_SIZE] = {
		2, 1, 0, 0, 0, 0, 0x1c, 0x20,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 1, 2,
		0x4e, 0x4e, 0x4e, 0x4e, 0x4e, 0x4e, 0x4e, 0x4e, 0x4e, 0x4e, 0x4e, 0x4e,
		6, 0, 0, 0, 0x9c, 0x40, 0x9c, 0x40,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0,
	};
	struct pcp_map map = a_map("192.168.1.2");
	uint8_t out[PCP_MAP_SIZE];

	(void)state;
	pcp_request(out, &map);
	assert_memory_equal(out, want, sizeof(want));
	map = a_map("2001:db8::2");
	pcp_request(out, &map);
	assert_memory_equal(out + 8, map.client.address, 16);
	assert_int_equal(out[54] | out[55], 0);
}

static void a_response_gives_address_port_and_lifetime(void **state)
{
	struct pcp_map map = a_map("192.168.1.2");
	uint8_t in[PCP_MAX] = { 0 };
	struct endpoint external;
	uint32_t lifetime;
	char text[ENDPOINT_TEXT_SIZE];

	(void)state;
	make_response(in, &map);
	assert_int_equal(pcp_response(in, PCP_MAP_SIZE, &map, &external, &lifetime), 0);
	assert_string_equal(endpoint_format(&external, text), "203.0.113.9:50000");
	assert_int_equal(lifetime, 3600);
	memcpy(in + 8, "\0\0\1\2", 4);
	assert_int_equal(pcp_epoch(in), 0x102);
	/* Options that follow are none of ours */
	assert_int_equal(pcp_response(in, PCP_MAX, &map, &external, &lifetime), 0);
}

/* A pinhole: the address and port given are our own */
static void a_response_about_ipv6_gives_an_ipv6_address(void **state)
{
	struct pcp_map map = a_map("2001:db8::2");
	uint8_t in[PCP_MAP_SIZE];
	struct endpoint external;
	uint32_t lifetime;
	char text[ENDPOINT_TEXT_SIZE];

	(void)state;
	make_response(in, &map);
	memcpy(in + 44, map.client.address, sizeof(map.client.address));
	assert_int_equal(pcp_response(in, sizeof(in), &map, &external, &lifetime), 0);
	assert_string_equal(endpoint_format(&external, text), "[2001:db8::2]:50000");
	make_response(in, &map);	/* an IPv4 address for an IPv6 client */
	assert_int_equal(pcp_response(in, sizeof(in), &map, &external, &lifetime), -EREMOTEIO);
}

static void announcements_of_both_protocols_tell_the_epoch(void **state)
{
	uint8_t pcp[24] = { 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2 }, natpmp[12] = { 0, 0x80, 0, 0, 0, 0, 3, 4, 203, 0, 113, 9 };
	uint32_t epoch = 0;
	unsigned int i;

	(void)state;
	assert_int_equal(pcp_announcement(pcp, sizeof(pcp), &epoch), 0);
	assert_int_equal(epoch, 0x102);
	assert_int_equal(pcp_announcement(natpmp, sizeof(natpmp), &epoch), 0);
	assert_int_equal(epoch, 0x304);
	for (i = 0; i < sizeof(pcp); i++)
		assert_int_equal(pcp_announcement(pcp, i, &epoch), -ENOMSG);
	for (i = 0; i < sizeof(natpmp); i++)
		assert_int_equal(pcp_announcement(natpmp, i, &epoch), -ENOMSG);
	/* A mapping's response, a request, a refusal, another version */
	for (i = 0; i < 4; i++) {
		static const struct { unsigned int at; uint8_t value; } wrong[] = { { 1, 0x81 }, { 1, 0 }, { 3, 1 }, { 0, 1 } };

		pcp[wrong[i].at] = wrong[i].value;
		assert_int_equal(pcp_announcement(pcp, sizeof(pcp), &epoch), -ENOMSG);
		memcpy(pcp, "\2\200\0\0", 4);
	}
	natpmp[3] = 1;
	assert_int_equal(pcp_announcement(natpmp, sizeof(natpmp), &epoch), -ENOMSG);
}

/* What is no answer to this very request is waited out, whatever it holds */
static void others_answers_are_not_ours(void **state)
{
	struct pcp_map map = a_map("192.168.1.2");
	static const unsigned int places[] = { 24, 35, 36, 40, 41 };
	uint8_t in[PCP_MAX + 1] = { 0 };
	struct endpoint external;
	uint32_t lifetime;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(places) / sizeof(*places); i++) {
		make_response(in, &map);
		in[places[i]] ^= 1;
		assert_int_equal(pcp_response(in, PCP_MAP_SIZE, &map, &external, &lifetime), -ENOMSG);
	}
	make_response(in, &map);
	for (i = 0; i < PCP_MAP_SIZE; i++)
		assert_int_equal(pcp_response(in, i, &map, &external, &lifetime), -ENOMSG);
	assert_int_equal(pcp_response(in, sizeof(in), &map, &external, &lifetime), -ENOMSG);
	in[1] = 1;	/* a request, perhaps our own coming back */
	assert_int_equal(pcp_response(in, PCP_MAP_SIZE, &map, &external, &lifetime), -ENOMSG);
}

static void refusals_are_told_apart(void **state)
{
	struct pcp_map map = a_map("192.168.1.2");
	static const uint8_t natpmp[8] = { 0, 0x81, 0, 1 };
	static const struct {
		uint8_t code;
		int error;
	} cases[] = { { 1, -EPROTONOSUPPORT }, { 2, -EACCES }, { 3, -EREMOTEIO }, { 8, -ENOSPC }, { 10, -ENOSPC }, { 255, -EREMOTEIO } };
	uint8_t in[PCP_MAP_SIZE];
	struct endpoint external;
	uint32_t lifetime;
	unsigned int i;

	(void)state;
	assert_int_equal(pcp_response(natpmp, sizeof(natpmp), &map, &external, &lifetime), -EPROTONOSUPPORT);
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		make_response(in, &map);
		in[3] = cases[i].code;
		assert_int_equal(pcp_response(in, sizeof(in), &map, &external, &lifetime), cases[i].error);
		assert_int_equal(external.family, 0);
	}
	make_response(in, &map);
	in[42] = in[43] = 0;	/* success, but no port */
	assert_int_equal(pcp_response(in, sizeof(in), &map, &external, &lifetime), -EREMOTEIO);
	make_response(in, &map);
	in[54] = 0;		/* an IPv6 address for an IPv4 client */
	assert_int_equal(pcp_response(in, sizeof(in), &map, &external, &lifetime), -EREMOTEIO);
}

static void any_bytes_are_survived(void **state)
{
	struct pcp_map map = a_map("192.168.1.2");
	struct endpoint external;
	uint32_t lifetime;
	unsigned int i, j;
	size_t size;
	uint8_t *in;

	(void)state;
	srand(1);
	for (i = 0; i < 20000; i++) {
		size = (size_t)rand() % (PCP_MAP_SIZE + 8);
		in = malloc(size + 1);	/* exactly as large: a checker sees each byte too many */
		assert_non_null(in);
		for (j = 0; j < size; j++)
			in[j] = (uint8_t)rand();
		if (size > 2 && i % 2) {
			in[0] = 2;
			in[1] = 0x81;
		}
		pcp_response(in, size, &map, &external, &lifetime);
		free(in);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_as_the_rfc_draws_it),
		cmocka_unit_test(a_response_gives_address_port_and_lifetime),
		cmocka_unit_test(a_response_about_ipv6_gives_an_ipv6_address),
		cmocka_unit_test(announcements_of_both_protocols_tell_the_epoch),
		cmocka_unit_test(others_answers_are_not_ours),
		cmocka_unit_test(refusals_are_told_apart),
		cmocka_unit_test(any_bytes_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
