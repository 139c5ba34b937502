/* SPDX-License-Identifier: MIT */
/*
 * load.c - from the environment and the configuration file to a node
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "common/printable.h"
#include "common/strength.h"
#include "conf/conf_env.h"
#include "resolver/load.h"

/* What conf_env_quick() does not look at, and what can be told before a node is made */
static int check_quick(const struct local_config *config, char *why, size_t size)
{
	if (strcmp(config->rendezvous, "none") != 0)
		return strength_check(config->secret, why, size);
	snprintf(why, size, "PUNCH_RENDEZVOUS=none: without a rendezvous the other side's public address is needed: "
		 "none@ADDRESS");
	return -EINVAL;
}

/* "none@HOST": no server, both sides meet at their addresses. Return: HOST, NULL where there is a server */
static const char *meeting_host(const char *rendezvous)
{
	static const char prefix[] = "none@";

	return strncmp(rendezvous, prefix, sizeof(prefix) - 1) == 0 ? rendezvous + sizeof(prefix) - 1 : NULL;
}

/* HOST[:PORT]s, as conf/ wants them */
static int check_server(const char *rendezvous, char *why, size_t size)
{
	char word[LIMIT_HOST];

	while (conf_word_next(&rendezvous, word, sizeof(word))) {
		if (conf_server_ok(word))
			continue;
		snprintf(why, size, "PUNCH_RENDEZVOUS=%s: expected HOST or HOST:PORT, as rdv.example.org:4430; a port "
			 "is 1 to 65535", word);
		return -EINVAL;
	}
	return 0;
}

static int check_meeting(const char *rendezvous, char *why, size_t size)
{
	const char *host = meeting_host(rendezvous);
	struct endpoint ep;

	if (!host)
		return check_server(rendezvous, why, size);
	if ((endpoint_parse(&ep, host, 0) == 0 ? !ep.port && endpoint_is_unicast(&ep) && !endpoint_is_loopback(&ep) :
		      conf_host_ok(host)))
		return 0;
	snprintf(why, size, "PUNCH_RENDEZVOUS=%s: none@ADDRESS wants the other side's public address, or a name for "
		 "it, without a port", rendezvous);
	return -EINVAL;
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

/* Empty: nobody can call us */
static int check_as(const char *as, char *why, size_t size)
{
	if (!*as || conf_name_ok(as))
		return 0;
	snprintf(why, size, "PUNCH_AS=%.*s%s: a name has 1 to %d letters, digits, \"-\", \"_\", \".\"",
		 (int)printable_harmless(as), as, printable_rest(as), LIMIT_NAME - 1);
	return -EINVAL;
}

static int load_quick(struct node *node, char *why, size_t size)
{
	const struct local_config *config = &node->config;
	int rc;

	node->quick_mode = true;
	snprintf(node->conf.name, sizeof(node->conf.name), "%s", config->as);
	snprintf(node->conf.rendezvous, sizeof(node->conf.rendezvous), "%s", config->rendezvous);
	rc = check_as(config->as, why, size);
	if (rc == 0)
		rc = check_meeting(config->rendezvous, why, size);
	if (rc < 0)
		return rc;
	node->quick_address = meeting_host(config->rendezvous);
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
		return check_as(config->as, why, size) < 0 ||
		       check_meeting(config->rendezvous, why, size) < 0 ? -EINVAL : 0;
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
