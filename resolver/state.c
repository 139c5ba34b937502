/* SPDX-License-Identifier: MIT */
/*
 * state.c - memory on disk: published listeners, and which name got which stand-in address
 *
 * Theory of operation
 *
 * One file for each configuration and network namespace (a listener's cookie
 * means nothing in another one), a SavedState message, 0600, in conf_state_path()'s
 * folder.  It is whole at any moment (file_replace()).
 *
 * It serves two purposes. A peer that is revoked loses its connections (revoke.h), also those of a
 * resolver that has left since: so they are remembered. And a resolver that died by force is started
 * again and must publish what was published, and must know the names whose addresses programs already
 * hold.  So services are written at once, before LOCAL_LISTEN is answered; names within STATE_DELAY.  A
 * file that cannot be read or parsed is as good as none: the programs' next calls fill the tables again.
 *
 * Cookies are counted from the start of the kernel.  Services and connections of another boot are left alone,
 * else a program that was started without punch where one of before was published might be, too.  Where the
 * kernel does not say which boot this is, they are left alone as well.
 *
 * What need not be remembered is not written: a name whose slot follows from
 * its hash, in file mode, where the configuration has all names.  When nothing is left
 * the file is removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "common/convert.h"
#include "common/file.h"
#include "common/log.h"
#include "common/punch.pb-c.h"
#include "common/secret.h"
#include "resolver/connections_internal.h"
#include "resolver/names.h"
#include "resolver/services_internal.h"
#include "resolver/state.h"
#include "resolver/state_internal.h"

#define STATE_DELAY_S	1		/* new names wait this long: a page of links brings many at once */
#define STATE_SLOW_S	10		/* new connections: a browser makes many, and each write syncs the disk */
/* full tables of names and services are below 400 KiB, connections below 2 MiB */
#define STATE_BYTES	(4096 * 1024)
#define STATE_BOOT_FILE	"/proc/sys/kernel/random/boot_id"
#define STATE_BOOT	37		/* bytes of what it says, a UUID, with a NUL */
#define STATE_BASENAME	32		/* bytes of the configuration's name kept in the file's name */

struct state {
	char path[LIMIT_PATH];		/* empty: no folder, nothing is kept */
	char boot[STATE_BOOT];		/* empty: unknown */
	struct event *later;
	bool loading;
	bool connected;			/* the write is for connections, and may wait longer */
	bool has_connections;		/* the file has some */
	bool broken;			/* the last write failed and was logged */
};

/* ------------------------------------------------------------ the file's name */

/* What tells configurations apart. No fast hash of the secret word: guessing it would be cheap */
static int config_hash(const struct node *node, uint8_t hash[HASH_SIZE])
{
	char text[sizeof(node->quick.master) + LIMIT_NAME + LIMIT_HOST];
	size_t size = sizeof(node->quick.master);
	int rc;

	if (!node->quick_mode)
		return secret_hash(node->config.path, strlen(node->config.path), hash);
	memcpy(text, node->quick.master, size);
	size += (size_t)snprintf(text + size, sizeof(text) - size, "%s/%s", node->config.as,
				 node->config.rendezvous);
	rc = secret_hash(text, size < sizeof(text) ? size : sizeof(text), hash);
	OPENSSL_cleanse(text, sizeof(text));
	return rc;
}

static int state_path(const struct node *node, char path[LIMIT_PATH])
{
	const char *base = strrchr(node->config.path, '/');
	uint8_t hash[HASH_SIZE];
	char name[STATE_BASENAME + 80];
	struct stat ns;
	int rc;

	rc = config_hash(node, hash);
	if (rc < 0)
		return rc;
	if (stat("/proc/self/ns/net", &ns) < 0)
		ns.st_ino = 0;
	snprintf(name, sizeof(name), "resolver-%.*s-%02x%02x%02x%02x%02x%02x-%llu.state", STATE_BASENAME,
		 node->quick_mode ? "quick" : base ? base + 1 : "conf", hash[0], hash[1], hash[2], hash[3],
		 hash[4], hash[5], (unsigned long long)ns.st_ino);
	return conf_state_path(path, name, secure_getenv);
}

/* Which boot of the kernel this is */
static void find_boot(char boot[STATE_BOOT])
{
	FILE *in = fopen(STATE_BOOT_FILE, "re");

	if (!in || !fgets(boot, STATE_BOOT, in)) {
		log_warn(STATE_BOOT_FILE " cannot be read: published services, and connections that a revocation is to "
			 "end, are not remembered");
		boot[0] = '\0';
	}
	if (in)
		fclose(in);
}

/* ------------------------------------------------------------ reading */

/* Whole file. Return: bytes (@data is malloc()ed) or -errno */
static ssize_t saved_read(const char *path, uint8_t **data)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	size_t size = 0;
	struct stat st;
	ssize_t n = 0;

	*data = NULL;
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_size > STATE_BYTES)
		n = -EPERM;
	else if (!(*data = malloc((size_t)st.st_size + 1)))
		n = -ENOMEM;
	while (n >= 0 && size < (size_t)st.st_size) {
		n = read(fd, *data + size, (size_t)st.st_size - size);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			n = -errno;
		else if (n == 0)
			break;
		else
			size += (size_t)n;
	}
	close(fd);
	if (n < 0) {
		free(*data);
		*data = NULL;
	}
	return n < 0 ? n : (ssize_t)size;
}

static void take_service(struct node *node, const Punch__SavedService *saved)
{
	struct service service;

	memset(&service, 0, sizeof(service));
	if (saved->port < 1 || saved->port > UINT16_MAX ||
	    endpoint_from_message(&service.listener, saved->listener) < 0)
		return;
	service.port = (uint16_t)saved->port;
	service.cookie = saved->cookie;
	service.uid = saved->uid;
	service.v6only = saved->v6only;
	services_restore(node, &service);
}

static void take_first(struct node *node, const Punch__SavedFirst *saved)
{
	struct memory_entry entry = { .first = (uint32_t)saved->first, .until = saved->until_s };

	if (saved->key.len != MEMORY_KEY)
		return;
	memcpy(entry.key, saved->key.data, MEMORY_KEY);
	memory_restore(&node->memory, &entry, (uint64_t)time(NULL));
}

/* The kernel counts cookies from its start: those of another boot are other sockets' now */
static void take_sockets(struct node *node, const Punch__SavedState *saved)
{
	const char *boot = node->state->boot;
	size_t i;

	if (!*saved->boot && (saved->n_services || saved->n_connections))
		log_warn("what an earlier version has published is forgotten: "
			 "programs that listen under punch have to start anew");
	if (!*boot || strcmp(saved->boot, boot) != 0)
		return;
	for (i = 0; i < saved->n_services; i++)
		take_service(node, saved->services[i]);
	for (i = 0; i < saved->n_connections && !node->quick_mode; i++)
		state_take_connection(node, saved->connections[i]);
}

void state_load(struct node *node)
{
	struct state *state = calloc(1, sizeof(*state));
	Punch__SavedState *saved = NULL;
	uint8_t *data = NULL;
	ssize_t size;
	size_t i;

	node->state = state;
	if (!state)
		return;
	if (state_path(node, state->path) < 0) {
		log_warn("no folder for saved state (neither HOME nor STATE_DIRECTORY is set): published services, and "
			 "keys of servers without rendezvous-key, are not remembered, and connections of an earlier "
			 "resolver outlive a revocation");
		state->path[0] = '\0';
		return;
	}
	find_boot(state->boot);
	size = saved_read(state->path, &data);
	if (size >= 0)
		saved = punch__saved_state__unpack(NULL, (size_t)size, data);
	if (saved) {
		state->loading = true;
		for (i = 0; i < saved->n_names; i++)
			names_restore(node->names, saved->names[i]->name, saved->names[i]->slot);
		for (i = 0; i < saved->n_firsts; i++)
			take_first(node, saved->firsts[i]);
		take_sockets(node, saved);
		state->loading = false;
		punch__saved_state__free_unpacked(saved, NULL);
	} else if (size != -ENOENT) {
		log_warn("%s: %s: it is ignored and will be replaced", state->path,
			 size < 0 ? strerror((int)-size) : "not a saved state");
	}
	free(data);
}

/* ------------------------------------------------------------ writing */

/* The message and all that it points to, of fixed size: see the limits of both tables */
struct picture {
	Punch__SavedState state;
	Punch__SavedService service[SERVICES_MAX], *services[SERVICES_MAX];
	Punch__Endpoint listener[SERVICES_MAX];
	struct service copy[SERVICES_MAX];
	Punch__SavedName name[NAMES_MAX], *names[NAMES_MAX];
	Punch__SavedFirst first[MEMORY_MAX], *firsts[MEMORY_MAX];
};

static void draw_services(const struct node *node, struct picture *picture)
{
	const struct service *service;
	unsigned int i;

	for (i = 0; i < SERVICES_MAX && (service = services_get(node, i)); i++) {
		struct service *copy = &picture->copy[i];

		*copy = *service;
		endpoint_to_message(&copy->listener, &picture->listener[i]);
		punch__saved_service__init(&picture->service[i]);
		picture->service[i].port = copy->port;
		picture->service[i].listener = &picture->listener[i];
		picture->service[i].cookie = copy->cookie;
		picture->service[i].uid = copy->uid;
		picture->service[i].v6only = copy->v6only;
		picture->services[i] = &picture->service[i];
	}
	picture->state.n_services = i;
	picture->state.services = picture->services;
}

static void draw_names(const struct node *node, struct picture *picture)
{
	union {
		const char *in;
		char *out;	/* protobuf-c only reads it, but its type is not const */
	} name;
	unsigned int i, n = 0;
	uint32_t slot;

	for (i = 0; names_get(node->names, i, &name.in, &slot); i++) {
		if (!node->quick_mode && slot == names_preferred(name.in))
			continue;
		punch__saved_name__init(&picture->name[n]);
		picture->name[n].name = name.out;
		picture->name[n].slot = slot;
		picture->names[n] = &picture->name[n];
		n++;
	}
	picture->state.n_names = n;
	picture->state.names = picture->names;
}

static void draw_firsts(const struct node *node, struct picture *picture)
{
	uint64_t now = (uint64_t)time(NULL);
	unsigned int i, n = 0;

	for (i = 0; i < MEMORY_MAX; i++) {
		const struct memory_entry *entry = &node->memory.entries[i];

		if (!memory_kept(entry) || entry->until <= now)
			continue;
		punch__saved_first__init(&picture->first[n]);
		picture->first[n].key = convert_bytes(entry->key, MEMORY_KEY);
		picture->first[n].first = (Punch__First)entry->first;
		picture->first[n].until_s = entry->until;
		picture->firsts[n] = &picture->first[n];
		n++;
	}
	picture->state.n_firsts = n;
	picture->state.firsts = picture->firsts;
}

static int save(struct node *node)
{
	const char *path = node->state->path;
	struct picture *picture = calloc(1, sizeof(*picture));
	uint8_t *data = NULL;
	size_t size;
	int rc = -ENOMEM;

	if (!picture)
		return rc;
	punch__saved_state__init(&picture->state);
	picture->state.boot = node->state->boot;
	draw_services(node, picture);
	draw_names(node, picture);
	draw_firsts(node, picture);
	if (!node->quick_mode && state_draw_connections(node, &picture->state) < 0)
		goto out;
	node->state->has_connections = picture->state.n_connections > 0;
	if (!picture->state.n_services && !picture->state.n_names && !picture->state.n_firsts &&
	    !picture->state.n_connections) {
		rc = unlink(path) < 0 && errno != ENOENT ? -errno : 0;
		goto out;
	}
	size = punch__saved_state__get_packed_size(&picture->state);
	data = malloc(size);
	if (!data)
		goto out;
	punch__saved_state__pack(&picture->state, data);
	file_make_folders(path);
	rc = file_replace(path, data, size);
out:
	state_wipe_connections(&picture->state);
	free(data);
	free(picture);
	return rc;
}

void state_save(struct node *node)
{
	struct state *state = node->state;
	int rc;

	if (!state || !state->path[0] || state->loading)
		return;
	if (state->later)
		event_del(state->later);
	state->connected = false;
	rc = save(node);
	if (rc < 0 && !state->broken)
		log_warn("%s: %s: a resolver that is killed will not remember what was published", state->path,
			 strerror(-rc));
	state->broken = rc < 0;
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	state_save(arg);
}

/* @sooner: also when a write is planned already, for a later time */
static void write_within(struct node *node, time_t seconds, bool sooner)
{
	const struct timeval delay = { .tv_sec = seconds };
	struct state *state = node->state;

	if (!state->later)
		state->later = event_new(node->base, -1, 0, on_later, node);
	if (state->later && (sooner || !event_pending(state->later, EV_TIMEOUT, NULL)))
		event_add(state->later, &delay);
}

void state_changed(struct node *node)
{
	struct state *state = node->state;

	if (!state || !state->path[0] || state->loading)
		return;
	write_within(node, STATE_DELAY_S, state->connected);
	state->connected = false;
}

void state_connected(struct node *node)
{
	struct state *state = node->state;

	if (node->quick_mode || !state || !state->path[0] ||
	    (state->later && event_pending(state->later, EV_TIMEOUT, NULL)))
		return;		/* what is written soon has the connections, too */
	state->connected = true;
	write_within(node, STATE_SLOW_S, false);
}

void state_free(struct node *node)
{
	struct state *state = node->state;

	if (!state)
		return;
	if (state->has_connections || (state->later && event_pending(state->later, EV_TIMEOUT, NULL)))
		state_save(node);
	if (state->later)
		event_free(state->later);
	free(state);
	node->state = NULL;
}
