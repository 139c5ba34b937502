/* SPDX-License-Identifier: MIT */
/*
 * fuzz_state.c - what the resolver kept on the disk: names, services and tactics; and what it knows of networks
 *
 * The first byte says which file, and whether it is of this boot of the kernel or of another.  What was accepted is
 * within the bounds of its header, is written again, and is the same when it is read once more.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include <event2/event.h>

#include "common/log.h"
#include "common/standin.h"
#include "resolver/names.h"
#include "resolver/netcache.h"
#include "resolver/services_internal.h"
#include "resolver/state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/scratch.h"

#define BOOT	36		/* bytes of what the kernel says of it */
#define NOW	1000000		/* Unix time, of all that is read */

static struct event_base *base;
static struct conf_service service = { .name = "web", .port = 8080, .allow = "*" };
static uint8_t boot[2 + BOOT] = { 5 << 3 | 2, BOOT };	/* field 5 of a SavedState */
static char state_path[2 * SCRATCH_PATH], networks_path[2 * SCRATCH_PATH];

time_t __wrap_time(time_t *out);

time_t __wrap_time(time_t *out)
{
	if (out)
		*out = NOW;
	return NOW;
}

static void remove_scratch(void)
{
	scratch_teardown(NULL);
}

static void node_make(struct node *node)
{
	memset(node, 0, sizeof(*node));
	node->base = base;
	node->conf.services = &service;
	node->conf.service_count = 1;
	node->quick_mode = true;	/* where all names are kept */
	node->names = names_new();
	node->services = services_new(node);
	MUST(node->names && node->services);
	state_load(node);
	MUST(node->state);
}

static void node_end(struct node *node)
{
	state_free(node);
	services_free(node->services);
	names_free(node->names);
}

/* How the resolver itself calls the file */
static void find_state(void)
{
	const struct memory_entry worked = { .first = PUNCH__FIRST__FIRST_SYNC, .until = NOW + 1 };
	const struct dirent *entry;
	struct node node;
	DIR *folder;

	node_make(&node);
	memory_restore(&node.memory, &worked, NOW);
	state_save(&node);
	node_end(&node);
	folder = opendir(scratch);
	MUST(folder);
	while ((entry = readdir(folder)))
		if (strncmp(entry->d_name, "resolver-", 9) == 0)
			snprintf(state_path, sizeof(state_path), "%s/%s", scratch, entry->d_name);
	closedir(folder);
	MUST(state_path[0]);
}

static void find_boot(void)
{
	FILE *in = fopen("/proc/sys/kernel/random/boot_id", "r");

	MUST(in && fread(boot + 2, 1, BOOT, in) == BOOT && fclose(in) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_init("fuzz", "error", NULL);
	MUST(scratch_setup(NULL) == 0);
	atexit(remove_scratch);
	setenv("STATE_DIRECTORY", scratch, 1);
	base = event_base_new();
	MUST(base);
	find_boot();
	find_state();
	snprintf(networks_path, sizeof(networks_path), "%s/networks", scratch);
	return 0;
}

static void put(const char *path, const uint8_t *data, size_t size, bool of_this_boot)
{
	FILE *out = fopen(path, "w");

	MUST(out && fwrite(data, 1, size, out) == size);
	MUST(!of_this_boot || fwrite(boot, 1, sizeof(boot), out) == sizeof(boot));
	MUST(fclose(out) == 0);
}

/* ------------------------------------------------------------ names, services, tactics */

static unsigned int names_check(const struct node *node)
{
	unsigned int count = 0;
	const char *name;
	uint32_t slot;

	for (; names_get(node->names, count, &name, &slot); count++) {
		MUST(*name && strlen(name) < LIMIT_HOST && slot >= 1 && slot <= STANDIN_SLOTS - 2);
		MUST(names_find(node->names, name) == slot && names_of_slot(node->names, slot) == name);
	}
	return count;
}

static unsigned int tactics_check(const struct node *node)
{
	unsigned int i, count = 0;

	for (i = 0; i < MEMORY_MAX; i++) {
		const struct memory_entry *entry = &node->memory.entries[i];

		MUST(entry->first <= PUNCH__FIRST__FIRST_RELAY);
		MUST(!entry->first || entry->until <= NOW + MEMORY_WORKED);
		count += entry->first != 0 && memory_kept(entry);
	}
	return count;
}

static void with_state(const uint8_t *data, size_t size, bool of_this_boot)
{
	unsigned int names, tactics;
	struct node node;

	put(state_path, data, size, of_this_boot);
	node_make(&node);
	names = names_check(&node);
	tactics = tactics_check(&node);
	state_save(&node);
	node_end(&node);
	node_make(&node);
	MUST(names_check(&node) == names);
	MUST(tactics_check(&node) == tactics);
	node_end(&node);
}

/* ------------------------------------------------------------ networks */

static void facts_check(const struct description *facts)
{
	MUST(facts->filtering <= PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY &&
	     facts->stray_syn <= PUNCH__STRAY_SYN__STRAY_SYN_ICMP &&
	     facts->hairpin <= PUNCH__HAIRPIN__HAIRPIN_YES && facts->hops <= 64);
}

static void with_networks(const uint8_t *data, size_t size)
{
	static const uint8_t known[NETCACHE_KEY] = "0123456789abcde", other[NETCACHE_KEY] = { 0 };
	struct description facts = { .lifetime = 77 }, again = { 0 };
	int rc;

	put(networks_path, data, size, false);
	rc = netcache_load(networks_path, known, NOW, &facts);
	MUST(rc == 0 || (rc == -ENOENT && facts.lifetime == 77 && !facts.hops));
	facts_check(&facts);
	/* Another network comes to it; the known one stays, unless there were too many, or too much */
	rc = netcache_save(networks_path, other, NOW, &facts);
	MUST(rc == 0 || rc == -E2BIG);
	if (rc == 0) {
		MUST(netcache_load(networks_path, other, NOW, &again) == 0);
		MUST(again.filtering == facts.filtering && again.lifetime == facts.lifetime && again.hops == facts.hops);
		if (netcache_load(networks_path, known, NOW, &again) == 0)
			facts_check(&again);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (*data % 2)
		with_networks(data + 1, size - 1);
	else
		with_state(data + 1, size - 1, !(*data & 2));
	return 0;
}
