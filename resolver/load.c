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
#include "resolver/load.h"

static int copy_variable(char *out, size_t room, const char *name, char *why, size_t size)
{
	const char *value = secure_getenv(name);

	if (!value)
		value = "";
	if (strlen(value) >= room) {
		snprintf(why, size, "%s has %zu characters, at most %zu are allowed", name, strlen(value), room - 1);
		return -EINVAL;
	}
	memset(out, 0, room);
	memcpy(out, value, strlen(value));
	return 0;
}

static int load_quick_config(struct local_config *config, char *why, size_t size)
{
	int rc;

	rc = copy_variable(config->secret, sizeof(config->secret), "PUNCH_SECRET", why, size);
	if (rc == 0)
		rc = copy_variable(config->as, sizeof(config->as), "PUNCH_AS", why, size);
	if (rc == 0)
		rc = copy_variable(config->rendezvous, sizeof(config->rendezvous), "PUNCH_RENDEZVOUS", why, size);
	if (rc == 0 && !config->rendezvous[0]) {
		snprintf(why, size, "PUNCH_SECRET is set but not PUNCH_RENDEZVOUS: HOST[:PORT] of the rendezvous");
		rc = -EINVAL;
	}
	if (rc == 0 && strcmp(config->rendezvous, "none") == 0) {
		snprintf(why, size, "PUNCH_RENDEZVOUS=none: without a rendezvous the other side's public address is needed: "
			 "none@ADDRESS");
		rc = -EINVAL;
	}
	if (rc == 0)
		rc = strength_check(config->secret, why, size);
	return rc;
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
		snprintf(why, size, "PUNCH_RENDEZVOUS=%s: expected HOST or HOST:PORT, as rdv.example.org:4430; a port is "
			 "1 to 65535", word);
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
	snprintf(why, size, "PUNCH_RENDEZVOUS=%s: none@ADDRESS wants the other side's public address, or a name for it, "
		 "without a port", rendezvous);
	return -EINVAL;
}

int load_config(struct local_config *config, char *why, size_t size)
{
	const char *secret = secure_getenv("PUNCH_SECRET");
	int rc;

	memset(config, 0, sizeof(*config));
	if (secret && *secret)
		return load_quick_config(config, why, size);
	rc = conf_node_path(config->path, secure_getenv);
	if (rc == -ENOENT)
		snprintf(why, size, "no configuration: neither $PUNCH_CONF nor ~/.config/punch/punch.conf nor "
			 "/etc/punch/punch.conf is there, and PUNCH_SECRET is not set");
	else if (rc < 0)
		snprintf(why, size, "PUNCH_CONF: %s", strerror(-rc));
	return rc;
}

/* As conf/ wants names: letters, digits, "-", "_", "."; empty: nobody can call us */
static int check_as(const char *as, char *why, size_t size)
{
	size_t i;

	for (i = 0; as[i]; i++) {
		bool alnum = (as[i] >= 'a' && as[i] <= 'z') || (as[i] >= 'A' && as[i] <= 'Z') ||
			     (as[i] >= '0' && as[i] <= '9');

		if (!alnum && (i == 0 || !strchr("-_.", as[i]))) {
			snprintf(why, size, "PUNCH_AS=%s: a name has 1 to %d letters, digits, \"-\", \"_\", \".\"", as,
				 LIMIT_NAME - 1);
			return -EINVAL;
		}
	}
	return 0;
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
		snprintf(why, size, "cannot derive the keys of PUNCH_SECRET (needs 64 MiB of memory): %s", strerror(-rc));
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
		snprintf(why, size, "%s:%d: [peer %s] key: this is the key of this node itself, %s; each node needs one of its "
			 "own (punchctl keygen), and the peer's stands here", node->config.path, peer->line, peer->name,
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
		return check_as(config->as, why, size) < 0 || check_meeting(config->rendezvous, why, size) < 0 ? -EINVAL : 0;
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
