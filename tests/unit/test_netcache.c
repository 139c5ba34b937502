/* SPDX-License-Identifier: MIT */
/*
 * test_netcache.c - networks are remembered for a week, the newest of them, and never by a broken file
 */
#include <errno.h>

#include "resolver/netcache.h"
#include "tests/unit/scratch.h"

#define DAY	86400u

static char path[SCRATCH_PATH];

static struct description some_facts(void)
{
	struct description facts = {
		.filtering = PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY, .stray_syn = PUNCH__STRAY_SYN__STRAY_SYN_RST,
		.hairpin = PUNCH__HAIRPIN__HAIRPIN_NO, .lifetime = 64, .hops = 2, .mapping = 3,
	};

	return facts;
}

static void networks_are_told_apart_and_grow_old(void **state)
{
	uint8_t home[NETCACHE_KEY] = "home", cafe[NETCACHE_KEY] = "cafe";
	struct description facts = some_facts(), got = { .mapping = 2 };

	(void)state;
	snprintf(path, sizeof(path), "%s/a/b/networks", scratch);	/* folders are made */
	assert_int_equal(netcache_load(path, home, 1000, &got), -ENOENT);
	assert_int_equal(netcache_save(path, home, 1000, &facts), 0);
	facts.hops = 1;
	assert_int_equal(netcache_save(path, cafe, 2000, &facts), 0);
	assert_int_equal(netcache_load(path, home, 2000, &got), 0);
	assert_int_equal(got.filtering, facts.filtering);
	assert_int_equal(got.stray_syn, facts.stray_syn);
	assert_int_equal(got.hairpin, facts.hairpin);
	assert_int_equal(got.lifetime, 64);
	assert_int_equal(got.hops, 2);
	assert_int_equal(got.mapping, 2);	/* always measured */
	/* a week, and a clock that went back */
	assert_int_equal(netcache_load(path, home, 1000 + 7 * DAY, &got), 0);
	assert_int_equal(netcache_load(path, home, 1001 + 7 * DAY, &got), -ENOENT);
	assert_int_equal(netcache_load(path, home, 999, &got), -ENOENT);
	/* newer facts take the older ones' place */
	assert_int_equal(netcache_save(path, home, 3000, &facts), 0);
	assert_int_equal(netcache_load(path, home, 3000, &got), 0);
	assert_int_equal(got.hops, 1);
}

static void the_oldest_of_many_is_forgotten(void **state)
{
	struct description facts = some_facts(), got;
	uint8_t key[NETCACHE_KEY] = { 0 };

	(void)state;
	snprintf(path, sizeof(path), "%s/networks", scratch);
	for (key[0] = 0; key[0] < 40; key[0]++)
		assert_int_equal(netcache_save(path, key, 5000, &facts), 0);
	key[0] = 7;
	assert_int_equal(netcache_load(path, key, 5000, &got), -ENOENT);
	key[0] = 8;
	assert_int_equal(netcache_load(path, key, 5000, &got), 0);
}

/* A file that somebody wrote into: each byte changed, and each end cut off */
static void a_broken_file_is_no_file(void **state)
{
	uint8_t key[NETCACHE_KEY] = "home", good[512] = { 0 }, bad[512];
	struct description facts = some_facts(), got;
	ssize_t size, i;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/networks", scratch);
	assert_int_equal(netcache_save(path, key, 1000, &facts), 0);
	fd = open(path, O_RDWR);
	size = read(fd, good, sizeof(good));
	assert_in_range(size, 20, 100);
	for (i = 0; i < size; i++) {
		memcpy(bad, good, sizeof(bad));
		bad[i] ^= 0x55;
		assert_int_equal(pwrite(fd, bad, (size_t)size, 0), size);
		if (netcache_load(path, key, 1000, &got) == 0) {
			assert_true(got.filtering <= PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY);
			assert_true(got.hops <= 8);
		}
	}
	for (i = 0; i < size; i++) {
		assert_int_equal(pwrite(fd, good, (size_t)size, 0), size);
		assert_int_equal(ftruncate(fd, i), 0);
		assert_int_equal(netcache_load(path, key, 1000, &got), -ENOENT);
	}
	close(fd);
	assert_int_equal(netcache_save(path, key, 1000, &facts), 0);
	assert_int_equal(netcache_load(path, key, 1000, &got), 0);
}

static void what_cannot_be_written_is_an_error(void **state)
{
	uint8_t key[NETCACHE_KEY] = "home";
	struct description facts = some_facts();

	(void)state;
	assert_true(netcache_save("/proc/no/such/networks", key, 1000, &facts) < 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(networks_are_told_apart_and_grow_old, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(the_oldest_of_many_is_forgotten, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(a_broken_file_is_no_file, scratch_setup, scratch_teardown),
		cmocka_unit_test(what_cannot_be_written_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
