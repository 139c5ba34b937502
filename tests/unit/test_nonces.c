/* SPDX-License-Identifier: MIT */
/*
 * test_nonces.c - no key encrypts twice under one nonce: all that the key schedule gives, over its corners
 *
 * What is encrypted: records of TLS (seal.c), the words of a meeting without a server (meeting.c), names in
 * quick mode (quick.c). Every (key, nonce) of a case goes into one table, which refuses what it has already.
 * Tickets and preambles are MACs: they have no nonce to lose.
 */
#include <errno.h>
#include <sys/socket.h>
#include <openssl/evp.h>

#include "common/meeting.h"
#include "common/quick.h"
#include "common/secret.h"
#include "resolver/seal.c"	/* a seal that stays in user space keeps no secrets, unless it is told to */
#include "tests/unit/scratch.h"

#define NONCE	12
#define PAIRS	16384

struct pair {
	uint8_t key[32], nonce[NONCE];
};

static struct pair pairs[PAIRS];
static unsigned int pair_count;

static void use(const uint8_t key[32], const uint8_t nonce[NONCE])
{
	assert_true(pair_count < PAIRS);
	memcpy(pairs[pair_count].key, key, 32);
	memcpy(pairs[pair_count].nonce, nonce, NONCE);
	pair_count++;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct pair));
}

static void none_was_used_twice(unsigned int wanted)
{
	assert_int_equal(pair_count, wanted);
	qsort(pairs, pair_count, sizeof(pairs[0]), compare);
	for (unsigned int i = 1; i < pair_count; i++)
		assert_int_not_equal(compare(&pairs[i - 1], &pairs[i]), 0);
}

/* ------------------------------------------------------------ TLS */

static const uint8_t session[SESSION_SIZE] = "a session's name", next_session[SESSION_SIZE] = "another session!";
static const uint8_t traffic[32] = "thirty-two bytes of a secret key", other[32] = "thirty-two bytes of another key.";

/* First, second, before and after a renewal, last but one, last: of 64 bits (RFC 8446, 5.3) */
static const uint64_t sequences[] = { 0, 1, SEAL_REKEY - 1, SEAL_REKEY, 1ull << 32, UINT64_MAX - 1, UINT64_MAX };

static void nonce_of(const uint8_t iv[NONCE], uint64_t sequence, uint8_t nonce[NONCE])
{
	memcpy(nonce, iv, NONCE);
	for (int i = 0; i < 8; i++)
		nonce[NONCE - 1 - i] ^= (uint8_t)(sequence >> 8 * i);
}

struct ends {
	int fds[2];
	struct seal *caller, *callee;
};

/* @keep: the caller's secrets */
static struct ends shaken(const uint8_t *name, const uint8_t *key, unsigned int kernel, bool keep)
{
	struct seal_setup setup = { .caller = true, .session = name, .key = key, .kernel = kernel };
	int caller = -EAGAIN, callee = -EAGAIN;
	bool wants_write;
	struct ends ends;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.fds), 0);
	setup.fd = ends.fds[0];
	ends.caller = seal_new(&setup);
	assert_non_null(ends.caller);
	ends.caller->kernel |= keep;
	setup.fd = ends.fds[1];
	setup.caller = false;
	ends.callee = seal_new(&setup);
	for (int turn = 0; turn < 10; turn++) {
		if (caller == -EAGAIN)
			caller = seal_shake(ends.caller, &wants_write);
		if (callee == -EAGAIN)
			callee = seal_shake(ends.callee, &wants_write);
	}
	assert_int_equal(caller, 0);
	assert_int_equal(callee, 0);
	return ends;
}

static void part(struct ends *ends)
{
	seal_free(ends->caller);
	seal_free(ends->callee);
	close(ends->fds[0]);
	close(ends->fds[1]);
}

/* Both directions of one connection, which both ends know alike */
static unsigned int connection(const uint8_t *name, const uint8_t *key, unsigned int kernel)
{
	struct ends ends = shaken(name, key, kernel, false);
	struct seal_keys caller = { 0 }, callee = { 0 };
	uint8_t nonce[NONCE];

	assert_int_equal(seal_take_keys(ends.caller, &caller), 0);
	assert_int_equal(seal_take_keys(ends.callee, &callee), 0);
	assert_memory_equal(&caller.out, &callee.in, sizeof(caller.out));
	assert_memory_equal(&caller.in, &callee.out, sizeof(caller.in));
	for (unsigned int i = 0; i < COUNT(sequences); i++) {
		nonce_of(caller.out.iv, sequences[i], nonce);
		use(caller.out.key, nonce);
		nonce_of(callee.out.iv, sequences[i], nonce);
		use(callee.out.key, nonce);
	}
	part(&ends);
	return 2 * COUNT(sequences);
}

/* Same secret and name again (a second path, a replay), same secret and another name, and the other way round */
static void records_of_all_connections_and_directions(void **state)
{
	unsigned int count = 0;

	(void)state;
	for (unsigned int kernel = SEAL_KERNEL_CHACHA; kernel <= SEAL_KERNEL_AES; kernel++) {
		count += connection(session, traffic, kernel);
		count += connection(session, traffic, kernel);
		count += connection(next_session, traffic, kernel);
		count += connection(session, other, kernel);
	}
	none_was_used_twice(count);
}

/* Does this record open with @keys as number @sequence? (RFC 8446, 5.2: five bytes before it are authenticated) */
static bool opens(const struct seal_keys *keys, uint64_t sequence, const uint8_t *record, size_t size)
{
	const EVP_CIPHER *cipher = keys->chacha ? EVP_chacha20_poly1305() : EVP_aes_128_gcm();
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t nonce[NONCE], tag[16], plain[512];
	bool good;
	int n;

	assert_true(size > 5 + sizeof(tag) && size <= sizeof(plain));
	memcpy(tag, record + size - sizeof(tag), sizeof(tag));
	nonce_of(keys->out.iv, sequence, nonce);
	good = EVP_CipherInit_ex(ctx, cipher, NULL, keys->out.key, nonce, 0) == 1 &&
	       EVP_CipherUpdate(ctx, NULL, &n, record, 5) == 1 &&
	       EVP_CipherUpdate(ctx, plain, &n, record + 5, (int)(size - 5 - sizeof(tag))) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) == 1 &&
	       EVP_CipherFinal_ex(ctx, plain + n, &n) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return good;
}

/* The first record of @data. Return: its size */
static size_t record_size(const uint8_t *data, size_t have)
{
	size_t size = 5 + ((size_t)data[3] << 8 | data[4]);

	assert_true(have >= 5 && size <= have);
	return size;
}

/*
 * What really goes onto the wire: record n is under nonce n and no other. From a renewal on nothing is under
 * the old key any more, though numbers begin at 0 again.
 */
static void numbers_begin_anew_under_a_new_key_alone(void **state)
{
	static uint8_t wire[SEAL_ROOM];
	struct seal_keys keys = { 0 };
	const uint64_t limit = 5;
	uint64_t number = 0, sequence;
	bool renews;
	struct ends ends;

	(void)state;
	seal_set_rekey(limit);
	ends = shaken(session, traffic, 0, true);
	assert_int_equal(seal_take_keys(ends.caller, &keys), 0);
	seal_flow(ends.caller);
	renews = !keys.chacha;		/* ChaCha20-Poly1305 has no limit, and so no renewal */
	for (unsigned int i = 0; i < 4 * limit; i++) {
		size_t have = (size_t)seal_encrypt(ends.caller, (const uint8_t *)"payload", 7, wire), at = 0, size;

		for (; at < have; at += size, number++) {
			size = record_size(wire + at, have - at);
			for (sequence = 0; sequence < 6 * limit; sequence++)
				assert_int_equal(opens(&keys, sequence, wire + at, size),
						 sequence == number && (!renews || number <= limit));
		}
	}
	assert_int_equal(seal_rekeys(ends.caller), renews ? 3 : 0);
	assert_int_equal(number, 4 * limit + (renews ? 3 : 0));		/* a KeyUpdate is a record, too */
	part(&ends);
	seal_set_rekey(SEAL_REKEY);
}

/* ------------------------------------------------------------ without a server */

static struct key alice, bob, carol;

/* Each side of one place says several words: it answers everybody who comes with the key */
static unsigned int place(const struct key *caller, const struct key *callee, uint64_t bucket, uint16_t port,
			  unsigned int n)
{
	struct meeting_when when = { .bucket = bucket, .port = port, .place = n };
	uint8_t out[64 + MEETING_SEAL];
	struct meeting_place where;
	struct meeting meeting;

	assert_int_equal(meeting_make(&meeting, caller, callee->public), 0);
	memcpy(when.caller, caller->public, KEY_SIZE);
	memcpy(when.callee, callee->public, KEY_SIZE);
	assert_int_equal(meeting_place(&meeting, &when, &where), 0);
	for (int word = 0; word < 8; word++) {
		assert_int_equal(meeting_seal(where.caller_key, (const uint8_t *)"the same word", 13, out), 0);
		use(where.caller_key, out);
		assert_int_equal(meeting_seal(where.callee_key, (const uint8_t *)"the same word", 13, out), 0);
		use(where.callee_key, out);
	}
	return 16;
}

/* Roles changed, the next bucket, another port, the next place, another pair, and the very same once more (both started anew) */
static void words_of_all_meetings(void **state)
{
	static const uint64_t buckets[] = { 0, 1, 176000000, UINT32_MAX, 1ull << 32, UINT64_MAX };
	static const uint16_t ports[] = { 0, 22, 0x1600, UINT16_MAX };
	static const unsigned int places[] = { 0, 1, MEETING_PLACES - 1 };
	unsigned int count = 0, b, p, n;

	(void)state;
	for (b = 0; b < COUNT(buckets); b++)
		for (p = 0; p < COUNT(ports); p++)
			for (n = 0; n < COUNT(places); n++) {
				count += place(&alice, &bob, buckets[b], ports[p], places[n]);
				count += place(&alice, &bob, buckets[b], ports[p], places[n]);
				count += place(&bob, &alice, buckets[b], ports[p], places[n]);
				count += place(&alice, &carol, buckets[b], ports[p], places[n]);
				count += place(&alice, &alice, buckets[b], ports[p], places[n]);
			}
	none_was_used_twice(count);
}

/* The keys alone, without what the nonces add: each of them is of one place and one side */
static void each_side_of_a_place_has_a_key_of_its_own(void **state)
{
	static const uint8_t nonce[NONCE];
	struct meeting_when when = { .port = 22 };
	struct meeting_place where;
	struct meeting meeting;
	unsigned int count = 0;

	(void)state;
	assert_int_equal(meeting_make(&meeting, &alice, bob.public), 0);
	for (unsigned int n = 0; n < 4 * MEETING_PLACES; n++) {
		when.bucket = n / MEETING_PLACES % 2;
		when.place = n % MEETING_PLACES;
		memcpy(when.caller, n / MEETING_PLACES < 2 ? alice.public : bob.public, KEY_SIZE);
		memcpy(when.callee, n / MEETING_PLACES < 2 ? bob.public : alice.public, KEY_SIZE);
		assert_int_equal(meeting_place(&meeting, &when, &where), 0);
		use(where.caller_key, nonce);
		use(where.callee_key, nonce);
		count += 2;
	}
	none_was_used_twice(count);
}

/* ------------------------------------------------------------ sessions and quick mode */

/* Proofs of either side, the nomination and the traffic, whoever calls whom, with what is said the same or changed */
static void keys_of_sessions(void **state)
{
	static const uint8_t nonce[NONCE], a[] = "an invitation", b[] = "an answer";
	struct ephemeral ends[3];
	struct secret secret;
	unsigned int i, count = 0;

	(void)state;
	for (i = 0; i < COUNT(ends); i++)
		assert_int_equal(ephemeral_make(&ends[i]), 0);
	for (i = 0; i < 8; i++) {
		/* 0..3: one pair of keys; 4..7: one side has a fresh one, as after a reconnection */
		const uint8_t *invitation = i & 1 ? b : a, *answer = i & 2 ? b : a;

		assert_int_equal(secret_derive(&secret, &ends[0], ends[1 + i / 4].public, invitation,
					       invitation == a ? sizeof(a) : sizeof(b), answer,
					       answer == a ? sizeof(a) : sizeof(b)), 0);
		use(secret.caller, nonce);
		use(secret.callee, nonce);
		use(secret.nominate, nonce);
		use(secret.traffic, nonce);
		count += 4;
	}
	none_was_used_twice(count);
	for (i = 0; i < COUNT(ends); i++)
		ephemeral_wipe(&ends[i]);
}

/* One key for all names that know the word: only the nonce differs, and must */
static void names_of_quick_mode(void **state)
{
	uint8_t sealed[QUICK_SEALED_MAX], zero[32] = { 0 };
	struct quick quick;

	(void)state;
	assert_int_equal(quick_init(&quick, "a word"), 0);
	for (unsigned int i = 0; i < 1000; i++) {
		assert_int_equal(quick_seal(&quick, "bob", session, alice.public, bob.public, sealed), QUICK_SEALED_MAX);
		use(zero, sealed);
	}
	none_was_used_twice(1000);
	quick_wipe(&quick);
}

static int empty(void **state)
{
	(void)state;
	pair_count = 0;
	return 0;
}

static int begin(void **state)
{
	(void)state;
	return key_generate(&alice) || key_generate(&bob) || key_generate(&carol);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(records_of_all_connections_and_directions, empty),
		cmocka_unit_test_setup(numbers_begin_anew_under_a_new_key_alone, empty),
		cmocka_unit_test_setup(words_of_all_meetings, empty),
		cmocka_unit_test_setup(each_side_of_a_place_has_a_key_of_its_own, empty),
		cmocka_unit_test_setup(keys_of_sessions, empty),
		cmocka_unit_test_setup(names_of_quick_mode, empty),
	};

	return cmocka_run_group_tests_name("nonces", tests, begin, NULL);
}
