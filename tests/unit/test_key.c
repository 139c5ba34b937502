/* SPDX-License-Identifier: MIT */
/*
 * test_key.c - identities: files, texts, signatures
 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <openssl/pem.h>

#include "common/key.h"
#include "tests/unit/scratch.h"

static char why[512];

/* RFC 8032 7.1, TEST 1 */
static const char seed_hex[] = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
static const char public_hex[] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
#define PUBLIC_TEXT "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

static struct key rfc_key(void)
{
	uint8_t seed[KEY_SIZE];
	struct key key;

	from_hex(seed, sizeof(seed), seed_hex);
	assert_int_equal(key_from_seed(&key, seed), 0);
	return key;
}

static void a_seed_gives_the_key_of_rfc_8032(void **state)
{
	struct key key = rfc_key();
	uint8_t wanted[KEY_SIZE];
	char text[KEY_TEXT_SIZE];

	(void)state;
	from_hex(wanted, sizeof(wanted), public_hex);
	assert_memory_equal(key.public, wanted, KEY_SIZE);
	assert_string_equal(key_text(key.public, text), PUBLIC_TEXT);
	key_wipe(&key);
	assert_null(key.private);
}

static void new_keys_differ(void **state)
{
	struct key a, b;

	(void)state;
	assert_int_equal(key_generate(&a), 0);
	assert_int_equal(key_generate(&b), 0);
	assert_memory_not_equal(a.public, b.public, KEY_SIZE);
	key_wipe(&a);
	key_wipe(&b);
}

static void one_text_for_one_key(void **state)
{
	static const char *const wrong[] = {
		"", "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo", PUBLIC_TEXT "=", PUBLIC_TEXT "\n", " " PUBLIC_TEXT,
		"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURp=",	/* same bytes, other spare bits */
		"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHUR==", "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURoo",
		"11qYAYKxCrfVS-7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "11qYAYKxCrfVS 7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
		"=1qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "\n1qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
	};
	uint8_t wanted[KEY_SIZE], got[KEY_SIZE];
	size_t i;

	(void)state;
	from_hex(wanted, sizeof(wanted), public_hex);
	assert_int_equal(key_parse(got, PUBLIC_TEXT), 0);
	assert_memory_equal(got, wanted, KEY_SIZE);
	for (i = 0; i < COUNT(wrong); i++) {
		if (key_parse(got, wrong[i]) != -EINVAL)
			fail_msg("\"%s\" is taken", wrong[i]);
	}
}

static void a_saved_key_comes_back(void **state)
{
	const char *path = scratch_path("saved.key");
	struct key key = rfc_key(), back;
	char text[512];
	struct stat st;

	(void)state;
	assert_int_equal(key_save(&key, path, why, sizeof(why)), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);	/* the temporary name is gone */
	scratch_read(path, text, sizeof(text));
	assert_memory_equal(text, "-----BEGIN PRIVATE KEY-----\n", 28);

	assert_int_equal(key_load(&back, path, why, sizeof(why)), 0);
	assert_memory_equal(back.public, key.public, KEY_SIZE);
	assert_int_equal(EVP_PKEY_eq(back.private, key.private), 1);
	key_wipe(&back);
	key_wipe(&key);
}

static void the_mode_does_not_depend_on_umask(void **state)
{
	struct key key = rfc_key();
	mode_t saved = umask(0777);
	struct stat st;

	(void)state;
	assert_int_equal(key_save(&key, scratch_path("umask.key"), why, sizeof(why)), 0);
	umask(saved);
	assert_int_equal(stat(scratch_path("umask.key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	key_wipe(&key);
}

static void a_key_is_never_overwritten(void **state)
{
	const char *path = scratch_write("mine.key", "mine", 4, 0600);
	struct key key = rfc_key();
	char text[16];

	(void)state;
	assert_int_equal(key_save(&key, path, why, sizeof(why)), -EEXIST);
	assert_non_null(strstr(why, "mine.key"));
	assert_non_null(strstr(why, "never overwritten"));
	scratch_read(path, text, sizeof(text));
	assert_string_equal(text, "mine");

	/* nor is what a dangling link names */
	assert_int_equal(symlink(scratch_path("target"), scratch_path("link.key")), 0);
	assert_int_equal(key_save(&key, scratch_path("link.key"), why, sizeof(why)), -EEXIST);
	assert_int_equal(access(scratch_path("target"), F_OK), -1);
	key_wipe(&key);
}

static int files_in_scratch(const char *part)
{
	char command[2 * SCRATCH_PATH];
	FILE *ls;
	int n = 0;

	snprintf(command, sizeof(command), "ls -a '%s'", scratch);
	ls = popen(command, "r");
	while (fgets(command, sizeof(command), ls))
		n += strstr(command, part) != NULL;
	pclose(ls);
	return n;
}

static void a_full_disk_leaves_nothing_behind(void **state)
{
	struct rlimit saved, none;
	struct key key = rfc_key();
	int rc;

	(void)state;
	/* RLIMIT_FSIZE stops write() as a full disk does, with EFBIG for ENOSPC */
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &saved), 0);
	none = saved;
	none.rlim_cur = 10;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	rc = key_save(&key, scratch_path("full.key"), why, sizeof(why));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &saved), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(rc, -EFBIG);
	assert_non_null(strstr(why, "cannot write the key: File too large"));
	assert_int_equal(files_in_scratch("full.key"), 0);
	assert_int_equal(key_save(&key, scratch_path("no/such/folder"), why, sizeof(why)), -ENOENT);
	key_wipe(&key);
}

static void what_others_may_read_is_refused(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0620, 0602, 0610, 0601, 0777 };
	struct key key = rfc_key(), back;
	const char *path = scratch_path("open.key");
	size_t i;

	(void)state;
	assert_int_equal(key_save(&key, path, why, sizeof(why)), 0);
	for (i = 0; i < COUNT(modes); i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		assert_int_equal(key_load(&back, path, why, sizeof(why)), -EPERM);
		assert_non_null(strstr(why, "chmod 600 "));
		assert_null(back.private);
	}
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(key_load(&back, path, why, sizeof(why)), 0);
	key_wipe(&back);
	key_wipe(&key);
}

/* A PEM file of some other key, as OpenSSL writes it; @phrase may be NULL */
static const char *write_pem(const char *name, EVP_PKEY *pkey, const char *phrase)
{
	const char *path = scratch_write(name, "", 0, 0600);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(PEM_write_PrivateKey(file, pkey, phrase ? EVP_aes_128_cbc() : NULL,
					      (const unsigned char *)phrase, phrase ? (int)strlen(phrase) : 0,
					      NULL, NULL), 1);
	fclose(file);
	return path;
}

static void another_users_file_is_refused(void **state)
{
	struct key key = rfc_key(), back;

	(void)state;
	if (geteuid() != 0) {
		print_message("SKIP who is not root has no other user's file to show\n");
		skip();
	}
	assert_int_equal(key_save(&key, scratch_path("his.key"), why, sizeof(why)), 0);
	assert_int_equal(chown(scratch_path("his.key"), 65534, 65534), 0);
	assert_int_equal(key_load(&back, scratch_path("his.key"), why, sizeof(why)), -EPERM);
	assert_non_null(strstr(why, "belongs to user 65534"));
	assert_null(back.private);
	key_wipe(&key);
}

static void other_keys_are_refused(void **state)
{
	EVP_PKEY *ec = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), *x = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	struct key key = rfc_key(), back;

	(void)state;
	assert_int_equal(key_load(&back, write_pem("ec.key", ec, NULL), why, sizeof(why)), -EKEYREJECTED);
	assert_non_null(strstr(why, "of type EC, wanted is ED25519"));
	assert_int_equal(key_load(&back, write_pem("x.key", x, NULL), why, sizeof(why)), -EKEYREJECTED);
	assert_non_null(strstr(why, "of type X25519"));
	assert_int_equal(key_load(&back, write_pem("locked.key", key.private, "phrase"), why, sizeof(why)), -EKEYREJECTED);
	assert_non_null(strstr(why, "pass phrase"));
	assert_null(back.private);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(x);
	key_wipe(&key);
}

static void what_is_no_key_is_refused(void **state)
{
	static char big[10000];
	struct key back;

	(void)state;
	assert_int_equal(key_load(&back, scratch_path("none.key"), why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "punchctl keygen"));
	assert_int_equal(key_load(&back, scratch, why, sizeof(why)), -EISDIR);
	assert_int_equal(mkfifo(scratch_path("fifo.key"), 0600), 0);
	assert_int_equal(key_load(&back, scratch_path("fifo.key"), why, sizeof(why)), -EINVAL);
	assert_int_equal(key_load(&back, scratch_write("e.key", "", 0, 0600), why, sizeof(why)), -EKEYREJECTED);
	assert_int_equal(key_load(&back, scratch_write("t.key", "hello\n", 6, 0600), why, sizeof(why)), -EKEYREJECTED);
	assert_non_null(strstr(why, "no private key in PEM"));
	memset(big, 'x', sizeof(big));
	assert_int_equal(key_load(&back, scratch_write("b.key", big, sizeof(big), 0600), why, sizeof(why)), -EFBIG);
	assert_null(back.private);
}

static void a_public_key_file_is_no_private_one(void **state)
{
	struct key key = rfc_key(), back;
	const char *path = scratch_write("public.key", "", 0, 0600);
	FILE *file = fopen(path, "w");

	(void)state;
	assert_int_equal(PEM_write_PUBKEY(file, key.private), 1);
	fclose(file);
	assert_int_equal(key_load(&back, path, why, sizeof(why)), -EKEYREJECTED);
	key_wipe(&key);
}

static void openssl_reads_and_makes_our_files(void **state)
{
	char command[3 * SCRATCH_PATH];
	struct key key = rfc_key(), back;

	(void)state;
	assert_int_equal(key_save(&key, scratch_path("ours.key"), why, sizeof(why)), 0);
	snprintf(command, sizeof(command), "openssl pkey -in '%s' -noout 2>/dev/null", scratch_path("ours.key"));
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "umask 077; openssl genpkey -algorithm ed25519 -out '%s' 2>/dev/null",
		 scratch_path("theirs.key"));
	assert_int_equal(system(command), 0);
	assert_int_equal(key_load(&back, scratch_path("theirs.key"), why, sizeof(why)), 0);
	key_wipe(&back);
	key_wipe(&key);
}

static void a_signature_holds_for_one_key_context_and_body(void **state)
{
	struct key key = rfc_key(), other, named;
	uint8_t signature[SIGNATURE_SIZE], body[] = "body";
	size_t i;

	(void)state;
	assert_int_equal(key_generate(&other), 0);
	assert_int_equal(key_sign(&key, "context", body, sizeof(body), signature), 0);
	assert_true(key_verify(key.public, "context", body, sizeof(body), signature));
	assert_false(key_verify(other.public, "context", body, sizeof(body), signature));
	assert_false(key_verify(key.public, "contexT", body, sizeof(body), signature));
	assert_false(key_verify(key.public, "context", body, sizeof(body) - 1, signature));
	for (i = 0; i < sizeof(body); i++) {
		body[i] ^= 1;
		assert_false(key_verify(key.public, "context", body, sizeof(body), signature));
		body[i] ^= 1;
	}
	for (i = 0; i < sizeof(signature); i++) {
		signature[i] ^= 0x80;
		assert_false(key_verify(key.public, "context", body, sizeof(body), signature));
		signature[i] ^= 0x80;
	}
	/* the border between context and body is part of what is signed */
	assert_int_equal(key_sign(&key, "ab", (const uint8_t *)"c", 1, signature), 0);
	assert_false(key_verify(key.public, "a", (const uint8_t *)"bc", 2, signature));
	assert_true(key_verify(key.public, "ab", (const uint8_t *)"c", 1, signature));
	assert_int_equal(key_sign(&key, "empty", NULL, 0, signature), 0);
	assert_true(key_verify(key.public, "empty", NULL, 0, signature));

	memset(&named, 0, sizeof(named));
	memcpy(named.public, key.public, KEY_SIZE);
	assert_int_equal(key_sign(&named, "context", body, sizeof(body), signature), -EIO);
	key_wipe(&key);
	key_wipe(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_seed_gives_the_key_of_rfc_8032),
		cmocka_unit_test(new_keys_differ),
		cmocka_unit_test(one_text_for_one_key),
		cmocka_unit_test(a_saved_key_comes_back),
		cmocka_unit_test(the_mode_does_not_depend_on_umask),
		cmocka_unit_test(a_key_is_never_overwritten),
		cmocka_unit_test(a_full_disk_leaves_nothing_behind),
		cmocka_unit_test(what_others_may_read_is_refused),
		cmocka_unit_test(another_users_file_is_refused),
		cmocka_unit_test(other_keys_are_refused),
		cmocka_unit_test(what_is_no_key_is_refused),
		cmocka_unit_test(a_public_key_file_is_no_private_one),
		cmocka_unit_test(openssl_reads_and_makes_our_files),
		cmocka_unit_test(a_signature_holds_for_one_key_context_and_body),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
