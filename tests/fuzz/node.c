/* SPDX-License-Identifier: MIT */
/*
 * node.c - a node that is made and unmade for each input
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <event2/event.h>

#include "resolver/connections_internal.h"
#include "resolver/dns.h"
#include "resolver/doorbell_internal.h"
#include "resolver/drain.h"
#include "resolver/life.h"
#include "resolver/load.h"
#include "resolver/local_internal.h"
#include "resolver/serverless.h"
#include "resolver/names.h"
#include "resolver/parked.h"
#include "resolver/services_internal.h"
#include "resolver/splice.h"
#include "resolver/state.h"
#include "tests/fuzz/node.h"
#include "tests/unit/scratch.h"

static struct fuzz_node fuzz_node;

static void remove_scratch(void)
{
	scratch_teardown(NULL);
}

static void write_conf(const char *path, uint16_t port, const struct key *server, const struct key *self, const struct key *bob)
{
	char text[KEY_TEXT_SIZE], why[256];
	FILE *out = fopen(path, "w");

	MUST(out && key_save(self, scratch_path("self.key"), why, sizeof(why)) == 0);
	fprintf(out, "[node]\nname = self\nkey = self.key\nport-mapping = no\n");
	if (port)
		fprintf(out, "rendezvous = 127.0.0.1:%u\nrendezvous-key = %s\n", port, key_text(server->public, text));
	else
		fprintf(out, "rendezvous = none\n");
	fprintf(out, "[peer bob]\nkey = %s\nencrypt = no\n%s", key_text(bob->public, text), port ? "" : "address = 127.0.0.1\n");
	fprintf(out, "[service web]\nport = %d\nallow = bob\n", FUZZ_SERVICE);
	MUST(fclose(out) == 0);
}

struct fuzz_node *fuzz_node_prepare(uint16_t port, const struct key *server, const struct key *self, const struct key *bob)
{
	struct fuzz_node *n = &fuzz_node;
	static struct local_config config;
	uint16_t any = 0;	/* published under another number: several may run at one time */
	char why[LOAD_WHY];

	MUST(scratch_setup(NULL) == 0);
	atexit(remove_scratch);
	snprintf(config.path, sizeof(config.path), "%s/punch.conf", scratch);
	setenv("STATE_DIRECTORY", scratch, 1);
	write_conf(config.path, port, server, self, bob);
	if (load_node(&n->node, &config, &n->conf, why, sizeof(why)) < 0) {
		fprintf(stderr, "%s\n", why);
		abort();
	}
	n->node.base = event_base_new();
	n->node.dns = dns_new(n->node.base);
	n->program = fuzz_listen(1, &any);
	MUST(n->node.base && n->node.dns);
	return n;
}

/* A listener that nobody knows of */
static int nobody(void)
{
	const struct sockaddr_un any = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	MUST(fd >= 0 && bind(fd, (const struct sockaddr *)&any, sizeof(any.sun_family)) == 0 && listen(fd, 1) == 0);
	return fd;
}

void fuzz_node_start(struct fuzz_node *n)
{
	struct node *node = &n->node;
	struct local_reply reply;
	char text[64];

	node->started = clock_now();
	node->local = local_new(node, nobody());
	node->life = life_new(node, -1, &n->conf);
	node->names = names_new();
	node->services = services_new(node);
	node->connections = connections_new();
	node->crypts = crypts_new(node);
	node->splices = splices_new(node);
	node->drains = drains_new(node->base);
	node->doorbells = doorbells_new(node);
	node->parked = parked_new(node);
	node->sessions = sessions_new(node);
	MUST(node->local && node->life && node->names && node->services && node->connections && node->crypts &&
	     node->splices && node->drains && node->doorbells && node->parked && node->sessions);
	names_slot(node->names, "bob");
	services_listen(node, n->program, FUZZ_SERVICE, &reply);
	MUST(reply.status == LOCAL_OK);
	if (node->conf.serverless) {
		node->serverless = serverless_new(node);
	} else {
		snprintf(text, sizeof(text), "%s", node->conf.rendezvous);
		node->uplinks[0] = uplink_new(node, text);
		node->uplink_count = 1;
	}
	node->ports = ports_new(node);
	MUST(node->ports && (node->serverless || node->uplinks[0]));
}

void fuzz_node_stop(struct fuzz_node *n)
{
	struct node *node = &n->node;

	local_free(node->local);
	node->local = NULL;
	parked_free(node->parked);
	doorbells_free(node->doorbells);
	serverless_free(node->serverless);
	node->serverless = NULL;
	sessions_free(node->sessions);
	ports_free(node->ports);
	if (node->uplink_count)
		uplink_free(node->uplinks[0]);
	node->uplink_count = 0;
	splices_free(node->splices);
	drains_free(node->drains);
	connections_free(node->connections);
	crypts_free(node->crypts);
	services_free(node->services);
	names_free(node->names);
	life_free(node->life);
	memset(&node->memory, 0, sizeof(node->memory));
	fuzz_node_accept(n);
}

void fuzz_node_accept(struct fuzz_node *n)
{
	int fd;

	while ((fd = fuzz_accept(n->program)) >= 0)
		close(fd);
}
