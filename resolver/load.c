/* SPDX-License-Identifier: MIT */
/*
 * load.c - from the environment and the configuration file to a node
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "common/strength.h"
#include "conf/conf_env.h"
#include "resolver/load.h"

static int check_quick(const struct local_config *config, char *why, size_t size)
{
	int rc = conf_env_check_quick(config, why, size);

	return rc < 0 ? rc : strength_check(config->secret, why, size);
}

int load_config(struct local_config *config, char *why, size_t size)
{
	int rc;

	memset(config, 0, sizeof(*config));
	rc = conf_env_quick(config, secure_getenv, why, size);
	if (rc == 0)
		return check_quick(config, why, size);
	if (rc != -ENOENT)
		return rc;
	rc = conf_node_path(config->path, secure_getenv);
	if (rc == -ENOENT)
		snprintf(why, size, "no configuration: neither $PUNCH_CONF nor ~/.config/punch/punch.conf nor "
			 "/etc/punch/punch.conf is there, and PUNCH_SECRET is not set");
	else if (rc < 0)
		snprintf(why, size, "PUNCH_CONF: %s", strerror(-rc));
	return rc;
}

static int load_quick(struct node *node, char *why, size_t size)
{
	const struct local_config *config = &node->config;
	int rc;

	node->quick_mode = true;
	snprintf(node->conf.name, sizeof(node->conf.name), "%s", config->as);
	snprintf(node->conf.rendezvous, sizeof(node->conf.rendezvous), "%s", config->rendezvous);
	rc = conf_env_check_quick(config, why, size);
	if (rc < 0)
		return rc;
	node->quick_address = conf_env_meeting(config->rendezvous);
	node->conf.serverless = node->quick_address != NULL;
	rc = quick_init(&node->quick, config->secret);
	if (rc == 0)
		rc = config->as[0] ? quick_key(&node->quick, config->as, &node->key) : key_generate(&node->key);
	if (rc < 0)
		snprintf(why, size, "cannot derive the keys of PUNCH_SECRET (needs 64 MiB of memory): %s",
			 strerror(-rc));
	return rc;
}

/* A peer with our own key: this node's key was copied there, or the wrong one was written down */
static int check_peers(const struct node *node, char *why, size_t size)
{
	char own[KEY_TEXT_SIZE];
	unsigned int i;

	key_text(node->key.public, own);
	for (i = 0; i < node->conf.peer_count; i++) {
		const struct conf_peer *peer = &node->conf.peers[i];

		if (strcmp(peer->key, own) != 0)
			continue;
		snprintf(why, size, "%s:%d: [peer %s] key: this is the key of this node itself, %s; each node needs "
			 "one of its own (punchctl keygen), and the peer's stands here",
			 node->config.path, peer->line, peer->name,
			 node->conf.key);
		return -EINVAL;
	}
	return 0;
}

static int load_file(struct node *node, struct stat *conf, char *why, size_t size)
{
	struct conf_error error;
	int rc;

	if (stat(node->config.path, conf) < 0)
		memset(conf, 0, sizeof(*conf));
	rc = conf_node_load(&node->conf, node->config.path, &error);
	if (rc < 0) {
		snprintf(why, size, "%s", error.text);
		return rc;
	}
	rc = key_load(&node->key, node->conf.key, why, size);
	return rc < 0 ? rc : check_peers(node, why, size);
}

int load_node(struct node *node, const struct local_config *config, struct stat *conf, char *why, size_t size)
{
	memset(conf, 0, sizeof(*conf));
	node->config = *config;
	if (config->secret[0])
		return load_quick(node, why, size);
	return load_file(node, conf, why, size);
}

int load_check(const struct local_config *config, char *why, size_t size)
{
	struct node *node;
	struct stat conf;
	int rc;

	if (config->secret[0])
		return conf_env_check_quick(config, why, size);
	node = calloc(1, sizeof(*node));
	if (!node) {
		snprintf(why, size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	rc = load_node(node, config, &conf, why, size);
	load_free(node);
	free(node);
	return rc;
}

void load_free(struct node *node)
{
	key_wipe(&node->key);
	quick_wipe(&node->quick);
	conf_node_free(&node->conf);
	OPENSSL_cleanse(&node->config, sizeof(node->config));
}
