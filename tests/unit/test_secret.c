/* SPDX-License-Identifier: MIT */
/*
 * test_secret.c - both ends get the same secret, and nobody else
 */
#include <errno.h>

#include "common/secret.h"
#include "tests/unit/scratch.h"

/* RFC 7748 6.1 */
static const char bob_private[] = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
static const char alice_public[] = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";

static const uint8_t invitation[] = "an invitation", answer[] = "an answer";
#define BODIES invitation, sizeof(invitation) - 1, answer, sizeof(answer) - 1

/*
 * HKDF-SHA256 of the shared value that RFC 7748 gives for these two keys, with
 * the salt and info that secret.c documents; computed with Python's hmac module.
 */
static void the_secret_is_that_of_the_documented_formula(void **state)
{
	static const char wanted[] =
		"e3dc3909759ae0e8a527450654edcc285c09983865c5002e12c4ced606d30c94"
		"f90f5e8d11679ac60b6d14f8cbde333288d7a8727c4571f654498e4e624e9528"
		"1743c9a7cae6f97a1e56654fcf1999e254a846fa62d55245853141e69089d02c"
		"288990f65ffb74a60039a514212a4db59f0e9d44ce3cc353ff6507c713a9e441";
	uint8_t raw[KEY_SIZE], other[KEY_SIZE], expected[128];
	struct ephemeral own;
	struct secret secret;

	(void)state;
	from_hex(raw, sizeof(raw), bob_private);
	from_hex(other, sizeof(other), alice_public);
	from_hex(expected, sizeof(expected), wanted);
	own.private = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, raw, sizeof(raw));
	assert_int_equal(secret_derive(&secret, &own, other, BODIES), 0);
	assert_memory_equal(secret.caller, expected, 32);
	assert_memory_equal(secret.callee, expected + 32, 32);
	assert_memory_equal(secret.nominate, expected + 64, 32);
	assert_memory_equal(secret.traffic, expected + 96, 32);
	ephemeral_wipe(&own);
}

static void both_ends_get_the_same(void **state)
{
	struct ephemeral caller, callee, stranger;
	struct secret a, b;

	(void)state;
	assert_int_equal(ephemeral_make(&caller), 0);
	assert_int_equal(ephemeral_make(&callee), 0);
	assert_int_equal(ephemeral_make(&stranger), 0);
	assert_int_equal(secret_derive(&a, &caller, callee.public, BODIES), 0);
	assert_int_equal(secret_derive(&b, &callee, caller.public, BODIES), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_memory_not_equal(a.caller, a.callee, 32);
	assert_memory_not_equal(a.nominate, a.traffic, 32);
	assert_int_equal(secret_derive(&b, &stranger, caller.public, BODIES), 0);
	assert_memory_not_equal(&a, &b, sizeof(a));
	ephemeral_wipe(&caller);
	ephemeral_wipe(&callee);
	ephemeral_wipe(&stranger);
	assert_null(caller.private);
}

static void any_changed_byte_of_the_transcript_changes_every_key(void **state)
{
	uint8_t inv[] = "an invitation", ans[] = "an answer";
	struct ephemeral own, other;
	struct secret good, bad;
	size_t i;

	(void)state;
	assert_int_equal(ephemeral_make(&own), 0);
	assert_int_equal(ephemeral_make(&other), 0);
	assert_int_equal(secret_derive(&good, &own, other.public, inv, sizeof(inv), ans, sizeof(ans)), 0);
	for (i = 0; i < sizeof(inv) + sizeof(ans); i++) {
		uint8_t *byte = i < sizeof(inv) ? &inv[i] : &ans[i - sizeof(inv)];

		*byte ^= 1;
		assert_int_equal(secret_derive(&bad, &own, other.public, inv, sizeof(inv), ans, sizeof(ans)), 0);
		assert_memory_not_equal(good.caller, bad.caller, 32);
		assert_memory_not_equal(good.callee, bad.callee, 32);
		assert_memory_not_equal(good.nominate, bad.nominate, 32);
		assert_memory_not_equal(good.traffic, bad.traffic, 32);
		*byte ^= 1;
	}
	/* bytes that move from one body to the other are not the same transcript */
	assert_int_equal(secret_derive(&bad, &own, other.public, inv, sizeof(inv) - 1, ans, sizeof(ans)), 0);
	assert_memory_not_equal(&good, &bad, sizeof(good));
	assert_int_equal(secret_derive(&bad, &own, other.public, ans, sizeof(ans), inv, sizeof(inv)), 0);
	assert_memory_not_equal(&good, &bad, sizeof(good));
	ephemeral_wipe(&own);
	ephemeral_wipe(&other);
}

/* Every point of small order, and the same beyond the field's size: RFC 7748 6.1, libsodium's list */
static void low_order_points_are_refused(void **state)
{
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"0100000000000000000000000000000000000000000000000000000000000080",
	};
	uint8_t point[KEY_SIZE];
	struct ephemeral own;
	struct secret secret, zero;
	size_t i;

	(void)state;
	memset(&zero, 0, sizeof(zero));
	assert_int_equal(ephemeral_make(&own), 0);
	for (i = 0; i < COUNT(points); i++) {
		memset(&secret, 0xff, sizeof(secret));
		from_hex(point, sizeof(point), points[i]);
		assert_int_equal(secret_derive(&secret, &own, point, BODIES), -EKEYREJECTED);
		assert_memory_equal(&secret, &zero, sizeof(secret));
	}
	ephemeral_wipe(&own);
	assert_int_equal(secret_derive(&secret, &own, point, BODIES), -EIO);
}

static void hash_and_mac_are_the_standard_ones(void **state)
{
	uint8_t got[32], wanted[32], key[32] = { 0 };

	(void)state;
	/* FIPS 180-2, "abc" */
	from_hex(wanted, sizeof(wanted), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(secret_hash("abc", 3, got), 0);
	assert_memory_equal(got, wanted, 32);
	from_hex(wanted, sizeof(wanted), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_int_equal(secret_hash("", 0, got), 0);
	assert_memory_equal(got, wanted, 32);
	/* RFC 4231 test case 2; HMAC pads keys with zeros, so "Jefe" in 32 bytes is the same key */
	memcpy(key, "Jefe", 4);
	from_hex(wanted, sizeof(wanted), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	assert_int_equal(secret_mac(key, "what do ya want for nothing?", 28, got), 0);
	assert_memory_equal(got, wanted, 32);
	assert_true(secret_equal(got, wanted, 32));
	got[31] ^= 1;
	assert_false(secret_equal(got, wanted, 32));
}

static void random_bytes_differ(void **state)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };

	(void)state;
	secret_random(a, sizeof(a));
	secret_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_secret_is_that_of_the_documented_formula),
		cmocka_unit_test(both_ends_get_the_same),
		cmocka_unit_test(any_changed_byte_of_the_transcript_changes_every_key),
		cmocka_unit_test(low_order_points_are_refused),
		cmocka_unit_test(hash_and_mac_are_the_standard_ones),
		cmocka_unit_test(random_bytes_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
