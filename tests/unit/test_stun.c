/* SPDX-License-Identifier: MIT */
/*
 * test_stun.c - Binding over TCP: the vectors of RFC 5769, and hostile bytes
 */
#include <errno.h>

#include "common/stun.h"
#include "tests/unit/scratch.h"

/* RFC 5769 2.1 */
static const char request_hex[] =
	"00010058 2112a442 b7e7a701 bc34d686 fa87dfae 80220010 5354554e 20746573 7420636c 69656e74"
	"00240004 6e0001ff 80290008 932ff9b1 51263b36 00060009 6576746a 3a683676 59202020"
	"00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2 80280004 e57a3bcf";
/* RFC 5769 2.2 */
static const char response4_hex[] =
	"0101003c 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220"
	"00200008 0001a147 e112a643 00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96";
/* RFC 5769 2.3 */
static const char response6_hex[] =
	"01010048 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220"
	"00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9"
	"00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004 c8fb0b4c";
static const uint8_t id[STUN_ID] = { 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae };

#define HEADER_OK	"01010000 2112a442 b7e7a701 bc34d686 fa87dfae"

static struct endpoint endpoint_of(const char *text)
{
	struct endpoint ep;

	assert_int_equal(endpoint_parse(&ep, text, 0), 0);
	return ep;
}

/* A message of hex digits with its length set. Return: bytes */
static size_t message_of(uint8_t out[STUN_MAX], const char *hex)
{
	size_t size = from_hex(out, STUN_MAX, hex);

	out[2] = (uint8_t)((size - STUN_HEADER) >> 8);
	out[3] = (uint8_t)(size - STUN_HEADER);
	return size;
}

static void responses_of_rfc_5769_are_read(void **state)
{
	uint8_t data[STUN_MAX];
	struct endpoint ep;
	char text[ENDPOINT_TEXT_SIZE];
	size_t size;

	(void)state;
	size = from_hex(data, sizeof(data), response4_hex);
	assert_int_equal(stun_size(data, STUN_HEADER), size);
	assert_int_equal(stun_mapped(data, size, id, &ep), 0);
	assert_string_equal(endpoint_format(&ep, text), "192.0.2.1:32853");
	size = from_hex(data, sizeof(data), response6_hex);
	assert_int_equal(stun_mapped(data, size, id, &ep), 0);
	assert_string_equal(endpoint_format(&ep, text), "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
}

static void the_request_of_rfc_5769_has_an_attribute_we_do_not_know(void **state)
{
	struct endpoint mapped = endpoint_of("192.0.2.1:32853");
	uint8_t request[STUN_MAX], out[STUN_MAX], wanted[STUN_MAX];
	size_t size = from_hex(request, sizeof(request), request_hex);
	ssize_t n = stun_answer(request, size, &mapped, NULL, out);

	(void)state;
	/* ICE's PRIORITY (0x0024) must be understood; SOFTWARE, ICE-CONTROLLED, FINGERPRINT need not */
	size = message_of(wanted, "01110000 2112a442 b7e7a701 bc34d686 fa87dfae"
			  "00090015 00000414 556e6b6e 6f776e20 41747472 69627574 65000000 000a0002 00240000");
	assert_int_equal(n, size);
	assert_memory_equal(out, wanted, size);
	assert_int_equal(stun_size(out, size), size);
}

static void a_request_is_answered_with_the_address(void **state)
{
	static const char *const cases[] = { "192.0.2.1:32853", "[2001:db8:1234:5678:11:2233:4455:6677]:32853" };
	uint8_t request[STUN_MAX], out[STUN_MAX];
	struct endpoint ep, back;
	size_t size = stun_request(request, id), i;
	ssize_t n;

	(void)state;
	assert_int_equal(size, STUN_HEADER);
	assert_int_equal(stun_size(request, size), size);
	for (i = 0; i < COUNT(cases); i++) {
		ep = endpoint_of(cases[i]);
		n = stun_answer(request, size, &ep, NULL, out);
		assert_int_equal(n, i ? 44 : 32);
		assert_int_equal(stun_mapped(out, (size_t)n, id, &back), 0);
		assert_true(endpoint_equal(&ep, &back));
	}
	/* as in the vector: family, port and address masked */
	ep = endpoint_of(cases[0]);
	stun_answer(request, size, &ep, NULL, out);
	assert_memory_equal(out + 20, "\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43", 12);
	memset(&ep, 0, sizeof(ep));
	assert_int_equal(stun_answer(request, size, &ep, NULL, out), -EBADMSG);
}

static void every_unknown_attribute_is_listed_within_bounds(void **state)
{
	struct endpoint mapped = endpoint_of("192.0.2.1:1");
	uint8_t request[STUN_MAX], out[STUN_MAX];
	size_t at = stun_request(request, id), i;
	ssize_t n;

	(void)state;
	for (i = 0; at + 4 <= STUN_MAX; i++, at += 4)
		memcpy(request + at, (uint8_t[]){ 0x7f, (uint8_t)i, 0, 0 }, 4);
	request[3] = (uint8_t)(at - STUN_HEADER);
	assert_int_equal(i, 59);
	n = stun_answer(request, at, &mapped, NULL, out);
	assert_int_equal(n, 20 + 4 + 24 + 4 + 120);	/* 59 of 2 bytes, padded */
	assert_int_equal(stun_size(out, (size_t)n), n);
	assert_memory_equal(out + 20 + 4 + 24, "\x00\x0a\x00\x76\x7f\x00\x7f\x01", 8);
}

static void other_protocols_are_told_from_the_first_byte(void **state)
{
	uint8_t data[STUN_MAX] = { 0 };
	size_t size;

	(void)state;
	assert_int_equal(stun_size(data, 0), 0);
	assert_int_equal(stun_size((const uint8_t *)"GET / HTTP/1.1\r\n\r\n..", 1), -EBADMSG);
	assert_int_equal(stun_size((const uint8_t *)"\x80", 1), -EBADMSG);
	assert_int_equal(stun_size((const uint8_t *)"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03xxxxxxxxx", 20), -EBADMSG);
	stun_request(data, id);
	for (size = 0; size < STUN_HEADER; size++)
		assert_int_equal(stun_size(data, size), 0);
	assert_int_equal(stun_size(data, sizeof(data)), STUN_HEADER);
	data[7] ^= 1;	/* magic cookie */
	assert_int_equal(stun_size(data, STUN_HEADER), -EBADMSG);
	data[7] ^= 1;
	data[3] = 3;	/* not a multiple of 4 */
	assert_int_equal(stun_size(data, STUN_HEADER), -EBADMSG);
	data[3] = STUN_MAX - STUN_HEADER;
	assert_int_equal(stun_size(data, STUN_HEADER), STUN_MAX);
	data[3] = STUN_MAX - STUN_HEADER + 4;
	assert_int_equal(stun_size(data, STUN_HEADER), -EBADMSG);
	data[2] = 0xff;
	assert_int_equal(stun_size(data, STUN_HEADER), -EBADMSG);
}

static void what_is_no_request_is_not_answered(void **state)
{
	static const char *const cases[] = {
		"00110000 2112a442 b7e7a701 bc34d686 fa87dfae",	/* indication */
		"01010000 2112a442 b7e7a701 bc34d686 fa87dfae",	/* response: answering would loop */
		"01110000 2112a442 b7e7a701 bc34d686 fa87dfae",
		"00030000 2112a442 b7e7a701 bc34d686 fa87dfae",	/* TURN Allocate */
		"00010000 2112a442 b7e7a701 bc34d686 fa87dfae 80220008 00000000",	/* attribute beyond the end */
		"00010000 2112a442 b7e7a701 bc34d686 fa87dfae 8022ffff 00000000",
		"00010000 2112a442 b7e7a701 bc34d686 fa87dfae 80220005 00000000",
	};
	struct endpoint mapped = endpoint_of("192.0.2.1:1");
	uint8_t data[STUN_MAX], out[STUN_MAX];
	size_t i, size;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		size = message_of(data, cases[i]);
		if (stun_answer(data, size, &mapped, NULL, out) != -EBADMSG)
			fail_msg("answered: %s", cases[i]);
	}
	size = stun_request(data, id);
	assert_int_equal(stun_answer(data, size - 1, &mapped, NULL, out), -EBADMSG);
	assert_int_equal(stun_answer(data, size + 4, &mapped, NULL, out), -EBADMSG);
	assert_int_equal(stun_answer(data, 0, &mapped, NULL, out), -EBADMSG);
}

static void wrong_responses_are_refused(void **state)
{
	static const char *const cases[] = {
		HEADER_OK,								/* no address */
		"01110000 2112a442 b7e7a701 bc34d686 fa87dfae 00200008 0001a147 e112a643",	/* error */
		"00010000 2112a442 b7e7a701 bc34d686 fa87dfae 00200008 0001a147 e112a643",	/* request */
		"01010000 2112a442 b7e7a701 bc34d686 fa87dfaf 00200008 0001a147 e112a643",	/* other transaction */
		HEADER_OK "00200008 0002a147 e112a643",		/* IPv6 of 4 bytes */
		HEADER_OK "00200008 0003a147 e112a643",		/* no such family */
		HEADER_OK "00200004 0001a147",			/* too short */
		HEADER_OK "00200000",
		HEADER_OK "0020000c 0001a147 e112a643 00000000",	/* too long */
		HEADER_OK "00200014 0001a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9",	/* IPv4 of 16 bytes */
		HEADER_OK "00200008 00012112 e112a643",		/* port 0 */
		HEADER_OK "00200008 0001a147 2112a442",		/* 0.0.0.0 */
		HEADER_OK "00200008 0001a147 c112a443",		/* 224.0.0.1 */
		HEADER_OK "00200008 0001a147 e112a643 00240004 6e0001ff",	/* must be understood, is not */
		HEADER_OK "00200008 0001a147 e112a643 00200010",	/* attribute beyond the end */
	};
	uint8_t data[STUN_MAX];
	struct endpoint ep;
	size_t i, size;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		size = message_of(data, cases[i]);
		memset(&ep, 0xff, sizeof(ep));
		if (stun_mapped(data, size, id, &ep) != -EBADMSG)
			fail_msg("taken: %s", cases[i]);
		assert_int_equal(ep.family, 0);
	}
}

static void the_masked_address_counts_before_the_plain_one(void **state)
{
	static const struct {
		const char *hex, *address;
	} cases[] = {
		{ HEADER_OK "00010008 00010050 0a000001", "10.0.0.1:80" },
		{ HEADER_OK "00010008 00010050 0a000001 00200008 0001a147 e112a643", "192.0.2.1:32853" },
		{ HEADER_OK "00200008 0001a147 e112a643 00010008 00010050 0a000001", "192.0.2.1:32853" },
		{ HEADER_OK "00010008 00010050 0a000001 00010008 00010050 0a000002", "10.0.0.1:80" },
		{ HEADER_OK "80220003 61626300 00200008 0001a147 e112a643", "192.0.2.1:32853" },	/* padding */
	};
	char text[ENDPOINT_TEXT_SIZE];
	uint8_t data[STUN_MAX];
	struct endpoint ep;
	size_t i, size;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		size = message_of(data, cases[i].hex);
		assert_int_equal(stun_mapped(data, size, id, &ep), 0);
		assert_string_equal(endpoint_format(&ep, text), cases[i].address);
	}
}

/* Each prefix and each changed byte, in memory of just that size for the address sanitizer */
static void cut_and_changed_messages_are_survived(void **state)
{
	static const char *const messages[] = { request_hex, response4_hex, response6_hex };
	struct endpoint mapped = endpoint_of("192.0.2.1:1"), ep;
	uint8_t whole[STUN_MAX], out[STUN_MAX], *copy;
	size_t i, at, size;
	unsigned int value;

	(void)state;
	for (i = 0; i < COUNT(messages); i++) {
		size = from_hex(whole, sizeof(whole), messages[i]);
		for (at = 0; at < size; at++) {
			copy = malloc(at ? at : 1);
			memcpy(copy, whole, at);
			assert_true(stun_size(copy, at) <= (ssize_t)size);
			assert_int_equal(stun_answer(copy, at, &mapped, NULL, out), -EBADMSG);
			assert_int_equal(stun_mapped(copy, at, id, &ep), -EBADMSG);
			free(copy);
		}
		copy = malloc(size);
		for (at = 0; at < size; at++) {
			for (value = 0; value < 256; value += 5) {
				memcpy(copy, whole, size);
				copy[at] = (uint8_t)value;
				stun_answer(copy, size, &mapped, NULL, out);
				if (stun_mapped(copy, size, id, &ep) == 0)
					assert_true(endpoint_is_unicast(&ep) && ep.port);
			}
		}
		free(copy);
	}
}

static void a_wish_to_be_called_back_goes_both_ways(void **state)
{
	const struct stun_back go = { .what = STUN_STEP_GO, .scope = STUN_SCOPE_ADDRESS };
	const struct stun_back refused = { .what = STUN_OUTCOME_REFUSED, .scope = STUN_SCOPE_ADDRESS, .port = 40000 };
	struct endpoint mapped = endpoint_of("192.0.2.1:5000"), ep;
	uint8_t request[STUN_MAX], out[STUN_MAX];
	struct stun_back back;
	ssize_t size;

	(void)state;
	size = (ssize_t)stun_request_back(request, id, &go);
	assert_int_equal(stun_size(request, (size_t)size), size);
	assert_true(stun_get_back(request, (size_t)size, &back));
	assert_memory_equal(&back, &go, sizeof(back));
	/* A server that does not know it answers as ever */
	size = stun_answer(request, (size_t)size, &mapped, NULL, out);
	assert_int_equal(stun_mapped(out, (size_t)size, id, &ep), 0);
	assert_false(stun_get_back(out, (size_t)size, &back));
	size = (ssize_t)stun_request_back(request, id, &go);
	size = stun_answer(request, (size_t)size, &mapped, &refused, out);
	assert_int_equal(stun_mapped(out, (size_t)size, id, &ep), 0);
	assert_true(endpoint_equal(&ep, &mapped));
	assert_true(stun_get_back(out, (size_t)size, &back));
	assert_memory_equal(&back, &refused, sizeof(back));
	out[size - 5] = 3;	/* its length: 3 instead of 4 */
	assert_false(stun_get_back(out, (size_t)size, &back));
	assert_false(stun_get_back(out, (size_t)size - 1, &back));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(responses_of_rfc_5769_are_read),
		cmocka_unit_test(the_request_of_rfc_5769_has_an_attribute_we_do_not_know),
		cmocka_unit_test(a_request_is_answered_with_the_address),
		cmocka_unit_test(every_unknown_attribute_is_listed_within_bounds),
		cmocka_unit_test(other_protocols_are_told_from_the_first_byte),
		cmocka_unit_test(what_is_no_request_is_not_answered),
		cmocka_unit_test(wrong_responses_are_refused),
		cmocka_unit_test(the_masked_address_counts_before_the_plain_one),
		cmocka_unit_test(a_wish_to_be_called_back_goes_both_ways),
		cmocka_unit_test(cut_and_changed_messages_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
