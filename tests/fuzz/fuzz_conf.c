/* SPDX-License-Identifier: MIT */
/*
 * fuzz_conf.c - configuration files; the first byte says whose
 */
#include <errno.h>
#include <string.h>

#include "conf/conf.h"
#include "tests/fuzz/fuzz.h"

static void check(int rc, const struct conf_error *error, const char *path)
{
	MUST(rc == error->code && rc <= 0);
	if (rc == 0)
		return;
	/* Each complaint names the file; all but those on the file as a whole name the line, too */
	MUST(memchr(error->text, '\0', sizeof(error->text)) && strncmp(error->text, path, strlen(path)) == 0);
	MUST(error->line >= 0);
}

/* What the shim does with a file, good or not */
static void use(const struct conf_node *conf)
{
	unsigned int i;
	char word[LIMIT_HOST];

	for (i = 0; i < conf->peer_count; i++) {
		const struct conf_peer *peer = &conf->peers[i];
		const char *cursor = peer->alias;

		if (peer->name[0])
			MUST(conf_peer_find(conf, peer->name));
		while (conf_word_next(&cursor, word, sizeof(word)))
			;
	}
	for (i = 0; i < conf->service_count; i++) {
		if (conf->services[i].port)
			MUST(conf_service_find(conf, conf->services[i].port));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_rendezvous rendezvous;
	struct conf_error error;
	struct conf_relay relay;
	struct conf_node node;
	const char *path;
	int rc;

	if (size == 0)
		return 0;
	path = fuzz_file(data + 1, size - 1);
	switch (*data % 3) {
	case 0:
		rc = conf_node_load(&node, path, &error);
		check(rc, &error, path);
		use(&node);
		conf_node_free(&node);
		break;
	case 1:
		rc = conf_rendezvous_load(&rendezvous, path, &error);
		check(rc, &error, path);
		break;
	default:
		rc = conf_relay_load(&relay, path, &error);
		check(rc, &error, path);
	}
	return 0;
}
