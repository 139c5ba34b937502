/* SPDX-License-Identifier: MIT */
/*
 * test_convert.c - signed bodies: what goes in comes out, and nothing else gets through
 */
#include <errno.h>

#include "common/convert.h"
#include "tests/unit/scratch.h"

static struct key caller, callee;

static int make_keys(void **state)
{
	uint8_t seed[KEY_SIZE] = { 1 };

	(void)state;
	if (key_from_seed(&caller, seed) < 0)
		return -1;
	seed[0] = 2;
	return key_from_seed(&callee, seed);
}

static int wipe_keys(void **state)
{
	(void)state;
	key_wipe(&caller);
	key_wipe(&callee);
	return 0;
}

static struct endpoint endpoint_of(const char *text)
{
	struct endpoint ep;

	assert_int_equal(endpoint_parse(&ep, text, 0), 0);
	return ep;
}

static struct description a_description(unsigned int count)
{
	struct description d;
	unsigned int i;

	memset(&d, 0, sizeof(d));
	d.count = count;
	d.mapping = PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT;
	d.filtering = PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY;
	d.port_rule = PUNCH__PORT_RULE__PORT_RULE_PARITY;
	d.hops = 64;
	d.port_low = 1024;
	d.port_high = 65535;
	d.port_step = -2;
	d.lifetime = UINT32_MAX;
	d.filtering_measured = true;
	for (i = 0; i < count && i < LIMIT_CANDIDATES; i++) {
		d.candidates[i].type = 1 + i % 4;
		d.candidates[i].priority = 0xffffffff - i;
		d.candidates[i].endpoint = endpoint_of(i & 1 ? "[2001:db8::1]:65535" : "192.0.2.1:1");
	}
	return d;
}

static struct invitation an_invitation(unsigned int candidates)
{
	struct invitation in;

	memset(&in, 0, sizeof(in));
	memset(in.session, 0x51, sizeof(in.session));
	memcpy(in.caller_key, caller.public, KEY_SIZE);
	memcpy(in.callee_key, callee.public, KEY_SIZE);
	memset(in.ephemeral, 0x52, sizeof(in.ephemeral));
	in.port = 22;
	in.description = a_description(candidates);
	in.encrypt = PUNCH__ENCRYPT__ENCRYPT_NO;
	in.route = PUNCH__ROUTE__ROUTE_RELAY;
	in.sealed_size = 92;
	memset(in.sealed_name, 0x53, in.sealed_size);
	return in;
}

static struct answer an_answer(unsigned int candidates)
{
	struct answer in;

	memset(&in, 0, sizeof(in));
	memset(in.session, 0x51, sizeof(in.session));
	memcpy(in.caller_key, caller.public, KEY_SIZE);
	memcpy(in.callee_key, callee.public, KEY_SIZE);
	memset(in.ephemeral, 0x52, sizeof(in.ephemeral));
	in.status = PUNCH__ANSWER_STATUS__ANSWER_BUSY;
	in.description = a_description(candidates);
	in.encrypt = PUNCH__ENCRYPT__ENCRYPT_YES;
	in.route = PUNCH__ROUTE__ROUTE_DIRECT;
	memset(in.invitation_hash, 0x54, sizeof(in.invitation_hash));
	return in;
}

static Punch__Signed envelope(const struct body *body)
{
	Punch__Signed signed_ = PUNCH__SIGNED__INIT;

	signed_.body = convert_bytes(body->data, body->size);
	signed_.signature = convert_bytes(body->signature, SIGNATURE_SIZE);
	return signed_;
}

/* Sign a message of the test's own making and open it */
static int open_into(const Punch__Invitation *message, const struct key *key, struct invitation *out)
{
	struct body body = { 0 }, opened;
	Punch__Signed signed_;
	int rc;

	body.size = punch__invitation__get_packed_size(message);
	body.data = malloc(body.size);
	punch__invitation__pack(message, body.data);
	assert_int_equal(key_sign(key, KEY_CONTEXT_INVITATION, body.data, body.size, body.signature), 0);
	signed_ = envelope(&body);
	rc = invitation_open(&signed_, out, &opened);
	if (rc < 0) {
		assert_null(opened.data);
		assert_int_equal(out->port, 0);
	}
	body_free(&opened);
	body_free(&body);
	return rc;
}

static int open_invitation(const Punch__Invitation *message, const struct key *key)
{
	struct invitation out;

	return open_into(message, key, &out);
}

static int open_answer(const Punch__Answer *message, const struct key *key)
{
	struct body body = { 0 }, opened;
	Punch__Signed signed_;
	struct answer out;
	int rc;

	body.size = punch__answer__get_packed_size(message);
	body.data = malloc(body.size);
	punch__answer__pack(message, body.data);
	assert_int_equal(key_sign(key, KEY_CONTEXT_ANSWER, body.data, body.size, body.signature), 0);
	signed_ = envelope(&body);
	rc = answer_open(&signed_, &out, &opened);
	body_free(&opened);
	body_free(&body);
	return rc;
}

static void an_invitation_comes_back(void **state)
{
	static const unsigned int counts[] = { 0, 1, LIMIT_CANDIDATES };
	struct body body, opened;
	struct invitation in, out;
	Punch__Signed signed_;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(counts); i++) {
		in = an_invitation(counts[i]);
		assert_int_equal(invitation_sign(&in, &caller, &body), 0);
		assert_in_range(body.size, 1, 1024);	/* "below 1 KiB" says limits.h */
		signed_ = envelope(&body);
		assert_int_equal(invitation_open(&signed_, &out, &opened), 0);
		assert_memory_equal(&in, &out, sizeof(in));
		assert_int_equal(opened.size, body.size);
		assert_memory_equal(opened.data, body.data, body.size);
		assert_ptr_not_equal(opened.data, body.data);
		assert_memory_equal(opened.signature, body.signature, SIGNATURE_SIZE);
		body_free(&body);
		body_free(&opened);
		assert_null(opened.data);
	}
	in.sealed_size = 0;
	memset(in.sealed_name, 0, sizeof(in.sealed_name));
	assert_int_equal(invitation_sign(&in, &caller, &body), 0);
	signed_ = envelope(&body);
	assert_int_equal(invitation_open(&signed_, &out, &opened), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	body_free(&body);
	body_free(&opened);
}

static void an_answer_comes_back(void **state)
{
	struct answer in = an_answer(LIMIT_CANDIDATES), out;
	struct body body, opened;
	Punch__Signed signed_;

	(void)state;
	assert_int_equal(answer_sign(&in, &callee, &body), 0);
	signed_ = envelope(&body);
	assert_int_equal(answer_open(&signed_, &out, &opened), 0);
	assert_memory_equal(&in, &out, sizeof(in));
	assert_memory_equal(opened.data, body.data, body.size);
	body_free(&body);
	body_free(&opened);
}

static void what_does_not_fit_is_not_signed(void **state)
{
	struct invitation in = an_invitation(LIMIT_CANDIDATES + 1);
	struct answer answer = an_answer(LIMIT_CANDIDATES + 1);
	struct body body;

	(void)state;
	assert_int_equal(invitation_sign(&in, &caller, &body), -EINVAL);
	assert_null(body.data);
	assert_int_equal(answer_sign(&answer, &callee, &body), -EINVAL);
	in = an_invitation(1);
	in.sealed_size = sizeof(in.sealed_name) + 1;
	assert_int_equal(invitation_sign(&in, &caller, &body), -EINVAL);
	in.sealed_size = sizeof(in.sealed_name);
	assert_int_equal(invitation_sign(&in, &caller, &body), 0);
	body_free(&body);
}

static void any_changed_bit_is_refused(void **state)
{
	struct invitation in = an_invitation(2), out;
	struct body body, opened;
	Punch__Signed signed_;
	size_t bit;

	(void)state;
	assert_int_equal(invitation_sign(&in, &caller, &body), 0);
	signed_ = envelope(&body);
	for (bit = 0; bit < 8 * body.size; bit += 3) {
		body.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_true(invitation_open(&signed_, &out, &opened) < 0);
		assert_null(opened.data);
		body.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (bit = 0; bit < 8 * SIGNATURE_SIZE; bit += 3) {
		body.signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(invitation_open(&signed_, &out, &opened), -EKEYREJECTED);
		body.signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(invitation_open(&signed_, &out, &opened), 0);
	body_free(&opened);
	body_free(&body);
}

static void another_signer_or_use_is_refused(void **state)
{
	struct invitation in = an_invitation(1), out;
	struct answer answer = an_answer(1), answer_out;
	struct body body, opened;
	Punch__Signed signed_;

	(void)state;
	/* the callee signs in the caller's name */
	assert_int_equal(invitation_sign(&in, &callee, &body), 0);
	signed_ = envelope(&body);
	assert_int_equal(invitation_open(&signed_, &out, &opened), -EKEYREJECTED);
	body_free(&body);
	assert_int_equal(answer_sign(&answer, &caller, &body), 0);
	signed_ = envelope(&body);
	assert_int_equal(answer_open(&signed_, &answer_out, &opened), -EKEYREJECTED);
	body_free(&body);
	/* an invitation is no answer, even where its bytes would be one */
	assert_int_equal(answer_sign(&answer, &callee, &body), 0);
	assert_int_equal(key_sign(&callee, KEY_CONTEXT_INVITATION, body.data, body.size, body.signature), 0);
	signed_ = envelope(&body);
	assert_int_equal(answer_open(&signed_, &answer_out, &opened), -EKEYREJECTED);
	body_free(&body);
}

static void what_is_no_envelope_is_refused(void **state)
{
	struct invitation in = an_invitation(1), out;
	struct body body, opened;
	Punch__Signed signed_, bad;
	uint8_t *huge = calloc(1, LIMIT_FRAME + 1);

	(void)state;
	assert_int_equal(invitation_sign(&in, &caller, &body), 0);
	signed_ = envelope(&body);
	assert_int_equal(invitation_open(NULL, &out, &opened), -EBADMSG);
	bad = (Punch__Signed)PUNCH__SIGNED__INIT;
	assert_int_equal(invitation_open(&bad, &out, &opened), -EBADMSG);
	bad = signed_;
	bad.signature.len--;
	assert_int_equal(invitation_open(&bad, &out, &opened), -EBADMSG);
	bad = signed_;
	bad.signature = (ProtobufCBinaryData){ 0, NULL };
	assert_int_equal(invitation_open(&bad, &out, &opened), -EBADMSG);
	bad = signed_;
	bad.body.len = 0;
	assert_int_equal(invitation_open(&bad, &out, &opened), -EBADMSG);
	bad = signed_;
	bad.body.len--;
	assert_int_equal(invitation_open(&bad, &out, &opened), -EBADMSG);
	bad.body = convert_bytes(huge, LIMIT_FRAME + 1);
	assert_int_equal(invitation_open(&bad, &out, &opened), -EBADMSG);
	bad.body = convert_bytes(huge, LIMIT_FRAME);
	assert_int_equal(invitation_open(&bad, &out, &opened), -EBADMSG);
	assert_null(opened.data);
	free(huge);
	body_free(&body);
}

/* A message that is right, to be spoilt in one place */
struct raw {
	Punch__Invitation invitation;
	Punch__Description description;
	Punch__NatFacts nat;
	Punch__Candidate candidate[LIMIT_CANDIDATES + 1], *list[LIMIT_CANDIDATES + 1];
	Punch__Endpoint endpoint;
	uint8_t bytes[256];
};

static void make_raw(struct raw *raw)
{
	struct raw zero = { .invitation = PUNCH__INVITATION__INIT, .description = PUNCH__DESCRIPTION__INIT,
			    .nat = PUNCH__NAT_FACTS__INIT, .endpoint = PUNCH__ENDPOINT__INIT };
	size_t i;

	*raw = zero;
	raw->bytes[0] = 10;
	raw->invitation.version = PROTOCOL_VERSION;
	raw->invitation.session = convert_bytes(raw->bytes, SESSION_SIZE);
	raw->invitation.caller_key = convert_bytes(caller.public, KEY_SIZE);
	raw->invitation.callee_key = convert_bytes(callee.public, KEY_SIZE);
	raw->invitation.ephemeral = convert_bytes(raw->bytes, KEY_SIZE);
	raw->invitation.port = 22;
	raw->invitation.description = &raw->description;
	raw->description.nat = &raw->nat;
	raw->endpoint.address = convert_bytes(raw->bytes, 4);
	raw->endpoint.port = 80;
	for (i = 0; i < COUNT(raw->list); i++) {
		punch__candidate__init(&raw->candidate[i]);
		raw->candidate[i].type = PUNCH__CANDIDATE_TYPE__CANDIDATE_HOST;
		raw->candidate[i].endpoint = &raw->endpoint;
		raw->list[i] = &raw->candidate[i];
	}
	raw->description.candidates = raw->list;
	raw->description.n_candidates = 2;
}

enum { SPOIL_COUNT = 26 };

static void spoil(struct raw *raw, int which)
{
	Punch__Invitation *in = &raw->invitation;

	switch (which) {
	case 0: in->session.len--; break;
	case 1: in->session.len++; break;
	case 2: in->session.len = 0; break;
	case 3: in->callee_key.len = 31; break;
	case 4: in->callee_key.len = 0; break;
	case 5: in->ephemeral.len = 33; break;
	case 6: in->caller_key.len = 0; break;
	case 7: in->port = UINT32_MAX; break;
	case 8: in->port = 65536; break;
	case 9: in->encrypt = (Punch__Encrypt)3; break;
	case 10: in->encrypt = (Punch__Encrypt)-1; break;
	case 11: in->route = (Punch__Route)3; break;
	case 12: in->sealed_name = convert_bytes(raw->bytes, 129); break;
	case 13: raw->description.n_candidates = LIMIT_CANDIDATES + 1; break;
	case 14: raw->nat.hops = 65; break;
	case 15: raw->candidate[1].type = (Punch__CandidateType)0; break;
	case 16: raw->candidate[1].type = (Punch__CandidateType)5; break;
	case 17: raw->candidate[1].endpoint = NULL; break;
	case 18: raw->endpoint.port = 0; break;
	case 19: raw->endpoint.port = 65536; break;
	case 20: raw->endpoint.address.len = 5; break;
	case 21: raw->endpoint.address.len = 0; break;
	case 22: raw->nat.port_low = raw->nat.port_high + 1; break;
	case 23: raw->nat.port_high = 65536; break;
	case 24: raw->nat.port_step = 65536; break;
	case 25: raw->nat.port_step = -65536; break;
	default: fail_msg("no such case"); break;
	}
}

static void each_size_and_range_is_checked(void **state)
{
	struct raw raw;
	int i;

	(void)state;
	make_raw(&raw);
	assert_int_equal(open_invitation(&raw.invitation, &caller), 0);
	for (i = 0; i < SPOIL_COUNT; i++) {
		make_raw(&raw);
		spoil(&raw, i);
		if (open_invitation(&raw.invitation, &caller) != -EBADMSG)
			fail_msg("case %d is taken", i);
	}
	make_raw(&raw);
	raw.invitation.version = PROTOCOL_VERSION + 1;
	raw.invitation.session.len = 0;	/* of a later version nothing is known */
	assert_int_equal(open_invitation(&raw.invitation, &caller), -EPROTONOSUPPORT);
	raw.invitation.version = 0;
	assert_int_equal(open_invitation(&raw.invitation, &caller), -EPROTONOSUPPORT);
}

/* A later version's facts, of which the others are of use all the same */
static void facts_without_a_name_here_are_unknown(void **state)
{
	struct invitation out;
	struct raw raw;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		make_raw(&raw);
		raw.nat.mapping = (Punch__Mapping)(i ? -1 : 5);
		raw.nat.filtering = (Punch__Filtering)(i ? -1 : 5);
		raw.nat.port_rule = (Punch__PortRule)(i ? -1 : 7);
		raw.nat.hops = 3;
		assert_int_equal(open_into(&raw.invitation, &caller, &out), 0);
		assert_int_equal(out.description.mapping, 0);
		assert_int_equal(out.description.filtering, 0);
		assert_int_equal(out.description.port_rule, 0);
		assert_int_equal(out.description.hops, 3);
	}
}

static void limits_themselves_are_allowed_and_absent_parts_are_zero(void **state)
{
	struct raw raw;

	(void)state;
	make_raw(&raw);
	raw.description.n_candidates = LIMIT_CANDIDATES;
	raw.invitation.sealed_name = convert_bytes(raw.bytes, 128);
	raw.invitation.port = 65535;
	raw.nat.hops = 64;
	assert_int_equal(open_invitation(&raw.invitation, &caller), 0);
	raw.invitation.port = 0;	/* a ping */
	assert_int_equal(open_invitation(&raw.invitation, &caller), 0);
	raw.description.nat = NULL;
	assert_int_equal(open_invitation(&raw.invitation, &caller), 0);
	raw.invitation.description = NULL;
	assert_int_equal(open_invitation(&raw.invitation, &caller), 0);
}

static void answers_are_checked_too(void **state)
{
	uint8_t bytes[64] = { 1 };
	Punch__Answer good = PUNCH__ANSWER__INIT, bad;
	int i;

	(void)state;
	good.version = PROTOCOL_VERSION;
	good.session = convert_bytes(bytes, SESSION_SIZE);
	good.caller_key = convert_bytes(caller.public, KEY_SIZE);
	good.callee_key = convert_bytes(callee.public, KEY_SIZE);
	good.ephemeral = convert_bytes(bytes, KEY_SIZE);
	good.invitation_hash = convert_bytes(bytes, HASH_SIZE);
	good.status = PUNCH__ANSWER_STATUS__ANSWER_ACCEPTED;
	assert_int_equal(open_answer(&good, &callee), 0);
	for (i = 0; i < 10; i++) {
		bad = good;
		switch (i) {
		case 0: bad.session.len = 15; break;
		case 1: bad.caller_key.len = 31; break;
		case 2: bad.callee_key.len = 33; break;
		case 3: bad.ephemeral.len = 0; break;
		case 4: bad.invitation_hash.len = 31; break;
		case 5: bad.invitation_hash.len = 0; break;
		case 6: bad.status = (Punch__AnswerStatus)0; break;
		case 7: bad.status = (Punch__AnswerStatus)6; break;
		case 8: bad.encrypt = (Punch__Encrypt)3; break;
		case 9: bad.route = (Punch__Route)-2; break;
		}
		if (open_answer(&bad, &callee) != -EBADMSG)
			fail_msg("case %d is taken", i);
	}
	bad = good;
	bad.version = 2;
	assert_int_equal(open_answer(&bad, &callee), -EPROTONOSUPPORT);
}

static void addresses_nobody_may_dial_are_dropped_alone(void **state)
{
	static const char *const texts[] = { "192.0.2.1:1", "224.0.0.1:1", "255.255.255.255:1", "0.0.0.0:1", "[ff02::1]:1",
					     "[::]:1", "239.192.0.1:1", "192.0.2.2:1" };
	struct invitation in = an_invitation(COUNT(texts)), out;
	char text[ENDPOINT_TEXT_SIZE];
	struct body body, opened;
	Punch__Signed signed_;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(texts); i++)
		in.description.candidates[i].endpoint = endpoint_of(texts[i]);
	assert_int_equal(invitation_sign(&in, &caller, &body), 0);
	signed_ = envelope(&body);
	assert_int_equal(invitation_open(&signed_, &out, &opened), 0);
	assert_int_equal(out.description.count, 2);
	assert_string_equal(endpoint_format(&out.description.candidates[0].endpoint, text), "192.0.2.1:1");
	assert_string_equal(endpoint_format(&out.description.candidates[1].endpoint, text), "192.0.2.2:1");
	body_free(&body);
	body_free(&opened);
}

static void endpoints_go_both_ways(void **state)
{
	static const char *const texts[] = { "1.2.3.4:80", "[2001:db8::1]:65535" };
	Punch__Endpoint message;
	struct endpoint ep, back;
	uint8_t mapped[16] = { [10] = 0xff, 0xff, 10, 0, 0, 1 };
	char text[ENDPOINT_TEXT_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(texts); i++) {
		ep = endpoint_of(texts[i]);
		endpoint_to_message(&ep, &message);
		assert_int_equal(message.address.len, i ? 16 : 4);
		assert_int_equal(endpoint_from_message(&back, &message), 0);
		assert_true(endpoint_equal(&ep, &back));
	}
	/* a v4-mapped address is the IPv4 one: it must not slip past checks of AF_INET */
	message.address = convert_bytes(mapped, 16);
	assert_int_equal(endpoint_from_message(&back, &message), 0);
	assert_string_equal(endpoint_format(&back, text), "10.0.0.1:65535");
	assert_int_equal(endpoint_from_message(&back, NULL), -EINVAL);
	message.address.data = NULL;
	assert_int_equal(endpoint_from_message(&back, &message), -EINVAL);
	memset(&ep, 0, sizeof(ep));
	endpoint_to_message(&ep, &message);
	assert_int_equal(endpoint_from_message(&back, &message), -EINVAL);
}

/* Under the address sanitizer this is what the test is about */
static void any_bytes_are_survived(void **state)
{
	struct invitation in = an_invitation(3), out;
	struct answer answer_out;
	struct body body, opened;
	Punch__Signed signed_;
	unsigned int i, seed = 1;

	(void)state;
	assert_int_equal(invitation_sign(&in, &caller, &body), 0);
	for (i = 0; i < 3000; i++) {
		size_t size = 1 + (size_t)rand_r(&seed) % body.size, at;
		uint8_t *copy = malloc(size);

		memcpy(copy, body.data, size);
		for (at = (size_t)rand_r(&seed) % size; at < size; at += 1 + (size_t)rand_r(&seed) % 40)
			copy[at] = (uint8_t)rand_r(&seed);
		signed_ = envelope(&body);
		signed_.body = convert_bytes(copy, size);
		if (invitation_open(&signed_, &out, &opened) == 0)
			assert_memory_equal(copy, body.data, size);
		body_free(&opened);
		assert_true(answer_open(&signed_, &answer_out, &opened) < 0);
		free(copy);
	}
	body_free(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_invitation_comes_back),
		cmocka_unit_test(an_answer_comes_back),
		cmocka_unit_test(what_does_not_fit_is_not_signed),
		cmocka_unit_test(any_changed_bit_is_refused),
		cmocka_unit_test(another_signer_or_use_is_refused),
		cmocka_unit_test(what_is_no_envelope_is_refused),
		cmocka_unit_test(each_size_and_range_is_checked),
		cmocka_unit_test(facts_without_a_name_here_are_unknown),
		cmocka_unit_test(limits_themselves_are_allowed_and_absent_parts_are_zero),
		cmocka_unit_test(answers_are_checked_too),
		cmocka_unit_test(addresses_nobody_may_dial_are_dropped_alone),
		cmocka_unit_test(endpoints_go_both_ways),
		cmocka_unit_test(any_bytes_are_survived),
	};

	return cmocka_run_group_tests(tests, make_keys, wipe_keys);
}
