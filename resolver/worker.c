/* SPDX-License-Identifier: MIT */
/*
 * worker.c - the process that does the resolver's work: parts in order, one loop
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "resolver/connections_internal.h"
#include "resolver/crypt.h"
#include "resolver/dns.h"
#include "resolver/doorbell_internal.h"
#include "resolver/drain.h"
#include "resolver/inlet.h"
#include "resolver/keeper.h"
#include "resolver/load.h"
#include "resolver/local_internal.h"
#include "resolver/names.h"
#include "resolver/netwatch.h"
#include "resolver/parked.h"
#include "resolver/ports.h"
#include "resolver/revoke.h"
#include "resolver/serverless.h"
#include "resolver/services_internal.h"
#include "resolver/session.h"
#include "resolver/splice.h"
#include "resolver/state.h"
#include "resolver/uplink.h"
#include "resolver/worker.h"

struct worker {
	struct node *node;
	struct event *signals[2];
};

static void on_libevent_log(int severity, const char *text)
{
	if (severity >= EVENT_LOG_WARN)
		log_warn("libevent: %s", text);
	else
		log_debug("libevent: %s", text);
}

static struct event_base *base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	/* Two peers' SYNs are to leave together: the millisecond of epoll_wait() is too coarse */
	if (config && event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NOLOCK) == 0)
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	struct worker *worker = arg;

	(void)what;
	log_info("%s, leaving", strsignal((int)number));
	life_stop(worker->node);
}

/* In the background signals keep their default: a killed worker is started again */
static int watch_signals(struct worker *worker)
{
	static const int numbers[] = { SIGINT, SIGTERM };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		worker->signals[i] = evsignal_new(worker->node->base, numbers[i], on_signal, worker);
		if (!worker->signals[i] || event_add(worker->signals[i], NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int start_uplinks(struct node *node)
{
	const char *cursor = node->conf.serverless ? "" : node->conf.rendezvous;
	char word[LIMIT_HOST];

	while (node->uplink_count < NODE_UPLINKS && conf_word_next(&cursor, word, sizeof(word))) {
		node->uplinks[node->uplink_count] = uplink_new(node, word);
		if (!node->uplinks[node->uplink_count])
			return -ENOMEM;
		node->uplink_count++;
	}
	return 0;
}

/* All peers of the file, in its order: collisions of slots come out alike in each run */
static void give_slots(struct node *node)
{
	unsigned int i;

	for (i = 0; i < node->conf.peer_count; i++)
		names_slot(node->names, node->conf.peers[i].name);
}

static int start_parts(struct node *node, int listener, int link, const struct stat *conf)
{
	node->local = local_new(node, listener);
	node->life = life_new(node, link, conf);
	node->dns = dns_new(node->base);
	node->names = names_new();
	node->services = services_new(node);
	node->connections = connections_new();
	node->crypts = crypts_new(node);
	node->splices = splices_new(node);
	node->drains = drains_new(node->base);
	node->doorbells = doorbells_new(node);
	node->parked = parked_new(node);
	node->sessions = sessions_new(node);
	if (!node->local || !node->life || !node->dns || !node->names || !node->services || !node->connections ||
	    !node->crypts || !node->splices || !node->drains || !node->doorbells || !node->parked || !node->sessions)
		return -ENOMEM;
	state_load(node);
	revoke_connections(node, &node->conf);
	give_slots(node);
	if (start_uplinks(node) < 0)
		return -ENOMEM;
	if (node->conf.serverless && !(node->serverless = serverless_new(node)))
		return -ENOMEM;
	node->ports = ports_new(node);
	/* Only through a server would a peer be told what the gateway passes on */
	if (node->conf.port_mapping != CONF_MAPPING_NO && !node->conf.serverless)
		node->inlets = inlets_new(node);
	node->netwatch = netwatch_new(node);
	return node->ports ? 0 : -ENOMEM;
}

/* The other way round; what was not made is NULL */
static void stop_parts(struct node *node)
{
	unsigned int i;

	local_free(node->local);
	node->local = NULL;
	parked_free(node->parked);
	doorbells_free(node->doorbells);
	/* The sessions after it: what is held counts in their budget */
	serverless_free(node->serverless);
	node->serverless = NULL;
	if (node->sessions)
		sessions_free(node->sessions);
	if (node->netwatch)
		netwatch_free(node->netwatch);
	inlets_free(node->inlets);
	if (node->ports)
		ports_free(node->ports);
	for (i = 0; i < node->uplink_count; i++)
		uplink_free(node->uplinks[i]);
	state_free(node);
	splices_free(node->splices);
	drains_free(node->drains);
	connections_free(node->connections);
	crypts_free(node->crypts);
	services_free(node->services);
	names_free(node->names);
	if (node->dns)
		dns_free(node->dns);
	life_free(node->life);		/* last of all: it closes the link, and then the next worker may start */
}

int worker_run(int *listener, int link, const struct local_config *config, const uint8_t token[LOCAL_TOKEN],
	       enum life_end *end)
{
	struct worker worker = { .node = calloc(1, sizeof(struct node)) };
	struct node *node = worker.node;
	char why[LOAD_WHY] = "out of memory";
	int status = EX_OSERR, taken;
	unsigned int i;
	struct stat conf;

	event_set_log_callback(on_libevent_log);
	if (!node)
		goto out;
	node->started = clock_now();
	memcpy(node->token, token, LOCAL_TOKEN);
	if (load_node(node, config, &conf, why, sizeof(why)) < 0) {
		status = EX_CONFIG;
		goto out;
	}
	node->base = base_new();
	if (!node->base)
		goto out;
	taken = *listener;
	*listener = -1;
	if (start_parts(node, taken, link, &conf) < 0 || (link < 0 && watch_signals(&worker) < 0))
		goto out;
	log_info("%s, %s", node->quick_mode ? "quick mode" : node->config.path, node->conf.rendezvous);
	status = event_base_dispatch(node->base) < 0 ? EX_SOFTWARE : 0;
	*end = life_end(node->life);
	if (*end == LIFE_END_RESTART && link < 0)
		*listener = fcntl(local_listener(node->local), F_DUPFD, KEEPER_LISTENER_FD);
	why[0] = '\0';
out:
	if (status)
		log_error("%s", why[0] ? why : "the event loop failed");
	if (node) {
		stop_parts(node);
		for (i = 0; i < 2; i++) {
			if (worker.signals[i])
				event_free(worker.signals[i]);
		}
		load_free(node);
		if (node->base)
			event_base_free(node->base);
		free(node);
	}
	return status;
}
