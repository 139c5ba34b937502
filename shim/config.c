/* SPDX-License-Identifier: MIT */
/*
 * config.c - which names, addresses and ports are ours
 *
 * Loaded by the constructor, which costs each program 70 us, one that never connects as well.  Later it
 * would be too late: the first connect() may come in a signal handler, where nothing may be allocated, or after
 * chroot() or setuid(), when the file is out of reach.  A look-up, which no handler makes, reads
 * it again when it has changed.
 *
 * One that was published is never freed: other threads may hold it.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "conf/conf_env.h"
#include "shim/config.h"
#include "shim/env.h"

/**
 * struct config
 * @local:		what requests carry
 * @tag:		found out at once: the folder may be out of reach later
 * @quick:		no file: names end in ".punch", every port is ours
 * @unreadable:		the file is there but says nothing: every name may be a peer's
 * @passing:		... for want of descriptors or memory: the next look-up tries again
 * @node:		file mode
 * @aliases:		literal aliases, sorted
 * @error:		first complaint of the loader; code 0: none
 * @version:		of the file, taken before it was read; all zero: it was not there
 */
struct config {
	struct local_config local;
	char tag[LOCAL_TAG];
	bool quick;
	bool unreadable;
	bool passing;
	struct conf_node node;
	struct endpoint *aliases;
	unsigned int alias_count;
	struct conf_error error;
	struct stat version;
};

static struct config first;			/* the constructor's: the heap is not touched for it */
static _Atomic(struct config *) current;	/* NULL: there is none */

static int compare_addresses(const void *a, const void *b)
{
	const struct endpoint *x = a, *y = b;

	if (x->family != y->family)
		return x->family < y->family ? -1 : 1;
	return memcmp(x->address, y->address, sizeof(x->address));
}

static void alias_append(struct config *config, const struct endpoint *ep)
{
	config->aliases[config->alias_count++] = *ep;
}

/* Call @each for every literal alias of the file. Return: how many there are */
static unsigned int aliases_walk(struct config *config, void (*each)(struct config *, const struct endpoint *))
{
	unsigned int count = 0, i;
	char word[LIMIT_HOST];
	struct endpoint ep;

	for (i = 0; i < config->node.peer_count; i++) {
		const char *cursor = config->node.peers[i].alias;

		while (conf_word_next(&cursor, word, sizeof(word))) {
			if (endpoint_parse(&ep, word, 0) < 0)
				continue;
			count++;
			if (each)
				each(config, &ep);
		}
	}
	return count;
}

static bool aliases_build(struct config *config)
{
	unsigned int count = aliases_walk(config, NULL);

	if (!count)
		return true;
	config->aliases = calloc(count, sizeof(*config->aliases));
	if (!config->aliases)
		return false;
	aliases_walk(config, alias_append);
	qsort(config->aliases, config->alias_count, sizeof(*config->aliases), compare_addresses);
	return true;
}

static void config_free(struct config *config)
{
	conf_node_free(&config->node);
	free(config->aliases);
	free(config);
}

static void load_quick(struct config *config)
{
	int rc = conf_env_quick(&config->local, env_get, config->error.text, sizeof(config->error.text));

	config->quick = true;
	if (rc < 0)
		config->error.code = rc;
}

static void load_file(struct config *config)
{
	int rc;

	if (stat(config->local.path, &config->version) < 0)
		memset(&config->version, 0, sizeof(config->version));
	rc = conf_node_load(&config->node, config->local.path, &config->error);
	if (rc == 0 && !aliases_build(config))
		rc = -ENOMEM;
	else if (rc < 0)
		aliases_build(config);	/* its addresses must not be reached by another way either */
	if (rc < 0 && !config->error.code) {
		config->error.code = rc;
		strcpy(config->error.text, "out of memory");
	}
	config->unreadable = rc < 0 && rc != -EINVAL && !config->node.peer_count;
	config->passing = rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM;
}

/* @config: new, its path is there, or none for quick mode */
static void fill(struct config *config)
{
	if (config->local.path[0])
		load_file(config);
	else
		load_quick(config);
	local_tag(config->tag, &config->local);		/* fails where the file cannot be read either */
}

/* Return: false when there is no configuration */
static bool load(void)
{
	if (!env_get("PUNCH_SECRET") && conf_node_path(first.local.path, env_get) < 0)
		return false;
	fill(&first);
	return true;
}

/* @old stays what counts when it could be read and the file now cannot be. Return: what counts */
static struct config *reload(struct config *old)
{
	struct config *config = calloc(1, sizeof(*config));

	if (!config)
		return old;
	strcpy(config->local.path, old->local.path);
	fill(config);
	/* a tag stays: it names the resolver that this process has to do with */
	strcpy(config->tag, old->tag[0] ? old->tag : config->tag);
	if (config->passing || (config->unreadable && !old->unreadable) ||
	    !atomic_compare_exchange_strong(&current, &old, config))
		config_free(config);
	return atomic_load(&current);
}

const struct config *config_get(void)
{
	return atomic_load_explicit(&current, memory_order_acquire);
}

static bool has_changed(const struct config *config)
{
	const struct stat *was = &config->version;
	struct stat is;

	if (config->quick || stat(config->local.path, &is) < 0)
		return false;		/* out of reach, or between two versions: what is known counts */
	return is.st_dev != was->st_dev || is.st_ino != was->st_ino || is.st_size != was->st_size ||
	       is.st_mtim.tv_sec != was->st_mtim.tv_sec || is.st_mtim.tv_nsec != was->st_mtim.tv_nsec;
}

const struct config *config_fresh(void)
{
	struct config *old = atomic_load(&current);
	int errno_kept = errno;

	if (!old)
		return NULL;
	if (old->passing || has_changed(old))
		reload(old);
	errno = errno_kept;
	return atomic_load(&current);
}

void config_init(void)
{
	int errno_kept = errno;

	if (!env_off() && load())
		atomic_store(&current, &first);
	errno = errno_kept;
}

const struct local_config *config_local(const struct config *config)
{
	return &config->local;
}

const char *config_tag(const struct config *config)
{
	return config->tag;
}

const char *config_problem(const struct config *config)
{
	return config->error.code ? config->error.text : NULL;
}

static bool owns_name_quick(const char *name)
{
	static const char suffix[] = ".punch";
	size_t size = strlen(name), tail = sizeof(suffix) - 1;

	if (size && name[size - 1] == '.')
		size--;
	return size > tail && strncasecmp(name + size - tail, suffix, tail) == 0;
}

bool config_owns_name(const struct config *config, const char *name)
{
	if (config->quick)
		return owns_name_quick(name);
	if (config->unreadable)
		return strcasecmp(name, "localhost") != 0;
	return conf_peer_find(&config->node, name) != NULL;
}

bool config_is_peer(const struct config *config, const char *name, const char *peer)
{
	const struct conf_peer *found;

	if (config->quick)
		return true;		/* the name itself says it */
	found = conf_peer_find(&config->node, name);
	return found && strcasecmp(found->name, peer) == 0;
}

bool config_has_addresses(const struct config *config)
{
	return config->alias_count > 0;
}

bool config_owns_address(const struct config *config, const struct endpoint *ep)
{
	return config->aliases && bsearch(ep, config->aliases, config->alias_count, sizeof(*config->aliases),
					  compare_addresses);
}

bool config_key_is_of_another(const struct config *config, uid_t uid)
{
	struct stat st;

	return !config->quick && stat(config->node.key, &st) == 0 && st.st_uid != uid;
}

void config_names(const struct config *config, void (*each)(void *arg, const char *name), void *arg)
{
	unsigned int i;

	for (i = 0; i < config->node.peer_count; i++) {
		const char *cursor = config->node.peers[i].alias;
		char word[LIMIT_HOST];
		struct endpoint ep;

		while (conf_word_next(&cursor, word, sizeof(word))) {
			if (endpoint_parse(&ep, word, 0) < 0)
				each(arg, word);
		}
		each(arg, config->node.peers[i].name);
	}
}

bool config_is_quick(const struct config *config)
{
	return config->quick;
}

bool config_has_services(const struct config *config)
{
	return config->quick || config->node.service_count > 0;
}

bool config_owns_port(const struct config *config, uint16_t port)
{
	return config->quick || conf_service_find(&config->node, port) != NULL;
}
