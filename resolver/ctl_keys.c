/* SPDX-License-Identifier: MIT */
/*
 * ctl_keys.c - punchctl keygen, punchctl pubkey, punchctl secret
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "common/drop.h"
#include "common/file.h"
#include "common/key.h"
#include "common/log.h"
#include "common/quick.h"
#include "common/secret.h"
#include "conf/conf.h"
#include "resolver/ctl.h"
#include "resolver/ctl_client.h"

/* Where a node's key lives when nobody says otherwise. Return: 0 or -ENOENT/-ENAMETOOLONG */
static int default_path(char path[LIMIT_PATH])
{
	const char *base = secure_getenv("XDG_CONFIG_HOME"), *home = secure_getenv("HOME");
	int size;

	if (base && *base == '/')	/* XDG: a relative path is to be ignored */
		size = snprintf(path, LIMIT_PATH, "%s/punch/node.key", base);
	else if (home && *home == '/')
		size = snprintf(path, LIMIT_PATH, "%s/.config/punch/node.key", home);
	else
		return -ENOENT;
	return size < LIMIT_PATH ? 0 : -ENAMETOOLONG;
}

static int print_public(const struct key *key)
{
	char text[KEY_TEXT_SIZE];

	printf("%s\n", key_text(key->public, text));
	return CTL_OK;
}

int ctl_keygen(int argc, char **argv)
{
	char path[LIMIT_PATH], why[LIMIT_PATH + 256];
	struct key key;
	int status = CTL_FAILED;

	if (argc > 2 || (argc == 2 && argv[1][0] == '-'))
		return ctl_usage(argv[0], NULL);
	if (argc == 2) {
		if (snprintf(path, sizeof(path), "%s", argv[1]) >= (int)sizeof(path))
			return ctl_usage(argv[0], "FILE is too long");
	} else {
		if (default_path(path)) {
			log_error("HOME is not set: name the FILE");
			return CTL_FAILED;
		}
		file_make_folders(path);
	}
	drop_dumps();
	if (key_generate(&key)) {
		log_error("cannot make a key: the system gives no randomness or memory");
		return CTL_FAILED;
	}
	if (key_save(&key, path, why, sizeof(why))) {
		log_error("%s", why);
	} else {
		if (argc < 2)	/* a person at a terminal should learn where it went; stdout is the key alone */
			fprintf(stderr, "private key: %s\n", path);
		status = print_public(&key);
	}
	key_wipe(&key);
	return status;
}

/* Quick mode has no file: the key follows from word and name */
static int pubkey_quick(const struct local_config *config)
{
	struct quick quick;
	struct key key;
	int status = CTL_FAILED;

	if (!*config->as) {
		log_error("without PUNCH_AS a node in quick mode has a new key at each start");
		return CTL_CONFIG;
	}
	if (quick_init(&quick, config->secret) || quick_key(&quick, config->as, &key)) {
		log_error("cannot derive the key: out of memory");
	} else {
		status = print_public(&key);
		key_wipe(&key);
	}
	quick_wipe(&quick);
	return status;
}

/* Which file does the configuration name? */
static int configured_path(const struct local_config *config, char path[LIMIT_PATH])
{
	struct conf_error error = { 0 };
	struct conf_node conf;
	int status = CTL_OK;

	if (conf_node_load(&conf, config->path, &error)) {
		log_error("%s", error.text);
		status = CTL_CONFIG;
	} else {
		strcpy(path, conf.key);
	}
	conf_node_free(&conf);
	return status;
}

int ctl_pubkey(int argc, char **argv)
{
	const char *secret = secure_getenv("PUNCH_SECRET");
	char path[LIMIT_PATH], why[LIMIT_PATH + 256];
	struct local_config config = { .path = "" };
	struct key key;
	int status = CTL_OK;

	drop_dumps();
	if (argc > 2 || (argc == 2 && argv[1][0] == '-'))
		return ctl_usage(argv[0], NULL);
	if (argc == 2) {
		if (snprintf(path, sizeof(path), "%s", argv[1]) >= (int)sizeof(path))
			return ctl_usage(argv[0], "FILE is too long");
	} else if ((secret && *secret) || !conf_node_path(config.path, secure_getenv)) {
		status = ctl_config(&config);
		if (!status && *config.secret)
			return pubkey_quick(&config);
		if (!status)
			status = configured_path(&config, path);
	} else if (default_path(path)) {
		log_error("no configuration, and HOME is not set: name the FILE");
		status = CTL_CONFIG;
	}
	if (status)
		return status;
	if (key_load(&key, path, why, sizeof(why))) {
		log_error("%s", why);
		return CTL_FAILED;
	}
	status = print_public(&key);
	key_wipe(&key);
	return status;
}

/*
 * Twenty letters of 32, 100 bits: beyond guessing even without scrypt.  Neither l nor 1, neither o nor 0: they are
 * taken for each other when a word is read out.
 */
int ctl_secret(int argc, char **argv)
{
	static const char letters[32] = "abcdefghijkmnpqrstuvwxyz23456789";
	uint8_t random[20];

	(void)argv;
	if (argc > 1)
		return ctl_usage(argv[0], NULL);
	secret_random(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		printf("%s%c", i && i % 4 == 0 ? "-" : "", letters[random[i] % sizeof(letters)]);
	putchar('\n');
	OPENSSL_cleanse(random, sizeof(random));
	return CTL_OK;
}
